"""When a call that its caller marked idempotent is sent again, once for both clients.

Rules: only after a loss that leaves open whether it ran; never after a reply, a timeout, an interrupt or a
cancellation. At most three times, within the call's own timeout. A request that is known not to have been
sent counts for nothing, but a kernel that does not come back is waited for twenty seconds and no longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..errors import KernelLost, OutcomeUnknown, ReplyTimeout, WorkerLost

#: How often one call may be sent.
TRIES: Final = 3
#: Seconds that a lost kernel is waited for, and between looks whether it is back.
_PATIENCE: Final = 20.0
_PAUSE: Final = 0.05


class Retries:
    """The tries of one call.

    Args:
        timeout: seconds for all of them; None for no end.
    """

    def __init__(self, timeout: float | None) -> None:
        self._until = None if timeout is None else time.monotonic() + timeout
        self._tries = 0
        #: When the kernel was lost that is waited for, and what was raised of it.
        self._lost: float | None = None
        self._first: OutcomeUnknown | None = None

    def left(self) -> float | None:
        """Seconds for the next try."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def take(self, error: OutcomeUnknown, *, is_final: bool) -> None:
        """Take note of what a try ended with; raises it where there is no other.

        Args:
            is_final: whether the connection will never be there again.
        """
        now = time.monotonic()
        was_sent = not isinstance(error, KernelLost) or error.sent
        if was_sent:
            self._tries += 1
            self._first = error
            self._lost = now
        elif self._lost is None:
            self._lost = now
        # A session of a pool goes with its kernel; an outcome that was let go does not come back.
        is_over = is_final or isinstance(error, ReplyTimeout | WorkerLost) or error.at == "$.call_id"
        is_late = now - (self._lost or now) > _PATIENCE or (self._until is not None and now >= self._until)
        if is_over or is_late or self._tries >= TRIES:
            # Of several, the one that says whether it may have run.
            if self._first is None or was_sent:
                raise error
            raise self._first from error


def retried(send: Callable[[float | None], Any], timeout: float | None, is_final: Callable[[], bool]) -> Any:
    """The result of a call that is sent again where its kernel is lost; ``send`` takes the seconds left."""
    retries = Retries(timeout)
    while True:
        try:
            return send(retries.left())
        except OutcomeUnknown as error:
            retries.take(error, is_final=is_final())
        time.sleep(_PAUSE)


def retried_later(
    send: Callable[[float | None], Awaitable[Any]], timeout: float | None, is_final: Callable[[], bool]
) -> Awaitable[Any]:
    """As ``retried``, for an event loop. It is sent first here, so that requests go out in their order."""
    retries = Retries(timeout)

    def begin() -> Awaitable[Any]:
        try:
            return send(retries.left())
        except OutcomeUnknown as error:
            return _failed(error)

    async def result(sent: Awaitable[Any]) -> Any:
        while True:
            try:
                return await sent
            except OutcomeUnknown as error:
                retries.take(error, is_final=is_final())
            await asyncio.sleep(_PAUSE)
            sent = begin()

    return result(begin())


async def _failed(error: OutcomeUnknown) -> Any:
    raise error
