"""Which kernel process a call id was sent to, so that its repetition runs in no other one.

Rules: the first process counts, whatever the client learned since; but for calls that may run twice. The
newest 10,000 ids are remembered. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

_REMEMBERED: Final = 10_000


class Epochs:
    """The epochs of one connection's call ids."""

    def __init__(self) -> None:
        # A signal handler may send while its thread notes one.
        self._lock = threading.RLock()
        self._first: OrderedDict[str, str] = OrderedDict()

    def first(self, call_id: str, latest: str | None) -> str | None:
        """The process that an id was sent to first: the latest one known, where it is new."""
        if latest is None:
            return self._first.get(call_id)
        with self._lock:
            first = self._first.setdefault(call_id, latest)
            while len(self._first) > _REMEMBERED:
                self._first.popitem(last=False)
            return first

    def known(self, call_id: str, latest: str | None) -> str | None:
        """As ``first``, without taking note of a new one."""
        return self._first.get(call_id, latest)

    def forget(self, call_id: str) -> None:
        """An id may be used in another process."""
        self._first.pop(call_id, None)
