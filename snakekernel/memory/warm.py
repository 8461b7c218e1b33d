"""Segments of ours that are filled again, since fresh memory is what a copy costs most.

Rules: one is filled again only after its receiver has taken it, and when the system says that no other open
file leads to it: mappings, also those of forked children and of whoever it was lent on to, hold one. They
are few and bounded in sum, and dropped when they were not used for some seconds. What is left of earlier
bytes is zeroed. A finalizer may run at any moment, so no lock guards this: whoever takes one out of the list
has it for himself.
"""

from __future__ import annotations

import fcntl
import mmap
import signal
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

#: At most so many are kept, and so many bytes of them.
MOST: Final = 4
MOST_BYTES: Final = 256 << 20
#: Seconds after which one that was not used is dropped.
IDLE: Final = 3.0


class Warm:
    """A segment that stays mapped for writing, though nobody can map it so any more.

    Args:
        descriptor: open for reading only, as the system's answer depends on it.
        close: closes that descriptor; may be called twice.
        memory: where it is mapped, from ``address`` on, ``size`` bytes. It closes the descriptor at its end.

    Attributes:
        used: when its receiver took it last, by the monotonic clock.
    """

    __slots__ = ("__weakref__", "_close", "_memory", "address", "descriptor", "name", "size", "used")

    def __init__(
        self,
        descriptor: int,
        close: Callable[[], None],
        name: str,
        memory: mmap.mmap,
        address: int,
        size: int,
    ) -> None:
        self.descriptor = descriptor
        self.name = name
        self.address = address
        self.size = size
        self.used = 0.0
        self._close = close
        self._memory = memory
        # Whoever opens it during a look would have us told by SIGIO, which ends a process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)

    @property
    def is_alone(self) -> bool:
        """Whether no other open file leads to it; False, too, where the system cannot tell."""
        try:
            # The system grants this only to a file's single opener.
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            return False
        fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return True

    def close(self) -> None:
        """Let go of it. Idempotent."""
        self._close()
        self._memory.close()


class Pool:
    """The warm segments of this process that are not being sent."""

    def __init__(self) -> None:
        self._free: list[Warm] = []
        # Also those being sent, for a forked child must let go of them.
        self._all: weakref.WeakSet[Warm] = weakref.WeakSet()
        self._watcher: threading.Thread | None = None

    def add(self, warm: Warm) -> None:
        """Know of a new one."""
        self._all.add(warm)

    def take(self, length: int) -> Warm | None:
        """One that holds ``length`` bytes and no more than twice as many, and that nobody else has."""
        for warm in list(self._free):
            if length <= warm.size <= 2 * length and self._claim(warm):
                # Looked at only now that no other thread can lend it.
                if warm.is_alone:
                    return warm
                self._free.append(warm)
        return None

    def give(self, warm: Warm) -> None:
        """Its receiver has taken it: keep it, in place of those unused for longest."""
        warm.used = time.monotonic()
        self._free.append(warm)
        while len(self._free) > MOST or sum(kept.size for kept in list(self._free)) > MOST_BYTES:
            oldest = min(list(self._free), key=lambda kept: kept.used, default=None)
            if oldest is not None and self._claim(oldest):
                oldest.close()
        if self._watcher is None:
            self._watch()

    def abandon(self) -> None:
        """In a forked child: they are its parent's."""
        self._free.clear()
        self._watcher = None
        for warm in list(self._all):
            warm.close()

    def _claim(self, warm: Warm) -> bool:
        try:
            self._free.remove(warm)
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
            time.sleep(IDLE / 3)
            self._drop(time.monotonic() - IDLE)
        self._watcher = None
        if self._free:
            # Given meanwhile, by one who saw this thread.
            self._watch()

    def _drop(self, used_before: float) -> None:
        for warm in list(self._free):
            if warm.used <= used_before and self._claim(warm):
                warm.close()
