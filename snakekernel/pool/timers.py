"""Things that fall due: one time for each key, in a heap that is tidied lazily.

Rules: putting a time off or cancelling it costs O(1), anything else O(log n) amortised; the heap never
holds more than twice what is due, and some.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

#: Stale entries that are not worth a clean-up.
_SLACK = 64


class Timers(Generic[K]):
    """Keys and when each is due."""

    __slots__ = ("_due", "_heap", "_number", "_pushed")

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        #: The earliest entry of the heap that is for this key; others are stale.
        self._pushed: dict[K, float] = {}
        # The number keeps keys of one time in order, and keys themselves from being compared.
        self._heap: list[tuple[float, int, K]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: K, when: float) -> None:
        """Make ``key`` due at ``when``, whenever it was due before."""
        self._due[key] = when
        pushed = self._pushed.get(key)
        if pushed is None or when < pushed:
            self._push(key, when)

    def cancel(self, key: K) -> None:
        """Forget the key, known or not."""
        self._due.pop(key, None)

    def when(self, key: K) -> float | None:
        """When a key is due; None where it is not."""
        return self._due.get(key)

    def first(self) -> float | None:
        """When the next key is due; None where there is none."""
        self._tidy()
        return self._heap[0][0] if self._heap else None

    def is_any_due(self, now: float) -> bool:
        """Whether ``due`` may have something."""
        return bool(self._heap) and self._heap[0][0] <= now

    def due(self, now: float) -> Iterator[K]:
        """Take the keys that are due, the earliest first; what is set meanwhile is seen too."""
        while self._heap and self._heap[0][0] <= now:
            self._tidy()
            if self._heap and self._heap[0][0] <= now:
                _, _, key = heappop(self._heap)
                del self._pushed[key], self._due[key]
                yield key

    def _tidy(self) -> None:
        """Bring the first entry up to date."""
        while self._heap:
            when, _, key = self._heap[0]
            if self._pushed.get(key) != when:
                heappop(self._heap)
                continue
            due = self._due.get(key)
            if due == when:
                return
            heappop(self._heap)
            del self._pushed[key]
            if due is not None:
                self._push(key, due)

    def _push(self, key: K, when: float) -> None:
        self._number += 1
        self._pushed[key] = when
        heappush(self._heap, (when, self._number, key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [(due, number, key) for number, (key, due) in enumerate(self._due.items())]
            self._number = len(self._heap)
            self._pushed = dict(self._due)
            heapify(self._heap)
