"""Bytes of segments on their way through an engine's object store.

Rules: a parcel is pickled out of band, so that the engine moves its buffers and does not copy them into a
pickle. What is given to a kernel lies in segments of this process until it is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pickle import PickleBuffer
from typing import Any


class Parcel:
    """Flat buffers."""

    def __init__(self, buffers: Sequence[Any]) -> None:
        self.buffers = [memoryview(buffer).cast("B") for buffer in buffers]

    @classmethod
    def of(cls, segments: list[dict[str, Any]]) -> Parcel:
        """What these segments hold: each with ``pid``, ``descriptor``, ``name``, ``offset`` and ``length``.

        Raises OSError where one is not there.
        """
        from ..memory.segments import open_segment

        return cls(
            [
                open_segment(one["pid"], one["descriptor"], one["name"], one["offset"], one["length"])
                for one in segments
            ]
        )

    def __reduce__(self) -> tuple[Callable[..., Parcel], tuple[list[PickleBuffer]]]:
        return Parcel, ([PickleBuffer(buffer) for buffer in self.buffers],)

    def __sizeof__(self) -> int:
        # Engines that spill ask for it.
        return object.__sizeof__(self) + sum(buffer.nbytes for buffer in self.buffers)


class Given:
    """Segments of this process for its kernel, by token."""

    def __init__(self) -> None:
        self._leases: dict[str, list[Any]] = {}
        self._entries: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def give(self, token: str, parcel: Parcel) -> list[dict[str, Any]]:
        """Place a parcel's buffers, once for each token. Raises OSError where no memory is left."""
        import os

        from ..memory.segments import place

        with self._lock:
            if token not in self._entries:
                placed = [place(buffer) for buffer in parcel.buffers]
                self._leases[token] = [one.lease for one in placed]
                self._entries[token] = [
                    {
                        "pid": os.getpid(),
                        "descriptor": one.descriptor,
                        "name": one.name,
                        "offset": one.offset,
                        "length": one.length,
                    }
                    for one in placed
                ]
            return self._entries[token]

    def drop(self, token: str) -> None:
        """Let go of them. Idempotent."""
        with self._lock:
            self._entries.pop(token, None)
            for lease in self._leases.pop(token, ()):
                lease.end()

    def close(self) -> None:
        """Let go of all."""
        for token in list(self._entries):
            self.drop(token)
