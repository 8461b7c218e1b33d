"""The blocking face of a pool: ``with KernelPool.blocking(maximum=4) as pool: pool.call("math.sqrt", 2)``.

Rules: the pool lives on an event loop in a thread of its own, which ends with it; any number of threads may
use it. A session's client is connected to the session's kernel directly: what it does does not pass the loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, Final, Self, TypeVar

from ..client.client import Client
from ..client.connection import find
from ..client.link import Link
from ..errors import PoolClosed, WorkerLost
from ..memory.exchange import FROM_BYTES
from .member import Member
from .pool import KernelPool
from .session import PoolSession
from .status import PoolStatus

_T = TypeVar("_T")
_WITHIN: Final = "A callback or an iterable of a pool runs in the pool's own thread, and cannot wait for it."


class BlockingKernelPool:
    """A pool for threads; the options are those of ``KernelPool``, and so are the errors.

    Attributes:
        pool: the pool itself, which only its own event loop may use.
    """

    def __init__(self, **options: Any) -> None:
        self.pool = KernelPool(**options)
        self._pid = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        #: What threads wait for.
        self._pending: set[Future[Any]] = set()

    # -- opening and closing -----------------------------------------------------------------------

    def open(self) -> Self:
        """Begin: kernels start from now on. ``with`` does it."""
        if self._thread is not None:
            raise RuntimeError("A pool is opened once; make another.")
        self._pid = os.getpid()
        begun: Future[asyncio.AbstractEventLoop] = Future()
        name = f"snakekernel-pool-{self.pool.name}"
        self._thread = threading.Thread(target=self._run, args=(begun,), name=name, daemon=True)
        self._thread.start()
        self._loop = begun.result()
        try:
            self._do(self.pool.open())
        except BaseException:
            self._end()
            raise
        return self

    def _run(self, begun: Future[asyncio.AbstractEventLoop]) -> None:
        async def serve() -> None:
            self._over = asyncio.Event()
            begun.set_result(asyncio.get_running_loop())
            await self._over.wait()
            # Where whoever closed it was interrupted, or it was never closed properly.
            await self.pool.close()

        try:
            asyncio.run(serve())
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)
        finally:
            # Of those who came when the loop was about to end; it runs nothing any more.
            for future in list(self._pending):
                future.cancel()

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Have the loop do it; whoever is interrupted meanwhile cancels it."""
        loop = self._loop
        if loop is None or os.getpid() != self._pid:
            work.close()
            raise PoolClosed("This pool is not open in this process: enter it with `with`.")
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(_WITHIN)
        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:
            work.close()
            raise PoolClosed(f"The pool {self.pool.name!r} is closed; nothing was sent.") from None
        self._pending.add(future)
        try:
            if loop.is_closed():
                future.cancel()
            return future.result()
        except CancelledError:
            # By nobody but the end of the loop.
            if getcoroutinestate(work) == CORO_CREATED:
                work.close()
            raise PoolClosed(f"The pool {self.pool.name!r} is closed; nothing was sent.") from None
        except BaseException:
            future.cancel()
            raise
        finally:
            self._pending.discard(future)

    def drain(self, timeout: float | None = None) -> None:
        """As of ``KernelPool``; the pool is closed then."""
        self._do(self.pool.drain(timeout))
        self._end()

    def close(self) -> None:
        """End everything now: what runs fails with WorkerLost. Idempotent."""
        if self._loop is not None and os.getpid() == self._pid:
            if threading.current_thread() is self._thread:
                raise RuntimeError(_WITHIN)
            try:
                self._do(self.pool.close())
            finally:
                self._end()

    def _end(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- use ---------------------------------------------------------------------------------------

    def call(self, target: Any, *values: Any, **options: Any) -> Any:
        """As of ``KernelPool``, with the result."""
        return self._do(self.pool.call(target, *values, **options))

    def map(self, target: Any, *iterables: Any, **options: Any) -> list[Any]:
        """As of ``KernelPool``, with the results. The iterables are read in the pool's thread."""
        return self._do(self.pool.map(target, *iterables, **options))

    @contextmanager
    def session(
        self,
        session_id: str | None = None,
        *,
        ttl: float | None = None,
        quota: Mapping[str, int] | None = None,
        queue_timeout: float | None = None,
    ) -> Iterator[Client]:
        """As of ``KernelPool``: ``with pool.session("alice") as snake: …``, with a blocking client."""
        handle = self.pool.session(session_id, ttl=ttl, quota=quota, queue_timeout=queue_timeout)
        try:
            link, member = self._do(self._check_out(handle))
            client = Client(link)
            client.on_hung = partial(self._on_loop, member.hangs)
            try:
                yield client._in_session(handle.session_id)
            finally:
                client.close()
        finally:
            # Also where waiting was interrupted when it was about to be given.
            self._let_go(handle)

    async def _check_out(self, handle: PoolSession) -> tuple[Link, Member]:
        await handle.open()
        member = handle.member
        try:
            assert member is not None
            link = Link(find(member.manager), FROM_BYTES if member.is_local else None)
        except BaseException:
            handle.close()
            raise
        link.loss = WorkerLost
        link.on_loss = member.hear_of_loss
        link.inquire = member.what_ended_it
        handle.on_end = lambda: link.end(
            f"The pool's kernel is gone: {member.why or 'the session ended'}.", member.ended_with
        )
        return link, member

    def _let_go(self, handle: PoolSession) -> None:
        self._on_loop(handle.close)

    def _on_loop(self, function: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None and os.getpid() == self._pid:
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:
                # The pool was closed meanwhile, and the session with it.
                return

    def close_session(self, session_id: str) -> None:
        """As of ``KernelPool``."""
        self._do(self.pool.close_session(session_id))

    def resize(self, **settings: Any) -> None:
        """As of ``KernelPool``."""

        async def resize() -> None:
            self.pool.resize(**settings)

        self._do(resize())

    def status(self) -> PoolStatus:
        """As of ``KernelPool``."""

        async def status() -> PoolStatus:
            return self.pool.status()

        return self._do(status())

    def ready(self) -> None:
        """As of ``KernelPool``."""
        self._do(self.pool.ready())
