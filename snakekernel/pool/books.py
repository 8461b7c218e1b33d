"""What the policy of a pool knows, and the steps that change it: each keeps the books right and says what is
to be done about it.

Rules: a ticket is in line, or holds a kernel or a session, or is over; a session whose kernel is stopped is
held back until that kernel is gone. Steps know nothing of why they are taken.
"""

from __future__ import annotations

from typing import Any, Final

from .events import (
    Action,
    EndSession,
    Grant,
    Refusal,
    Refuse,
    SessionEnd,
    Settings,
    Stop,
    StopReason,
)
from .fleet import Fleet, Kernel, Session
from .timers import Timers
from .waiting import Line

#: States in which a kernel takes nothing any more and is to be gone soon.
LEAVING: Final = ("stopping", "lost")


class Books:
    """Kernels, sessions, tickets and times of one pool."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.fleet = Fleet()
        self.line = Line()
        self.sessions: dict[str, Session] = {}
        self.is_draining = False
        #: What tickets that were granted hold.
        self._held: dict[int, Kernel | Session] = {}
        #: Sessions whose last kernel may still run -> that kernel.
        self._held_back: dict[str, Kernel] = {}
        self._timers: Timers[tuple[str, Any]] = Timers()
        self._actions: list[Action] = []

    @property
    def is_drained(self) -> bool:
        """Whether the pool was to drain and has nothing left."""
        return self.is_draining and not self.fleet.kernels

    def _is_known(self, ticket: int) -> bool:
        return ticket in self._held or ticket in self.line

    def _is_over_quota(self, name: str) -> bool:
        openings = self.line.openings
        return name not in openings and len(self.sessions) + len(openings) >= self.settings.max_sessions

    def _free(self) -> Kernel | None:
        """A kernel that can take a call more, of those for calls."""
        kernel = self.fleet.least_loaded()
        return None if kernel is None or len(kernel.calls) >= self.settings.calls_per_kernel else kernel

    def expires(self, session: Session) -> float | None:
        """When a session expires; None while somebody holds it, or where it has no time to live."""
        return self._timers.when(("ttl", session.name))

    def _retire(self, kernel: Kernel, reason: StopReason) -> None:
        """Stop a kernel for calls once its calls are done."""
        if kernel.calls:
            kernel.reason = reason
            self.fleet.move(kernel, "retiring")
        else:
            self._stop(kernel, reason)

    def _stop(self, kernel: Kernel, reason: StopReason, *, state: Any = "stopping") -> None:
        kernel.reason = reason
        self.fleet.move(kernel, state)
        self._timers.cancel(("idle", kernel.number))
        self._timers.cancel(("age", kernel.number))
        self._actions.append(Stop(kernel.number, reason))

    def _set_idle(self, kernel: Kernel, now: float, *, least: float = 0.0) -> None:
        if self.settings.idle is not None:
            self._timers.set(("idle", kernel.number), now + max(self.settings.idle, least))

    def _end_calls(self, kernel: Kernel) -> None:
        for ticket in kernel.calls:
            del self._held[ticket]
        if kernel.state == "calls":
            # Its shelf is found by its load.
            self.fleet.move(kernel, "retiring")
        kernel.calls.clear()

    def _refuse(self, ticket: int, reason: Refusal) -> None:
        self._timers.cancel(("deadline", ticket))
        self._actions.append(Refuse(ticket, reason))

    def _begin(self, kernel: Kernel, ticket: int) -> None:
        """Give a kernel to a call."""
        self._timers.cancel(("idle", kernel.number))
        self._held[ticket] = kernel
        self.fleet.begin(kernel, ticket)
        self._actions.append(Grant(ticket, kernel.number))
        if self.settings.max_requests is not None and kernel.served >= self.settings.max_requests:
            self._retire(kernel, "requests")

    def _open_next(self, kernel: Kernel, now: float) -> None:
        """Open the oldest session that waits."""
        opening = self.line.take_opening()
        session = self._open(opening.session, opening.ttl, kernel, now)
        for number, ticket in enumerate(opening.tickets):
            self._grant_session(session, ticket, is_new=number == 0)

    def _open(self, name: str, ttl: float | None, kernel: Kernel, now: float) -> Session:
        if kernel.state == "unused":
            kernel.use = "sessions"
            self._timers.cancel(("idle", kernel.number))
            self.fleet.move(kernel, "sessions")
        kernel.opened += 1
        self.fleet.offer(kernel, self.settings.sessions_per_kernel)
        session = Session(name, kernel, self.settings.session_ttl if ttl is None else ttl, now)
        self.sessions[name] = kernel.sessions[name] = session
        return session

    def _grant_session(self, session: Session, ticket: int, *, is_new: bool = False) -> None:
        self._timers.cancel(("deadline", ticket))
        self._timers.cancel(("ttl", session.name))
        session.holders.add(ticket)
        self._held[ticket] = session
        self._actions.append(Grant(ticket, session.kernel.number, is_new))

    def _end(self, session: Session, end: SessionEnd | None, stop: StopReason) -> None:
        """End a session, and its kernel where it was the last one there; without ``end`` nobody is told."""
        kernel = session.kernel
        if len(kernel.sessions) > 1:
            self._forget(session, end)
        else:
            self._end_sessions(kernel, end)
            self._stop(kernel, stop)

    def _end_sessions(self, kernel: Kernel, end: SessionEnd | None) -> None:
        """End all sessions of a kernel; they are not opened elsewhere until it is gone."""
        for session in list(kernel.sessions.values()):
            self._forget(session, end)
            kernel.held_back.append(session.name)
            self._held_back[session.name] = kernel

    def _forget(self, session: Session, end: SessionEnd | None) -> None:
        del self.sessions[session.name], session.kernel.sessions[session.name]
        self._timers.cancel(("ttl", session.name))
        for ticket in session.holders:
            del self._held[ticket]
        if end is not None:
            self._actions.append(EndSession(session.name, session.kernel.number, end))
