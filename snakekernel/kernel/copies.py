"""Copies of the big buffers that a reply sends through the socket, in memory that is used again.

Rules: a buffer is sent as it is when the reply is made, whatever happens to its object after, so it is
copied. zmq would copy into memory of malloc's, which comes fresh and in small pages; that takes five times
as long to fill as huge ones, and many times as long as memory that is at hand. What zmq has sent is filled
again.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

import zmq

from ..memory.pool import Pool


class _Copy:
    """Memory of huge pages for one copy at a time."""

    __slots__ = ("__weakref__", "_memory", "_tracker", "size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0.0
        self._tracker: zmq.MessageTracker | None = None
        self._memory: mmap.mmap | None = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            # A system without huge pages: it costs what zmq's own copy would.
            pass

    @property
    def is_alone(self) -> bool:
        """Whether zmq has let go of what was copied here."""
        return self._tracker is None or self._tracker.done

    def fill(self, flat: memoryview) -> zmq.Frame:
        """Copy bytes; the frame sends them from here."""
        memory = memoryview(self._memory or b"")[: flat.nbytes]
        memory[:] = flat
        frame = zmq.Frame(memory, copy=False, track=True)
        self._tracker = frame.tracker
        return frame

    def close(self) -> None:
        """Let go of it: the memory goes once zmq has let go, too. Idempotent."""
        self._memory = None


_pool: Final[Pool[_Copy]] = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.abandon)


def copied(flat: memoryview) -> zmq.Frame:
    """A frame with these bytes as they are now."""
    copy = _pool.take(flat.nbytes) or _Copy(flat.nbytes)
    frame = copy.fill(flat)
    _pool.give(copy)
    return frame
