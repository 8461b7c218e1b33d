"""Letting go of what clients hold when they are heard of no more, on the control thread's loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final

from ..objects.leases import Leases

_log: Final = logging.getLogger(__name__)

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
        self.leases = Leases(on_sooner=self._arm)
        self._call_later = call_later
        #: When it looks next, by the monotonic clock.
        self._due: float | None = None

    def _arm(self) -> None:
        seconds = self.leases.next_end()
        if seconds is None:
            return
        seconds = max(_SOONEST, seconds)
        due = monotonic() + seconds
        # A lease shorter than those before it does not wait for them.
        if self._due is None or due < self._due:
            self._due = due
            self._call_later(seconds, partial(self._look, due))

    def _look(self, due: float) -> None:
        if due != self._due:
            # An earlier one took its place.
            return
        self._due = None
        # A loop that was held up, as by code that keeps the GIL, has renewals to read first.
        if monotonic() - due < _HELD_UP:
            for release in self.leases.expire():
                try:
                    release()
                except Exception:  # one that fails keeps nobody else's
                    _log.exception("What a lost client held could not be released")
        self._arm()
