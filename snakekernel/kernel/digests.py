"""The signatures seen, so that no message is taken twice.

Rules: two generations. When the younger is full it becomes the older, and the older is let go; so the newest
``size / 2`` to ``size`` signatures are known, each at the same cost. Stock keeps one set and culls it by a
random sample, for which the kernel stands still every few thousand messages.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any


class Digests(set[bytes]):
    """Takes the place of jupyter_client's ``Session.digest_history``, which has to be a set."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._generation = max(1, size // 2)
        self._lock = threading.Lock()
        self._younger: set[bytes] = set()
        self._older: set[bytes] = set()

    def add(self, signature: bytes) -> None:
        """Remember a signature."""
        if len(self._younger) >= self._generation:
            with self._lock:
                # Asked again: another thread may have come first.
                if len(self._younger) >= self._generation:
                    self._older, self._younger = self._younger, set()
        self._younger.add(signature)

    def update(self, *others: Iterable[bytes]) -> None:
        """Remember all of these."""
        for other in others:
            for signature in other:
                self.add(signature)

    def __contains__(self, signature: Any) -> bool:
        return signature in self._younger or signature in self._older

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def __iter__(self) -> Any:
        return iter([*self._older, *self._younger])
