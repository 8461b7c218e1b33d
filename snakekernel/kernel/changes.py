"""``snake_changed`` on iopub: which names changed, and how, told at most 20 times a second.

Rules: never a child of any request, for some clients reject unknown children; changes are kept in order
and in step with the store's version, so that a client sees a gap. Changes in place, those of variables and
those of sessions come along; they raise no version of the store's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from ..inspection.watches import Seen
from ..objects.entries import Change

INTERVAL: Final = 0.05
_MOST: Final = 1_000


class ChangeFeed:
    """Collects changes and publishes them in batches.

    Args:
        schedule: runs a function after that many seconds, callable from any thread.
        publish: sends the content of one ``snake_changed``.
        follow: told of each change at once, on the thread that made it.
    """

    def __init__(
        self,
        schedule: Callable[[float, Callable[[], None]], None],
        publish: Callable[[dict[str, Any]], None],
        follow: Callable[[Change], None] = lambda change: None,
    ) -> None:
        self._follow = follow
        self._schedule = schedule
        self._publish = publish
        self._lock = threading.Lock()
        self._pending: list[Change] = []
        self._in_place: list[dict[str, Any]] = []
        self._beside: dict[str, list[dict[str, Any]]] = {"variables": [], "sessions": []}
        self._scheduled = False
        #: The version that was told last.
        self._version = 0

    def __call__(self, change: Change) -> None:
        """A name changed."""
        self._follow(change)
        with self._lock:
            self._pending.append(change)
            if self._scheduled:
                return
            self._scheduled = True
        self._schedule(INTERVAL, self._flush)

    def session(self, action: str, session_id: str) -> None:
        """A session was opened or closed."""
        with self._lock:
            self._beside["sessions"].append({"action": action, "session_id": session_id})
        self._soon()

    def seen(self, seen: Seen) -> None:
        """A look at what is watched found changes."""
        with self._lock:
            self._in_place += [
                _told(Change("changed", name, session_id, "", version))
                for (session_id, name), version in seen.stored
            ]
            self._beside["variables"] += [{"action": action, "name": name} for action, name in seen.variables]
        self._soon()

    def _soon(self) -> None:
        with self._lock:
            if self._scheduled:
                return
            self._scheduled = True
        self._schedule(INTERVAL, self._flush)

    def _flush(self) -> None:
        with self._lock:
            changes, self._pending, self._scheduled = self._pending, [], False
            in_place, self._in_place = self._in_place, []
            beside, self._beside = self._beside, {name: [] for name in self._beside}
        changes.sort(key=lambda change: change.version)
        # What does not fit is a gap that a client sees in ``since``.
        kept = changes[-_MOST:]
        since = self._version
        if kept:
            since, self._version = kept[0].version - 1, kept[-1].version
        told = [_told(change) for change in kept]
        while told or in_place or any(beside.values()):
            room = _MOST - len(told)
            content = {"since": since, "version": self._version, "changes": told + in_place[:room]}
            content |= {name: rows[:_MOST] for name, rows in beside.items() if rows}
            self._publish(content)
            since, told, in_place = self._version, [], in_place[room:]
            beside = {name: rows[_MOST:] for name, rows in beside.items()}


def _told(change: Change) -> dict[str, Any]:
    # As ``asdict``, which copies every value of every change.
    return {
        "action": change.action,
        "name": change.name,
        "session_id": change.session_id,
        "writer": change.writer,
        "version": change.version,
    }
