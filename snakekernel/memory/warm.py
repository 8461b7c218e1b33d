"""Segments of ours that are filled again, since fresh memory is what a copy costs most.

Rules: one is filled again only after its receiver has taken it, and when the system says that no other open
file leads to it: mappings, also those of forked children and of whoever it was lent on to, hold one. What is
left of earlier bytes is zeroed.
"""

from __future__ import annotations

import fcntl
import mmap
import signal
from collections.abc import Callable


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
