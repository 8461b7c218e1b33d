"""Cleaning up when the next session or entry expires, on the main loop."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from ..commands.runtime import Runtime

#: Seconds from now on, at least.
_SOONEST: Final = 0.05


class Expiry:
    """A timer on the main loop, set to the next end. Its ``arm`` may be called on any thread.

    Attributes:
        loop: the main thread's, once it runs; before, nothing is cleaned up but by requests.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._runtime = runtime
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    def arm(self) -> None:
        """Have the loop clean up when the next session or entry expires."""
        due = self._runtime.next_expiry()
        if due is None or self.loop is None:
            return
        if self._due is None or due < self._due:
            # Noted now: the main loop may be busy, and a busy subshell asks at every request.
            self._due = due
            self.loop.call_soon_threadsafe(self._set, due)

    def _set(self, due: float) -> None:
        assert self.loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self.loop.call_later(max(_SOONEST, due - time.time()), self._expire)

    def _expire(self) -> None:
        self._timer = self._due = None
        self._runtime.expire(time.time())
        self.arm()
