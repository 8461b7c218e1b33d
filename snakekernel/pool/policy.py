"""What a pool does next, decided from what it is told: a state machine without I/O, clock or chance.

Rules:

- A kernel serves calls or sessions, never both; a session stays where it is. Where a session's kernel was
  stopped or is out of reach, the session is opened anew only after ``Gone``.
- Every ticket gets one ``Grant`` or one ``Refuse``, unless ``Done`` comes before either. Tickets of a kernel
  that is lost, or of a session that is over, are over too.
- Free kernels go to those that wait in the order they came, calls and sessions alike. Where the pool is as
  large as it may be, a kernel for calls makes room for a session that has waited longer than any call.
- ``minimum`` kernels are out of reach of sessions, but one kernel of a pool always is in their reach.
- Kernels beyond ``maximum`` are never asked for; stopped and lost ones count until they are gone.
- An event that is late, doubled or about something unknown changes nothing.

An event costs O(log n) at worst, amortised, for n kernels, sessions and tickets; ``Resize`` and ``Drain``
look at every kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .books import LEAVING, Books
from .events import (
    Action,
    CallAsked,
    Done,
    Drain,
    Event,
    Gone,
    Measured,
    Resize,
    SessionAsked,
    SessionClosed,
    Settings,
    Start,
    Started,
    Tick,
    Unreachable,
)
from .fleet import Kernel, Session
from .sizing import in_reach_of_sessions, to_make_room, wanted

#: Seconds after which an idle kernel that was still needed is looked at again, at least.
_LOOK_AGAIN: Final = 1.0


class Policy(Books):
    """The decisions of one pool. Tell it ``Tick`` to begin with: it asks for its first kernels then."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        #: Failed starts in a row.
        self.failures = 0
        self._retry_at = float("-inf")
        self._last_kernel = 0
        #: ``fleet.changes`` when the number of kernels was last thought about.
        self._sized_at = -1
        self._handlers: Final[dict[type[Event], Callable[[Any, float], None]]] = {
            Started: self._started,
            Unreachable: self._unreachable,
            Gone: self._gone,
            Measured: self._measured,
            CallAsked: self._call_asked,
            SessionAsked: self._session_asked,
            Done: self._done,
            SessionClosed: self._session_closed,
            Tick: self._tick,
            Drain: self._drain,
            Resize: self._resize,
        }
        self._due: Final[dict[str, Callable[[Any, float], None]]] = {
            "deadline": self._late,
            "ttl": self._expired,
            "idle": self._idle,
            "age": self._aged,
            "retry": self._retry,
        }

    def handle(self, event: Event, now: float) -> list[Action]:
        """What to do about an event, in this order. ``now`` is never less than before."""
        if self._timers.is_any_due(now):
            self._run_timers(now)
        self._handlers[type(event)](event, now)
        self._serve(now)
        self._size(now)
        while self._timers.is_any_due(now):
            # Times to live of zero, and the like.
            self._run_timers(now)
            self._serve(now)
            self._size(now)
        actions, self._actions = self._actions, []
        return actions

    def next_tick(self) -> float | None:
        """When ``Tick`` is needed at the latest, if nothing else comes; None: not at all."""
        return self._timers.first()

    # -- kernels -------------------------------------------------------------------------------------------

    def _started(self, event: Started, now: float) -> None:
        kernel = self.fleet.kernels.get(event.kernel)
        if kernel is None or kernel.state != "starting":
            return
        self.failures = 0
        self._retry_at = now
        self._timers.cancel(("retry", None))
        kernel.started = now
        self.fleet.move(kernel, "unused")
        self._set_idle(kernel, now)
        if self.settings.max_age is not None:
            self._timers.set(("age", kernel.number), now + self.settings.max_age)

    def _unreachable(self, event: Unreachable, now: float) -> None:
        kernel = self.fleet.kernels.get(event.kernel)
        if kernel is None or kernel.state in LEAVING:
            return
        self._lose(kernel, now)
        self._stop(kernel, "failed", state="lost")

    def _gone(self, event: Gone, now: float) -> None:
        kernel = self.fleet.kernels.get(event.kernel)
        if kernel is None:
            return
        if kernel.state not in LEAVING:
            self._lose(kernel, now)
        self.fleet.remove(kernel)
        self._timers.cancel(("idle", kernel.number))
        self._timers.cancel(("age", kernel.number))
        for name in kernel.held_back:
            del self._held_back[name]
            self.line.let_go(name)

    def _lose(self, kernel: Kernel, now: float) -> None:
        """What a kernel that nobody stopped leaves behind."""
        if kernel.use is None:
            # One that ends before anybody used it is no better than one that never started.
            self._failed(now)
        self._end_sessions(kernel, "lost")
        self._end_calls(kernel)

    def _failed(self, now: float) -> None:
        self.failures += 1
        least, most = self.settings.backoff
        # The exponent is bounded: 2.0**1024 would not be a number.
        self._retry_at = now + min(least * 2.0 ** min(self.failures - 1, 64), most)
        self._timers.set(("retry", None), self._retry_at)
        if self.failures < self.settings.give_up_after:
            return
        while self.line.ready:
            for ticket in self.line.take_opening().tickets:
                self._refuse(ticket, "failed")
        count = self.fleet.count
        if not count["calls"] and not self.fleet.unused:
            while self.line.calls:
                self._refuse(self.line.take_call(), "failed")

    def _measured(self, event: Measured, now: float) -> None:
        kernel = self.fleet.kernels.get(event.kernel)
        if kernel is None:
            return
        kernel.memory = event.memory
        for_calls, for_sessions = self.settings.max_memory, self.settings.session_memory
        if kernel.state == "calls" and for_calls is not None and event.memory > for_calls:
            self._retire(kernel, "memory")
        elif kernel.state == "sessions" and for_sessions is not None and event.memory > for_sessions:
            self._end_sessions(kernel, "memory")
            self._stop(kernel, "memory")

    def _idle(self, number: int, now: float) -> None:
        kernel = self.fleet.kernels[number]
        if kernel.state == "calls":
            is_needed = self.fleet.count["calls"] <= self.settings.minimum
        else:
            is_needed = wanted(self.settings, self.fleet, self.line) >= 0
        if not is_needed:
            self._stop(kernel, "idle")
        else:
            # Needed now; later perhaps not.
            self._set_idle(kernel, now, least=_LOOK_AGAIN)

    def _aged(self, number: int, now: float) -> None:
        kernel = self.fleet.kernels[number]
        if kernel.state == "unused":
            self._stop(kernel, "age")
        elif kernel.state == "calls":
            self._retire(kernel, "age")

    # -- tickets -------------------------------------------------------------------------------------------

    def _call_asked(self, event: CallAsked, now: float) -> None:
        if self._is_known(event.ticket):
            return
        if self.is_draining:
            self._refuse(event.ticket, "draining")
        elif (kernel := self._free()) is not None:
            # Then nobody waits for one.
            self._begin(kernel, event.ticket)
        else:
            self.line.add_call(event.ticket, now)
            self._wait(event.ticket, event.deadline, now)

    def _session_asked(self, event: SessionAsked, now: float) -> None:
        if self._is_known(event.ticket):
            return
        session = self.sessions.get(event.session)
        if self.is_draining:
            self._refuse(event.ticket, "draining")
        elif session is not None:
            if event.ttl is not None:
                session.ttl = event.ttl
            self._grant_session(session, event.ticket)
        elif self._is_over_quota(event.session):
            self._refuse(event.ticket, "sessions")
        else:
            name = event.session
            self.line.add_session(event.ticket, name, event.ttl, now, held_back=name in self._held_back)
            self._wait(event.ticket, event.deadline, now)

    def _wait(self, ticket: int, deadline: float | None, now: float) -> None:
        """Let a ticket that is in line be served at once, or wait; refuse it where too many do."""
        self._serve(now)
        if ticket not in self.line:
            return
        if len(self.line) > self.settings.queue_limit:
            self.line.remove(ticket)
            self._refuse(ticket, "full")
        elif deadline is not None:
            self._timers.set(("deadline", ticket), deadline)

    def _late(self, ticket: int, now: float) -> None:
        if self.line.remove(ticket):
            self._refuse(ticket, "late")

    def _done(self, event: Done, now: float) -> None:
        ticket = event.ticket
        if self.line.remove(ticket):
            self._timers.cancel(("deadline", ticket))
            return
        held = self._held.pop(ticket, None)
        if isinstance(held, Session):
            self._let_go(held, ticket, now)
        elif held is not None:
            self.fleet.end(held, ticket)
            if held.calls:
                return
            if held.state == "retiring":
                assert held.reason is not None
                self._stop(held, held.reason)
            else:
                self._set_idle(held, now)

    # -- sessions ------------------------------------------------------------------------------------------

    def _let_go(self, session: Session, ticket: int, now: float) -> None:
        session.holders.discard(ticket)
        if session.holders:
            return
        if self.is_draining:
            self._end(session, "drain", "drain")
        elif session.ttl is not None:
            self._timers.set(("ttl", session.name), now + session.ttl)

    def _expired(self, name: str, now: float) -> None:
        self._end(self.sessions[name], "expired", "used")

    def _session_closed(self, event: SessionClosed, now: float) -> None:
        session = self.sessions.get(event.session)
        if session is not None:
            self._end(session, None, "drain" if self.is_draining else "used")

    # -- who gets what, and how many kernels there are -----------------------------------------------------

    def _serve(self, now: float) -> None:
        """Give what is free to those that wait."""
        line, fleet = self.line, self.fleet
        while line.calls or line.ready:
            while line.calls:
                kernel = self._free()
                if kernel is None:
                    break
                ticket = line.take_call()
                self._timers.cancel(("deadline", ticket))
                self._begin(kernel, ticket)
            while line.ready and fleet.open_to_sessions:
                self._open_next(next(iter(fleet.open_to_sessions.values())), now)
            if not fleet.unused:
                return
            call = line.first_call()
            opening = line.first_opening() if in_reach_of_sessions(self.settings, fleet) > 0 else None
            kernel = next(iter(fleet.unused.values()))
            if call is not None and (opening is None or call < opening):
                kernel.use = "calls"
                fleet.move(kernel, "calls")
            elif opening is not None:
                self._open_next(kernel, now)
            else:
                return

    def _size(self, now: float) -> None:
        """Ask for kernels that are wanted, as far as they may be; make room for sessions that wait."""
        settings, fleet, line = self.settings, self.fleet, self.line
        if self.is_draining or not (line.calls or line.ready or fleet.changes != self._sized_at):
            return
        self._sized_at = fleet.changes
        room = settings.maximum - len(fleet.kernels)
        if room > 0:
            if now >= self._retry_at:
                free = min(room, settings.starting - fleet.count["starting"])
                for _ in range(min(wanted(settings, fleet, line), free)):
                    self._last_kernel += 1
                    fleet.add(Kernel(self._last_kernel, now))
                    self._actions.append(Start(self._last_kernel))
        elif line.ready:
            self._make_room()

    def _make_room(self) -> None:
        """Stop or retire kernels for calls, for sessions that have waited longer than any call."""
        opening, call = self.line.first_opening(), self.line.first_call()
        if opening is None or (call is not None and call < opening):
            return
        for _ in range(to_make_room(self.settings, self.fleet, self.line)):
            self._retire_one()

    def _retire_one(self) -> bool:
        """Retire the kernel for calls that is missed least; returns whether there is one."""
        kernel = self.fleet.longest_idle() or self.fleet.least_loaded()
        if kernel is not None:
            self._retire(kernel, "idle")
        return kernel is not None

    # -- all of it -----------------------------------------------------------------------------------------

    def _tick(self, event: Any, now: float) -> None:
        """Nothing but what falls due."""

    def _retry(self, key: None, now: float) -> None:
        self._sized_at = -1

    def _run_timers(self, now: float) -> None:
        for kind, key in self._timers.due(now):
            self._due[kind](key, now)

    def _drain(self, event: Drain, now: float) -> None:
        self.is_draining = True
        for ticket in self.line.tickets():
            self.line.remove(ticket)
            self._refuse(ticket, "draining")
        self._timers.cancel(("retry", None))
        for kernel in list(self.fleet.kernels.values()):
            if kernel.state in LEAVING:
                continue
            if event.at_once:
                self._end_sessions(kernel, "drain")
                self._end_calls(kernel)
                self._stop(kernel, "closed")
            elif kernel.state in ("starting", "unused"):
                self._stop(kernel, "drain")
            elif kernel.state == "calls":
                self._retire(kernel, "drain")
            elif kernel.state == "sessions":
                for session in list(kernel.sessions.values()):
                    if not session.holders:
                        self._end(session, "drain", "drain")

    def _resize(self, event: Resize, now: float) -> None:
        self.settings = settings = event.settings
        self._sized_at = -1
        if self.is_draining:
            return
        fleet = self.fleet
        for kernel in fleet.kernels.values():
            if kernel.state in ("unused", "calls"):
                self._timers.cancel(("idle", kernel.number))
                self._timers.cancel(("age", kernel.number))
                if not kernel.calls:
                    self._set_idle(kernel, now)
                if settings.max_age is not None and kernel.started is not None:
                    self._timers.set(("age", kernel.number), kernel.started + settings.max_age)
            elif kernel.state == "sessions":
                fleet.offer(kernel, settings.sessions_per_kernel)
        self._shrink()

    def _shrink(self) -> None:
        """Stop what is beyond the maximum: first what nobody uses; sessions stay."""
        fleet = self.fleet
        staying = len(fleet.kernels) - sum(fleet.count[state] for state in (*LEAVING, "retiring"))
        beyond = staying - self.settings.maximum
        starting = (kernel for kernel in list(fleet.kernels.values()) if kernel.state == "starting")
        for _ in range(beyond):
            kernel = next(reversed(fleet.unused.values()), None) or next(starting, None)
            if kernel is not None:
                self._stop(kernel, "idle")
            elif not self._retire_one():
                return
