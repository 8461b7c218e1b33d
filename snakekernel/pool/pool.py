"""A pool of kernels: ``async with KernelPool(maximum=4) as pool: await pool.call("math.sqrt", 2)``.

Rules: the policy decides, this performs: what happens is told to it at once, and what it asks for is done
without waiting, or in a task of its own where that takes time. All on one event loop, without locks. Whoever
waits for a kernel, or has one, has a ticket, and each ticket ends by ``Done``, however its owner ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from signal import SIGTERM
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

from ..client.hearing import OnOutput, OnProgress
from ..client.mapping import mapped
from ..client.payload import Target
from ..errors import InvalidRequest, KernelHung, ReplyTimeout, WorkerLost
from .events import CallAsked, Done, Drain, Resize, SessionAsked, SessionClosed, Tick
from .freeing import Freeing
from .kernels import PoolKernels, runs_here, spec_of
from .options import CHANGEABLE
from .performing import Performing
from .policy import Policy
from .publishing import Carrier
from .retrying import called_again
from .session import OpenSession, PoolSession
from .signals import on_signal
from .status import PoolStatus, status_of
from .status_files import StatusFile

if TYPE_CHECKING:
    from .blocking import BlockingKernelPool

_LEAVES_NOTHING: Final = (
    "A call on any kernel leaves nothing behind there that could be referred to; use pool.session()."
)


class KernelPool(Performing):
    """Many kernels as one. Calls go to any of them; a session has one of its own.

    It belongs to the event loop on which it is opened, by ``async with``; any number of tasks may share it.
    Its options are traits, see there.
    """

    @staticmethod
    def blocking(**options: Any) -> BlockingKernelPool:
        """The same for threads: ``with KernelPool.blocking() as pool: pool.call("math.sqrt", 2)``."""
        from .blocking import BlockingKernelPool

        return BlockingKernelPool(**options)

    # -- opening and closing -----------------------------------------------------------------------

    async def open(self) -> Self:
        """Begin: kernels start from now on. ``async with`` does it.

        Raises ValueError where its kernels cannot be what was asked for.
        """
        if self._state != "new":
            raise RuntimeError("A pool is opened once; make another.")
        spec = spec_of(self.kernel_name, self.provisioner, self.python, self.env, self.limits, self.preload)
        if self.metrics_port is not None:
            from .metrics import serve

            self.metrics_url, self._end_metrics = serve(self, self.metrics_port, self.metrics_host)
        self._kernels = PoolKernels(parent=self)
        self._kernels.spec = spec
        self._kernels.is_local = runs_here(spec)
        self._kernels.is_encrypted = self.transport_encryption is not None
        self._kernels.carrier = Carrier(self._members)
        self._loop = asyncio.get_running_loop()
        self._freeing = Freeing(self._loop, lambda ticket: self._tell(Done(ticket)), self._stuck)
        self._changed = asyncio.Event()
        self._state = "open"
        self.opened = monotonic()
        self._file = StatusFile(self.status)
        # Begins to start what is to be there from the outset.
        self._tell(Tick())
        self._measuring = asyncio.ensure_future(self._measure())
        return self

    async def ready(self) -> None:
        """Wait until no kernel starts any more."""
        while any(member.began is None for member in self._members.values()):
            self._changed.clear()
            await self._changed.wait()

    async def drain(self, timeout: float | None = None) -> None:
        """Take nothing new, let what runs come to its end, then close.

        Args:
            timeout: seconds after which what still runs is ended; None waits for it.
        """
        if self._state == "open":
            self._state = "draining"
            self._note(logging.INFO, "pool_draining", f"Pool {self.name} drains")
            self._tell(Drain())
        if self._state == "draining":
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._all_gone()
        await self.close()

    async def _all_gone(self) -> None:
        while self._members:
            self._changed.clear()
            await self._changed.wait()

    def drain_on(self, *signals: int, timeout: float | None = None) -> None:
        """Drain when the process gets one of these signals, such as ``signal.SIGTERM``."""
        self._check_open()
        for number in signals:
            self._end_signals.append(on_signal(self._loop, number, lambda: self._spawn(self.drain(timeout))))
        self.drains_on_sigterm |= SIGTERM in signals
        if self._file is not None:
            self._file.changed()

    async def wait_closed(self) -> None:
        """Wait until the pool is closed, by whomever."""
        while self._state != "closed":
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """End everything now: what runs fails with WorkerLost. Idempotent."""
        if self._state in ("open", "draining"):
            self._state = "closing"
            self._tell(Drain(at_once=True))
            # Shielded: whoever cancels the closing must not leave kernels half ended.
            self._closing = asyncio.ensure_future(self._close())
        if self._state == "closing":
            await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._all_gone()
        self._measuring.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._freeing.close()
        await self._kernels.carrier.settled()
        self._state = "closed"
        for end in self._end_signals:
            end()
        # Its server looks every half second whether it is to end.
        if self.metrics_url is not None:
            await asyncio.to_thread(self._end_metrics)
        if self._file is not None:
            self._file.close()
        self._note(logging.INFO, "pool_closed", f"Pool {self.name} is closed")
        self._changed.set()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def status(self) -> PoolStatus:
        """What the pool looks like now."""
        return status_of(self)

    def resize(self, **settings: Any) -> None:
        """Change how the pool is sized while it runs: any of ``minimum``, ``maximum``, ``max_age``, …"""
        for name in settings.keys() - set(CHANGEABLE):
            raise TypeError(f"{name} of a pool cannot be changed; {', '.join(CHANGEABLE)} can.")
        with self.hold_trait_notifications():
            for name, value in settings.items():
                setattr(self, name, value)
        if self._state == "new":
            self._policy = Policy(self.settings())
        else:
            self._tell(Resize(self.settings()))

    # -- calls -------------------------------------------------------------------------------------

    async def call(
        self,
        target: Target,
        *values: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        returns: str = "auto",
        concurrent: bool | None = None,
        deadline: float | None = None,
        timeout: float | None = None,
        queue_timeout: float | None = None,
        idempotent: bool = False,
        on_output: OnOutput | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Call a target on any kernel that is free; it leaves nothing there.

        Args:
            values: positional arguments, as ``args`` has them.
            queue_timeout: seconds to wait for a kernel; None waits as the pool's option says.
            timeout: seconds to wait for the reply once it was sent.
            idempotent: it may run twice: where its kernel is lost it is called on another one, three times at
                most. ``timeout`` is then for all of it, waiting for kernels included.
            concurrent: where kernels have several calls at once; else it makes no difference.
            args, kwargs, returns, deadline, on_output, on_progress: as of ``AsyncClient.call``.

        Raises:
            PoolFull, QueueTimeout, PoolClosed: it got no kernel; nothing was sent.
            KernelHung: it did not stop at its deadline; its kernel is replaced if it does not stop soon.
            WorkerLost: its kernel is gone; whether it ran cannot be told.
            KernelLost: no kernel starts. SnakeError: as of ``AsyncClient.call``.
        """
        if returns == "ref" or returns == "proxy":
            raise InvalidRequest(_LEAVES_NOTHING, at="$.returns")
        if idempotent:
            return await called_again(
                lambda left: self.call(
                    target,
                    *values,
                    args=args,
                    kwargs=kwargs,
                    returns=returns,
                    concurrent=concurrent,
                    deadline=deadline,
                    queue_timeout=queue_timeout if left is None else min(left, queue_timeout or left),
                    on_output=on_output,
                    on_progress=on_progress,
                ),
                timeout,
            )
        if self._state != "open":
            self._check_open()
        ticket = next(self._tickets)
        member = self._ask(CallAsked(ticket, self._deadline(queue_timeout)))
        if member is None:
            member = await self._granted(ticket)
        if self.calls_per_kernel == 1:
            # There is none beside it; and what is asked of the kernel after it shows when it has stopped.
            concurrent = False
        try:
            result = await member.client.call(
                target,
                args=(*values, *args) if values else args,
                kwargs=kwargs,
                returns=returns,
                concurrent=concurrent,
                deadline=deadline,
                timeout=timeout,
                on_output=on_output,
                on_progress=on_progress,
            )
        except (asyncio.CancelledError, KernelHung, ReplyTimeout):
            # It may run on for a moment: the place is free when the kernel is.
            self.counts.calls["given_up"] += 1
            grace = self.cancel_timeout if self.calls_per_kernel == 1 else None
            self._freeing.add(member, ticket, grace)
            raise
        except BaseException as error:
            self.counts.calls["lost" if isinstance(error, WorkerLost) else "error"] += 1
            self._ended(ticket)
            raise
        self.counts.calls["ok"] += 1
        self._ended(ticket)
        return result

    async def map(
        self,
        target: Target,
        *iterables: Iterable[Any],
        concurrency: int | None = None,
        kwargs: Mapping[str, Any] | None = None,
        returns: str = "auto",
        timeout: float | None = None,
        idempotent: bool = False,
    ) -> list[Any]:
        """Call a target with the elements of the iterables, several at a time; the results in their order.

        The first error ends it: no more is called, what runs is cancelled.

        Args:
            iterables: as of the built-in ``map``; no more is taken from them than is called.
            concurrency: calls at once; as many as the pool may serve where it is not given.
            kwargs: keyword arguments of each call. returns, timeout, idempotent: as for ``call``.
        """
        return await mapped(
            lambda args: self.call(
                target, args=args, kwargs=kwargs, returns=returns, timeout=timeout, idempotent=idempotent
            ),
            iterables,
            concurrency or self.maximum * self.calls_per_kernel,
        )

    # -- sessions ----------------------------------------------------------------------------------

    def session(
        self,
        session_id: str | None = None,
        *,
        ttl: float | None = None,
        quota: Mapping[str, int] | None = None,
        queue_timeout: float | None = None,
    ) -> PoolSession:
        """A session on a kernel of its own: ``async with pool.session("alice") as snake: …``.

        The same id gives the same kernel, and what is kept there, for as long as the session lives.

        Args:
            session_id: made up where it is not given.
            ttl: seconds that it lives on while nobody holds it; None for the pool's ``session_ttl``.
            quota: what it may use, where this opens it: ``objects``, ``bytes``, ``calls``, ``concurrent``.
            queue_timeout: as for ``call``.
        """
        return PoolSession(self, session_id, ttl, queue_timeout, quota)

    async def close_session(self, session_id: str) -> None:
        """End a session, whoever holds it; its kernel ends with it. Does nothing where there is none."""
        found = self._sessions.pop(session_id, None)
        if found is not None:
            self._tell(SessionClosed(session_id))
            self._forget(found)

    async def _check_out(
        self,
        session_id: str,
        ttl: float | None,
        queue_timeout: float | None,
        quota: Mapping[str, int] | None,
    ) -> tuple[int, OpenSession]:
        self._check_open()
        ticket = next(self._tickets)
        self._asked[ticket] = session_id, quota
        try:
            self._tell(SessionAsked(ticket, session_id, ttl, self._deadline(queue_timeout)))
            found: Any = self._given.pop(ticket, None)
            return ticket, found or await self._granted(ticket)
        finally:
            self._asked.pop(ticket, None)

    def _let_go(self, found: OpenSession, handle: PoolSession, ticket: int) -> None:
        found.handles.discard(handle)
        self._tell(Done(ticket))
