"""``snake_changed`` on iopub: which stored names changed, told at most 20 times a second.

Rules: never a child of any request, for some clients reject unknown children; changes are kept in order
and in step with the store's version, so that a client sees a gap.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from ..objects.store import Change

INTERVAL: Final = 0.05
_MOST: Final = 1_000


class ChangeFeed:
    """Collects changes and publishes them in batches.

    Args:
        schedule: runs a function after that many seconds, callable from any thread.
        publish: sends the content of one ``snake_changed``.
    """

    def __init__(
        self,
        schedule: Callable[[float, Callable[[], None]], None],
        publish: Callable[[dict[str, Any]], None],
    ) -> None:
        self._schedule = schedule
        self._publish = publish
        self._lock = threading.Lock()
        self._pending: list[Change] = []
        self._scheduled = False

    def __call__(self, change: Change) -> None:
        """A name changed."""
        with self._lock:
            self._pending.append(change)
            if self._scheduled:
                return
            self._scheduled = True
        self._schedule(INTERVAL, self._flush)

    def _flush(self) -> None:
        with self._lock:
            changes, self._pending, self._scheduled = self._pending, [], False
        changes.sort(key=lambda change: change.version)
        # What does not fit is a gap that a client sees in ``since``.
        kept = changes[-_MOST:]
        self._publish(
            {
                "since": kept[0].version - 1,
                "version": kept[-1].version,
                "changes": [asdict(change) for change in kept],
            }
        )
