"""Calls that do not end at their deadline: who waits is told of it, and the kernel may be ended for it.

Rules: the kernel stops a call at its deadline by itself. Where no reply comes within a second of it, the call
is cancelled and given up, control is asked whether it still answers, and ``KernelHung`` says what was found,
all within two seconds of the deadline. Where the client was started with ``on_hang="kill"`` the kernel gets
SIGINT, and SIGKILL with its process group if its main thread is still not free. Nobody else's is signalled.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from ..errors import KernelHung, KernelLost, ReplyTimeout, Unsupported
from ..wire.names import request_type
from .link import GONE
from .payload import whole

if TYPE_CHECKING:
    from .launch import Launch
    from .link import Link
    from .waiting import Turns
    from .watch import Watch

OnHang = Literal["tell", "kill"]

#: Seconds after its deadline in which the reply of a call that was stopped comes; those in which control
#: answers; those in which an interrupted kernel is free again.
GRACE: Final = 0.8
_PROBE: Final = 0.4
_INTERRUPT: Final = 0.25
#: Seconds in which the system ends a process that was killed.
_ENDING: Final = 5.0
_PING: Final = request_type("ping")
#: Seconds between two tries to reach a kernel that was started anew.
_AGAIN: Final = 0.02
_CANCELLED: Final = "it was cancelled, and may still run"
_FREED: Final = "it was interrupted"
KILLED: Final = "the kernel was killed"
_NOT_OURS: Final = "This client did not start the kernel, so it does not end it; ask whoever did."


def _signal(launch: Launch, number: int) -> None:
    """Send a signal to the kernel's process group, or to its process where it leads none."""
    provisioner = launch.manager.provisioner
    process = getattr(provisioner, "process", None)
    # While its status was not asked for, its number is nobody else's.
    if process is None or process.poll() is not None:
        return
    with suppress(OSError):
        if provisioner.pgid and hasattr(os, "killpg"):
            os.killpg(provisioner.pgid, number)
        else:
            process.send_signal(number)


def _kill(launch: Launch, watch: Watch | None) -> None:
    if watch is not None:
        watch.was_killed = True
    process = launch.manager.provisioner.process
    _signal(launch, getattr(signal, "SIGKILL", signal.SIGTERM))
    if process is not None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING)


def hung(deadline: float, *, control: bool, then: str = _CANCELLED) -> KernelHung:
    what = "the kernel answers on control" if control else "control does not answer: something holds the GIL"
    return KernelHung(
        f"The call did not stop at its deadline of {deadline:g} s; {what}, {then}.",
        control=control,
        is_killed=then is KILLED,
    )


class Hanging:
    """Of the blocking client."""

    _launch: Launch | None
    _on_hang: OnHang = "tell"
    #: Of a pool's kernel: ends it where not even control answers.
    on_hung: Callable[[], object] | None = None
    _turns: Turns
    _link: Link
    _on_control: Callable[[str], Any]
    _greet: Callable[..., None]

    def _by_deadline(
        self, submit: Callable[[float | None], Any], deadline: float, timeout: float | None
    ) -> Any:
        patience = deadline + GRACE
        if timeout is not None and timeout <= patience:
            return submit(timeout)
        try:
            return submit(patience)
        except ReplyTimeout:
            pass
        control = self._answers(self._on_control(_PING), _PROBE)
        then, launch = _CANCELLED, self._launch
        if not control and self.on_hung is not None:
            self.on_hung()
            then = KILLED
        elif self._on_hang == "kill" and launch is not None and launch.is_ours:
            free = self._turns.request(self._link.message(_PING, b"{}"), _PING, whole)
            _signal(launch, signal.SIGINT)
            then = _FREED
            if not self._answers(free, _INTERRUPT):
                self.kill()
                then = KILLED
        raise hung(deadline, control=control, then=then)

    def _answers(self, asked: Any, seconds: float) -> bool:
        came: bool = self._turns.wait(asked, seconds)
        if came:
            # KernelLost, for one.
            asked.result()
        else:
            asked.cancel()
        return came

    def kill(self) -> None:
        """End the kernel that this client started, and its process group, at once.

        What waits for it gets KernelLost. ``restart`` starts it anew. Raises Unsupported where this client
        only connected to the kernel.
        """
        if self._launch is None or not self._launch.is_ours:
            raise Unsupported(_NOT_OURS)
        _kill(self._launch, self._turns._watch)
        self._link.fail(GONE)

    def restart(self, *, timeout: float = 60.0) -> None:
        """End the kernel that this client started at once, and start it anew; what it had is gone.

        Args:
            timeout: seconds until it must answer.
        """
        self.kill()
        assert self._launch is not None
        self._launch.manager.restart_kernel(now=True)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._greet(max(0.0, deadline - time.monotonic()), self._launch.manager.is_alive)
                return
            except KernelLost as error:
                if not _is_of_before(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(_AGAIN)


class AsyncHanging:
    """Of the async client."""

    _launch: Launch | None
    _on_hang: OnHang = "tell"
    #: Of a pool's kernel: ends it where not even control answers.
    on_hung: Callable[[], object] | None = None
    _opened: Callable[..., tuple[Any, Any]]
    _watch: Watch | None
    _on_control: Callable[[str], Any]
    _greet: Callable[..., Awaitable[None]]

    def _by_deadline(
        self, submit: Callable[[float | None], Any], deadline: float, timeout: float | None
    ) -> Any:
        patience = deadline + GRACE
        if timeout is not None and timeout <= patience:
            return submit(timeout)
        # Sent here, not in the coroutine, so that requests go out in the order they were made.
        return self._told(submit(patience), deadline)

    async def _told(self, reply: Any, deadline: float) -> Any:
        try:
            return await reply
        except ReplyTimeout:
            pass
        control = await self._answers(self._on_control(_PING), _PROBE)
        raise hung(deadline, control=control, then=await self._end_hung(control))

    async def _end_hung(self, control: bool) -> str:
        """End the kernel that hangs, where that was asked for; says what became of the call."""
        if not control and self.on_hung is not None:
            self.on_hung()
            return KILLED
        launch = self._launch
        if self._on_hang != "kill" or launch is None or not launch.is_ours:
            return _CANCELLED
        link, post = self._opened()
        free = post.send(link.message(_PING, b"{}"))
        _signal(launch, signal.SIGINT)
        if await self._answers(free, _INTERRUPT):
            return _FREED
        await self.kill()
        return KILLED

    async def _answers(self, asked: asyncio.Future[Any], seconds: float) -> bool:
        await asyncio.wait([asked], timeout=seconds)
        if not asked.done():
            return False
        # KernelLost, for one.
        asked.result()
        return True

    async def kill(self) -> None:
        """As of the blocking client."""
        if self._launch is None or not self._launch.is_ours:
            raise Unsupported(_NOT_OURS)
        link, _ = self._opened(is_checked=False)
        await asyncio.to_thread(_kill, self._launch, self._watch)
        link.fail(GONE)

    async def restart(self, *, timeout: float = 60.0) -> None:
        """As of the blocking client."""
        await self.kill()
        assert self._launch is not None
        await self._launch.manager.restart_kernel(now=True)
        deadline = time.monotonic() + timeout
        while True:
            try:
                await self._greet(max(0.0, deadline - time.monotonic()), self._launch.manager.is_alive)
                return
            except KernelLost as error:
                if not _is_of_before(error) or time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(_AGAIN)


def _is_of_before(error: KernelLost) -> bool:
    """Whether a kernel that was started anew may only not be connected yet."""
    return error.cause in ("connection", "killed", "shutdown")
