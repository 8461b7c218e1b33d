"""Memory kept for a while to be filled again.

Rules: what is kept is few and bounded in sum, and dropped when it was not used for some seconds, by a thread
that lives only as long as there is something to drop. A finalizer may run at any moment, so no lock guards
this: whoever takes something out of the list has it for himself.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Final, Generic, Protocol, TypeVar

#: At most so many are kept, and so many bytes of them.
MOST: Final = 4
MOST_BYTES: Final = 256 << 20
#: Seconds after which one that was not used is dropped.
IDLE = 3.0
#: Seconds between looks for such.
LOOK = 1.0


class Kept(Protocol):
    """Memory of ``size`` bytes; ``used`` is when it was given last, by the monotonic clock."""

    size: int
    used: float

    @property
    def is_alone(self) -> bool:
        """Whether nobody reads it any more."""

    def close(self) -> None:
        """Let go of it. Idempotent."""


T = TypeVar("T", bound=Kept)


class Pool(Generic[T]):
    """What this process keeps of one kind."""

    def __init__(self) -> None:
        self._free: list[T] = []
        # Also those in use, for a forked child must let go of them.
        self._all: weakref.WeakSet[T] = weakref.WeakSet()
        self._watcher: threading.Thread | None = None

    def add(self, kept: T) -> None:
        """Know of a new one."""
        self._all.add(kept)

    def take(self, length: int) -> T | None:
        """One that holds ``length`` bytes and no more than twice as many, and that nobody else has."""
        for kept in list(self._free):
            if length <= kept.size <= 2 * length and self._claim(kept):
                # Looked at only now that no other thread can lend it.
                if kept.is_alone:
                    return kept
                self._free.append(kept)
        return None

    def give(self, kept: T) -> None:
        """It is on its way or read: keep it, in place of those unused for longest."""
        kept.used = time.monotonic()
        self._free.append(kept)
        while len(self._free) > MOST or sum(each.size for each in list(self._free)) > MOST_BYTES:
            oldest = min(list(self._free), key=lambda each: each.used, default=None)
            if oldest is not None and self._claim(oldest):
                oldest.close()
        if self._watcher is None:
            self._watch()

    def abandon(self) -> None:
        """In a forked child: they are its parent's."""
        self._free.clear()
        self._watcher = None
        for kept in list(self._all):
            kept.close()

    def _claim(self, kept: T) -> bool:
        try:
            self._free.remove(kept)
        except ValueError:
            # Another thread was first.
            return False
        return True

    def _watch(self) -> None:
        self._watcher = threading.Thread(target=self._drop_unused, name="snakekernel-warm", daemon=True)
        try:
            self._watcher.start()
        except RuntimeError:
            # No thread is to be had, or Python ends.
            self._watcher = None
            self._drop(time.monotonic())

    def _drop_unused(self) -> None:
        while self._free:
            time.sleep(LOOK)
            self._drop(time.monotonic() - IDLE)
        self._watcher = None
        if self._free:
            # Given meanwhile, by one who saw this thread.
            self._watch()

    def _drop(self, used_before: float) -> None:
        for kept in list(self._free):
            if kept.used <= used_before and self._claim(kept):
                kept.close()
