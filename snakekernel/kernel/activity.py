"""What a running request shows on iopub: busy and idle, and how many messages it produced.

Rules: a request that ends within ``after`` seconds and is silent publishes no status; a longer one is shown
busy by a thread of this module (the main thread may hold the loop), one that produces output just before
its first message. Idle comes last, after the reply. Control requests are never shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

AFTER: Final = 0.05


class Activity:
    """One running request; ``serving`` is what serves it."""

    __slots__ = ("_lock", "_publish", "busy", "outputs", "parent", "serving", "started")

    def __init__(
        self, parent: dict[str, Any], publish: Callable[[str, dict[str, Any]], None], serving: object = None
    ) -> None:
        self.parent = parent
        self.serving = serving
        self.started = time.monotonic()
        self.outputs = 0
        self.busy = False
        self._publish = publish
        self._lock = threading.Lock()

    def show_busy(self) -> None:
        """Publish busy, once."""
        with self._lock:
            if not self.busy:
                self.busy = True
                self._publish("busy", self.parent)

    def count_output(self) -> None:
        """One message of this request is about to go out on iopub."""
        self.show_busy()
        with self._lock:
            self.outputs += 1


class Activities:
    """The requests under way, by session and message id."""

    def __init__(self, publish: Callable[[str, dict[str, Any]], None], *, after: float = AFTER) -> None:
        self._publish = publish
        self._after = after
        self._running: dict[str, Activity] = {}
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, parent: dict[str, Any], serving: object = None) -> Activity:
        """A request starts."""
        activity = self._running[_key(parent["header"])] = Activity(parent, self._publish, serving)
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()
        return activity

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="snakekernel status", daemon=True)
                thread.start()
                # Not before: who closes joins it.
                self._thread = thread

    @property
    def any(self) -> bool:
        """Whether any request is under way."""
        return bool(self._running)

    def running(self) -> list[object]:
        """What serves the requests under way."""
        return [activity.serving for activity in list(self._running.values())]

    def find(self, header: dict[str, Any]) -> Activity | None:
        """The running request of this header."""
        return self._running.get(_key(header))

    def end(self, activity: Activity) -> None:
        """The request's reply is sent: from here on it is neither shown busy nor credited with output."""
        self._running.pop(_key(activity.parent["header"]), None)
        # Whoever looks at activities may keep the last one; a request's buffers are not kept with it.
        activity.serving = None
        with activity._lock:
            busy, activity.busy = activity.busy, True
        if busy:
            self._publish("idle", activity.parent)

    def close(self) -> None:
        """Stop the thread."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _watch(self) -> None:
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            while not self._closed.is_set():
                quiet = [a.started for a in list(self._running.values()) if not a.busy]
                if not quiet:
                    break
                # Sleeping through the interval, not to the request's own deadline, keeps a flood of
                # small requests at 20 wake-ups a second.
                self._closed.wait(self._after)
                due = time.monotonic() - self._after
                for activity in list(self._running.values()):
                    if not activity.busy and activity.started <= due:
                        activity.show_busy()


def _key(header: dict[str, Any]) -> str:
    return f"{header.get('session')}/{header.get('msg_id')}"
