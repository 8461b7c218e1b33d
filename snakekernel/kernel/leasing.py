"""Letting go of what clients hold when they are heard of no more, on the control thread's loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ..objects.leases import Leases

#: Seconds between two looks, at least: leases are renewed all the time, and most ends never come.
_SOONEST: Final = 0.25
#: Seconds that a look may come late.
_HELD_UP: Final = 0.5


class Leasing:
    """Looks when the next lease may run out, for as long as anybody holds anything.

    Args:
        call_later: has the control thread call a function after some seconds; on any thread.
    """

    def __init__(self, call_later: Callable[[float, Callable[[], None]], None]) -> None:
        self.leases = Leases(on_hold=self._arm)
        self._call_later = call_later
        self._is_armed = False
        self._due = 0.0

    def _arm(self) -> None:
        seconds = self.leases.next_end()
        if seconds is not None and not self._is_armed:
            self._is_armed = True
            delay = max(_SOONEST, seconds)
            self._due = time.monotonic() + delay
            self._call_later(delay, self._look)

    def _look(self) -> None:
        self._is_armed = False
        # A loop that was held up, as by code that keeps the GIL, has renewals to read first.
        if time.monotonic() - self._due < _HELD_UP:
            for release in self.leases.expire():
                release()
        self._arm()
