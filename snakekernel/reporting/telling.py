"""Who is told of progress, and how often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

#: Seconds between two tellings; the last is told whatever the time.
APART: Final = 0.1

#: Gets ``(done, total, text)``; a total of 0 is not known.
Tell = Callable[[int, int, str], object]


class Listener(Protocol):
    """Whom one bar tells."""

    def __call__(self, done: int, total: int, text: str) -> object:
        """How far it is now; may be passed over where it comes too often."""

    def close(self) -> object:
        """It is over: what was said last must be told."""


class Throttle:
    """Passes on at most ten tellings a second that tell anything new, and the last one always.

    Args:
        tell: gets what is passed on. later: called when something is kept back that nobody was told of yet.
    """

    __slots__ = ("_kept", "_later", "_next", "_tell", "_told")

    def __init__(self, tell: Tell, later: Callable[[Throttle], object] | None = None) -> None:
        self._tell = tell
        self._later = later
        self._next = 0.0
        self._kept: tuple[int, int, str] | None = None
        self._told: tuple[int, int, str] | None = None

    def __call__(self, done: int, total: int, text: str) -> None:
        """See ``Listener``."""
        now = time.monotonic()
        if now >= self._next:
            self._next, self._kept = now + APART, None
            self._pass_on((done, total, text))
            return
        first, self._kept = self._kept is None, (done, total, text)
        if first and self._later is not None:
            self._later(self)

    def close(self) -> None:
        """Tell what is kept back."""
        kept, self._kept = self._kept, None
        if kept is not None:
            self._pass_on(kept)

    def _pass_on(self, what: tuple[int, int, str]) -> None:
        if what != self._told:
            self._told = what
            self._tell(*what)


def _nobody() -> Listener | None:
    return None


#: Finds whom the code that runs here is to tell, or None; the kernel puts its own in place.
find: Callable[[], Listener | None] = _nobody
