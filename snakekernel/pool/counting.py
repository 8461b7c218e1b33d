"""What a pool has done so far, in numbers: from the events told to its policy and the actions it asked for.

Rules: to count costs a call well under its time; nothing here keeps a pool from working. Numbers only grow.
Others may read them from any thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Literal

from .events import (
    CallAsked,
    Done,
    EndSession,
    Gone,
    Grant,
    Refuse,
    SessionAsked,
    Start,
    Started,
    Stop,
)

#: How a call that had a kernel ended: with a result, with an exception, with its kernel, or its caller left.
CallOutcome = Literal["ok", "error", "lost", "given_up"]


class Histogram:
    """How often something took how long.

    Attributes:
        counts: how many were within each of ``BOUNDS`` and beyond the one before; the last: beyond all.
        total: seconds of all.
    """

    #: Seconds.
    BOUNDS: Final = (
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1.0,
        2.5,
        5.0,
        10.0,
        30.0,
        60.0,
        300.0,
    )

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(self.BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.BOUNDS, seconds)] += 1
        self.total += seconds


class Counts:
    """The numbers of one pool."""

    def __init__(self) -> None:
        self.started = 0
        self.starts_failed = 0
        self.sessions_opened = 0
        self.calls: Counter[CallOutcome] = Counter()
        #: By the reasons of ``events``.
        self.stopped: Counter[str] = Counter()
        self.sessions_ended: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        #: Seconds until a kernel could be used, until a ticket was granted, and that a call had its kernel.
        self.start_seconds = Histogram()
        self.wait_seconds = Histogram()
        self.call_seconds = Histogram()
        self._starting: dict[int, float] = {}
        #: Since when tickets wait, and calls have their kernels.
        self._asked: dict[int, float] = {}
        self._calls: dict[int, float] = {}
        self._of_sessions: set[int] = set()
        self._does: Final[dict[type[Any], Callable[[Any, float], None]]] = {
            CallAsked: self._call_asked,
            SessionAsked: self._session_asked,
            Done: self._done,
            Started: self._has_started,
            Gone: self._gone,
            Start: self._start,
            Stop: self._stop,
            Grant: self._grant,
            Refuse: self._refuse,
            EndSession: self._end_session,
        }

    def told(self, event: Any, now: float) -> None:
        """An event, before the policy is told, or an action, before it is done."""
        count = self._does.get(type(event))
        if count is not None:
            count(event, now)

    def began(self, ticket: int, now: float) -> None:
        """A call found a kernel free."""
        self.wait_seconds.add(0.0)
        self._calls[ticket] = now

    def ended(self, ticket: int, now: float) -> None:
        """A call is over, and nothing came of that."""
        began = self._calls.pop(ticket, None)
        if began is not None:
            self.call_seconds.add(now - began)

    def _call_asked(self, event: CallAsked, now: float) -> None:
        self._asked[event.ticket] = now

    def _session_asked(self, event: SessionAsked, now: float) -> None:
        self._asked[event.ticket] = now
        self._of_sessions.add(event.ticket)

    def _grant(self, action: Grant, now: float) -> None:
        asked = self._asked.pop(action.ticket, now)
        self.wait_seconds.add(now - asked)
        if action.ticket in self._of_sessions:
            self._of_sessions.discard(action.ticket)
            self.sessions_opened += action.is_new
        else:
            self._calls[action.ticket] = now

    def _refuse(self, action: Refuse, now: float) -> None:
        self.refused[action.reason] += 1
        self._asked.pop(action.ticket, None)
        self._of_sessions.discard(action.ticket)

    def _done(self, event: Done, now: float) -> None:
        began = self._calls.pop(event.ticket, None)
        if began is not None:
            self.call_seconds.add(now - began)
        elif self._asked.pop(event.ticket, None) is not None:
            self._of_sessions.discard(event.ticket)

    def _start(self, action: Start, now: float) -> None:
        self._starting[action.kernel] = now

    def _has_started(self, event: Started, now: float) -> None:
        asked = self._starting.pop(event.kernel, None)
        if asked is not None:
            self.started += 1
            self.start_seconds.add(now - asked)

    def _gone(self, event: Gone, now: float) -> None:
        if self._starting.pop(event.kernel, None) is not None:
            self.starts_failed += 1

    def _stop(self, action: Stop, now: float) -> None:
        self.stopped[action.reason] += 1
        self._starting.pop(action.kernel, None)

    def _end_session(self, action: EndSession, now: float) -> None:
        self.sessions_ended[action.reason] += 1
