"""The pool's policy: every promise after any sequence of events, and what each event leads to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings as how
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from snakekernel.pool.events import (
    Action,
    CallAsked,
    Done,
    Drain,
    EndSession,
    Event,
    Gone,
    Grant,
    Measured,
    Refuse,
    Resize,
    SessionAsked,
    SessionClosed,
    Settings,
    Start,
    Started,
    Stop,
    Tick,
    Unreachable,
)
from snakekernel.pool.policy import Policy

SESSIONS = ["alice", "bob", "carol"]
#: Bytes that are too many wherever a bound is drawn.
BIG = 1_000


class Machine(RuleBasedStateMachine):
    """A world of kernels and callers that keeps its own books, and holds the policy to its promises."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.tickets = 0
        #: Kernels that are not gone -> "starting", "ready", "stopped".
        self.kernels: dict[int, str] = {}
        self.highest = 0
        self.use: dict[int, str] = {}
        self.running: defaultdict[int, set[int]] = defaultdict(set)
        self.served: defaultdict[int, int] = defaultdict(int)
        #: Sessions that a kernel ever had, and those that it has.
        self.had: defaultdict[int, list[str]] = defaultdict(list)
        self.open: dict[str, int] = {}
        self.holders: defaultdict[str, set[int]] = defaultdict(set)
        #: What waits -> session (None: a call), deadline.
        self.waiting: dict[int, tuple[str | None, float | None]] = {}
        self.may_exceed = 0

    @initialize(
        settings=st.builds(
            Settings,
            minimum=st.integers(0, 2),
            maximum=st.integers(2, 4),
            spares=st.integers(0, 2),
            starting=st.integers(1, 3),
            calls_per_kernel=st.integers(1, 3),
            sessions_per_kernel=st.sampled_from([1, 1, 2]),
            queue_limit=st.integers(0, 6),
            max_sessions=st.integers(1, 6),
            session_ttl=st.sampled_from([None, 0.0, 3.0]),
            idle=st.sampled_from([None, 0.0, 4.0]),
            max_age=st.sampled_from([None, None, 10.0]),
            max_requests=st.sampled_from([None, None, 1, 3]),
            max_memory=st.sampled_from([None, 500]),
            session_memory=st.sampled_from([None, 500]),
            give_up_after=st.integers(1, 3),
        )
    )
    def begin(self, settings: Settings) -> None:
        self.settings = settings
        self.policy = Policy(settings)
        self.tell(Tick())

    # -- what happens --------------------------------------------------------------------------------------

    @rule(deadline=st.sampled_from([None, 0.0, 2.0, 20.0]))
    def call(self, deadline: float | None) -> None:
        until = None if deadline is None else self.now + deadline
        self.tickets += 1
        self.waiting[self.tickets] = (None, until)
        self.tell(CallAsked(self.tickets, until))

    @rule(
        session=st.sampled_from(SESSIONS),
        ttl=st.sampled_from([None, 0.0, 5.0]),
        deadline=st.sampled_from([None, 2.0, 20.0]),
    )
    def session(self, session: str, ttl: float | None, deadline: float | None) -> None:
        until = None if deadline is None else self.now + deadline
        self.tickets += 1
        self.waiting[self.tickets] = (session, until)
        self.tell(SessionAsked(self.tickets, session, ttl, until))

    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        ticket = data.draw(st.integers(1, self.tickets + 1))
        self.waiting.pop(ticket, None)
        for running in (*self.running.values(), *self.holders.values()):
            running.discard(ticket)
        self.tell(Done(ticket))

    @rule(session=st.sampled_from(SESSIONS))
    def close_session(self, session: str) -> None:
        if session in self.open:
            self.forget(session)
        self.tell(SessionClosed(session))

    @rule(data=st.data())
    def started(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.highest + 1))
        if self.kernels.get(number) == "starting":
            self.kernels[number] = "ready"
        self.tell(Started(number))

    @precondition(lambda self: "starting" in self.kernels.values())
    @rule(session=st.none() | st.sampled_from(SESSIONS))
    def all_started(self, session: str | None) -> None:
        if session is not None:
            self.session(session, None, None)
        for number, state in list(self.kernels.items()):
            if state == "starting":
                self.kernels[number] = "ready"
                self.tell(Started(number))

    @rule(data=st.data())
    def gone(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.highest + 1))
        self.kernels.pop(number, None)
        self.running.pop(number, None)
        self.tell(Gone(number))

    @precondition(lambda self: "stopped" in self.kernels.values())
    @rule()
    def all_stopped_are_gone(self) -> None:
        self.bury()

    @rule(data=st.data())
    def unreachable(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.highest + 1))
        self.running.pop(number, None)
        self.tell(Unreachable(number))
        assert self.kernels.get(number, "stopped") == "stopped"

    @rule(data=st.data(), memory=st.sampled_from([1, BIG]))
    def measured(self, data: st.DataObject, memory: int) -> None:
        self.tell(Measured(data.draw(st.integers(1, self.highest + 1)), memory))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Tick())

    @rule()
    def until_next_tick(self) -> None:
        due = self.policy.next_tick()
        if due is not None:
            self.now = max(self.now, due)
            self.tell(Tick())

    @rule(maximum=st.integers(1, 5), per_kernel=st.integers(1, 3), requests=st.sampled_from([None, 2]))
    def resize(self, maximum: int, per_kernel: int, requests: int | None) -> None:
        self.settings = replace(
            self.settings,
            minimum=min(self.settings.minimum, maximum),
            maximum=maximum,
            calls_per_kernel=per_kernel,
            max_requests=requests,
        )
        self.tell(Resize(self.settings))

    # -- what is asked for ---------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        for action in self.policy.handle(event, self.now):
            getattr(self, f"do_{type(action).__name__}")(action)

    def do_Start(self, action: Start) -> None:
        assert action.kernel == self.highest + 1
        self.highest = action.kernel
        self.kernels[action.kernel] = "starting"
        assert len(self.kernels) <= self.settings.maximum
        assert list(self.kernels.values()).count("starting") <= self.settings.starting
        assert not self.policy.is_draining

    def do_Stop(self, action: Stop) -> None:
        assert self.kernels.get(action.kernel) in ("starting", "ready")
        assert not self.running[action.kernel] or action.reason == "closed"
        assert action.kernel not in self.open.values()
        self.kernels[action.kernel] = "stopped"
        self.running.pop(action.kernel, None)

    def do_Grant(self, action: Grant) -> None:
        session, deadline = self.waiting.pop(action.ticket)
        kernel = action.kernel
        assert self.kernels[kernel] == "ready"
        assert deadline is None or deadline >= self.now
        use = self.use.setdefault(kernel, "calls" if session is None else "sessions")
        assert use == ("calls" if session is None else "sessions"), "shared by a session and calls"
        if session is None:
            self.running[kernel].add(action.ticket)
            self.served[kernel] += 1
            assert len(self.running[kernel]) <= self.settings.calls_per_kernel
            return
        assert action.is_new == (session not in self.open)
        if action.is_new:
            places = [number for number in self.kernels if session in self.had[number]]
            if self.settings.sessions_per_kernel == 1:
                assert not places, "a session on two kernels that may live"
            self.had[kernel].append(session)
            assert len(self.had[kernel]) <= self.settings.sessions_per_kernel
            self.open[session] = kernel
            assert len(self.open) <= self.settings.max_sessions
        assert self.open[session] == kernel
        self.holders[session].add(action.ticket)

    def do_Refuse(self, action: Refuse) -> None:
        _, deadline = self.waiting.pop(action.ticket)
        if action.reason == "late":
            assert deadline is not None
            assert deadline <= self.now
        if action.reason == "full":
            assert len(self.waiting) >= self.settings.queue_limit
        assert (action.reason == "draining") <= self.policy.is_draining

    def do_EndSession(self, action: EndSession) -> None:
        assert self.open[action.session] == action.kernel
        if action.reason == "expired":
            assert not self.holders[action.session]
        self.forget(action.session)

    def forget(self, session: str) -> None:
        del self.open[session]
        self.holders.pop(session, None)

    def bury(self) -> None:
        for number, state in list(self.kernels.items()):
            if state == "stopped":
                del self.kernels[number]
                self.tell(Gone(number))

    # -- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def queue_is_bounded_and_in_time(self) -> None:
        assert len(self.waiting) <= self.settings.queue_limit
        assert all(deadline is None or deadline > self.now for _, deadline in self.waiting.values())

    @invariant()
    def books_agree(self) -> None:
        fleet = self.policy.fleet
        assert set(fleet.kernels) == set(self.kernels)
        assert {name: session.kernel.number for name, session in self.policy.sessions.items()} == self.open
        for number, kernel in fleet.kernels.items():
            assert kernel.calls == self.running[number]
            assert (kernel.state in ("stopping", "lost")) == (self.kernels[number] == "stopped")
            if kernel.state in ("calls", "retiring"):
                assert kernel.calls or kernel.state == "calls"
            if kernel.state == "sessions":
                assert kernel.sessions
        assert sum(fleet.count.values()) == len(self.kernels)
        given = [ticket for some in (*self.running.values(), *self.holders.values()) for ticket in some]
        assert set(self.policy._held) == set(given)

    @invariant()
    def nobody_waits_beside_a_kernel_that_could_serve(self) -> None:
        kernels = self.policy.fleet.kernels.values()
        unused = [kernel for kernel in kernels if kernel.state == "unused"]
        calls = [ticket for ticket, (session, _) in self.waiting.items() if session is None]
        if calls:
            assert not unused
            assert all(
                len(kernel.calls) >= self.settings.calls_per_kernel
                for kernel in kernels
                if kernel.state == "calls"
            )
            self.is_getting_on()
        fenced = {name for kernel in self.kernels for name in self.had[kernel] if name not in self.open}
        sessions = {name for name, _ in self.waiting.values() if name is not None} - fenced
        if sessions:
            for_sessions = [kernel for kernel in kernels if kernel.state == "sessions"]
            assert not any(kernel.opened < self.settings.sessions_per_kernel for kernel in for_sessions)
            kept = min(self.settings.minimum, self.settings.maximum - 1)
            if len(for_sessions) < self.settings.maximum - kept:
                assert not unused
                self.is_getting_on()
                if not calls:
                    free = [kernel for kernel in kernels if kernel.state == "calls"]
                    others = len(kernels) - len(free) - len(for_sessions)
                    assert len(free) <= kept or others or len(kernels) < self.settings.maximum

    def is_getting_on(self) -> None:
        """There is a kernel on the way, or there cannot be one now."""
        assert (
            len(self.kernels) >= self.settings.maximum
            or "starting" in self.kernels.values()
            or self.policy.failures
        )
        if len(self.kernels) < self.settings.maximum and "starting" not in self.kernels.values():
            due = self.policy.next_tick()
            assert due is not None
            assert due > self.now

    def teardown(self) -> None:
        """Draining answers everybody and leaves nothing."""
        if not hasattr(self, "policy"):
            return
        self.tell(Drain())
        assert not self.waiting
        self.bury()
        held = [ticket for some in (*self.running.values(), *self.holders.values()) for ticket in some]
        if self.tickets % 2:
            self.running.clear()
            self.tell(Drain(at_once=True))
        for ticket in held:
            for some in (*self.running.values(), *self.holders.values()):
                some.discard(ticket)
            self.tell(Done(ticket))
        self.bury()
        assert self.policy.is_drained
        assert not self.kernels
        assert not self.open
        assert self.policy.next_tick() is None
        self.waiting[0] = (None, None)
        self.tell(CallAsked(0))
        assert not self.waiting


TestMachine = Machine.TestCase
TestMachine.settings = how(max_examples=60, stateful_step_count=40, deadline=None)


class Told:
    """A policy and its clock, for tests that tell a story."""

    def __init__(self, **settings: object) -> None:
        self.policy = Policy(Settings(**settings))  # type: ignore[arg-type]
        self.now = 0.0
        self.first = self.tell(Tick())

    def tell(self, event: Event, after: float = 0.0) -> list[Action]:
        self.now += after
        return self.policy.handle(event, self.now)


def test_minimum_and_spares_start_at_once_but_only_so_many_at_a_time() -> None:
    told = Told(minimum=2, maximum=5, spares=1, starting=2)
    assert told.first == [Start(1), Start(2)]
    assert told.tell(Started(1)) == [Start(3)]
    assert told.tell(Started(2)) == []


def test_a_call_takes_a_warm_kernel_and_a_spare_takes_its_place() -> None:
    told = Told(spares=1)
    told.tell(Started(1))
    assert told.tell(CallAsked(10)) == [Grant(10, 1), Start(2)]
    assert told.tell(CallAsked(11)) == [Start(3)]
    assert told.tell(Done(10)) == [Grant(11, 1)]


def test_a_session_stays_on_its_kernel_and_leaves_it_to_nobody() -> None:
    told = Told(spares=0, maximum=2)
    assert told.tell(SessionAsked(1, "alice")) == [Start(1)]
    assert told.tell(Started(1)) == [Grant(1, 1, is_new=True)]
    assert told.tell(SessionAsked(2, "alice")) == [Grant(2, 1)]
    assert told.tell(CallAsked(3)) == [Start(2)]
    assert told.tell(Started(2)) == [Grant(3, 2)]
    assert told.tell(SessionClosed("alice")) == [Stop(1, "used")]
    assert told.tell(Done(1)) == []


def test_a_lost_session_is_opened_anew_only_when_its_kernel_is_gone() -> None:
    told = Told(spares=1)
    told.tell(Started(1))
    told.tell(SessionAsked(1, "alice"))
    told.tell(Started(2))
    assert told.tell(Unreachable(1)) == [EndSession("alice", 1, "lost"), Stop(1, "failed")]
    assert told.tell(SessionAsked(2, "alice")) == []
    assert told.tell(SessionAsked(3, "bob")) == [Grant(3, 2, is_new=True), Start(3)]
    told.tell(Started(3))
    assert told.tell(Gone(1), after=30) == [Grant(2, 3, is_new=True), Start(4)]


def test_time_to_live_counts_from_the_last_handle() -> None:
    told = Told(spares=0, session_ttl=10)
    told.tell(SessionAsked(1, "alice"))
    told.tell(Started(1))
    told.tell(SessionAsked(2, "alice"))
    assert told.tell(Done(1), after=100) == []
    told.tell(Done(2), after=100)
    assert told.policy.next_tick() == told.now + 10
    assert told.tell(SessionAsked(3, "alice", ttl=20), after=9) == [Grant(3, 1)]
    told.tell(Done(3))
    assert told.tell(Tick(), after=20) == [EndSession("alice", 1, "expired"), Stop(1, "used")]


def test_a_session_does_not_starve_behind_endless_calls() -> None:
    told = Told(maximum=2, spares=0)
    for ticket in (1, 2, 3):
        told.tell(CallAsked(ticket))
    told.tell(Started(1))
    told.tell(Started(2))
    told.tell(SessionAsked(4, "alice"))
    told.tell(CallAsked(5))
    # An older call goes first; then a kernel makes room, though a younger call waits.
    assert told.tell(Done(1)) == [Grant(3, 1)]
    assert told.tell(Done(3)) == [Stop(1, "idle")]
    assert told.tell(Gone(1)) == [Start(3)]
    assert told.tell(Started(3)) == [Grant(4, 3, is_new=True)]
    assert told.tell(Done(2)) == [Grant(5, 2)]


def test_calls_keep_their_minimum() -> None:
    told = Told(maximum=2, minimum=1, spares=0)
    told.tell(Started(1))
    assert told.tell(SessionAsked(1, "alice")) == [Grant(1, 1, is_new=True), Start(2)]
    told.tell(Started(2))
    assert told.tell(SessionAsked(2, "bob")) == []
    assert told.tell(CallAsked(3)) == [Grant(3, 2)]


@pytest.mark.parametrize(
    ("settings", "event", "reason"),
    [
        ({"max_requests": 1}, Tick(), "requests"),
        ({"max_age": 5.0}, Tick(), "age"),
        ({"max_memory": 100}, Measured(1, 101), "memory"),
    ],
)
def test_a_worn_kernel_for_calls_is_replaced_when_its_calls_are_done(
    settings: dict[str, float], event: Event, reason: str
) -> None:
    told = Told(minimum=1, spares=0, **settings)
    told.tell(Started(1))
    actions = told.tell(CallAsked(1)) + told.tell(event, after=6)
    assert actions == [Grant(1, 1), Start(2)]
    assert told.tell(Done(1)) == [Stop(1, reason)]  # type: ignore[arg-type]


def test_a_session_that_takes_too_much_memory_ends() -> None:
    told = Told(spares=0, session_memory=100)
    told.tell(SessionAsked(1, "alice"))
    told.tell(Started(1))
    assert told.tell(Measured(1, 100)) == []
    assert told.tell(Measured(1, 101)) == [EndSession("alice", 1, "memory"), Stop(1, "memory")]


def test_idle_kernels_go_but_for_the_minimum() -> None:
    told = Told(minimum=1, maximum=2, spares=0, idle=5)
    told.tell(Started(1))
    told.tell(CallAsked(1))
    told.tell(CallAsked(2))
    told.tell(Started(2))
    told.tell(Done(1), after=1)
    told.tell(Done(2), after=1)
    assert told.tell(Tick(), after=4) == [Stop(1, "idle")]
    assert told.tell(Tick(), after=50) == []


def test_failed_starts_are_spaced_out_and_then_refuse_those_that_wait() -> None:
    told = Told(spares=0, starting=1, backoff=(1.0, 3.0), give_up_after=3)
    assert told.tell(CallAsked(1)) == [Start(1)]
    for number, pause in ((1, 1.0), (2, 2.0)):
        assert told.tell(Gone(number)) == []
        assert told.policy.next_tick() == told.now + pause
        assert told.tell(Tick(), after=pause) == [Start(number + 1)]
    assert told.tell(Gone(3)) == [Refuse(1, "failed")]
    assert told.tell(CallAsked(2), after=3) == [Start(4)]
    assert told.tell(Started(4)) == [Grant(2, 4)]


def test_the_queue_is_bounded_and_has_deadlines() -> None:
    told = Told(maximum=1, spares=0, queue_limit=2)
    told.tell(CallAsked(1, deadline=5.0))
    told.tell(SessionAsked(2, "alice"))
    assert told.tell(CallAsked(3)) == [Refuse(3, "full")]
    assert told.policy.next_tick() == 5.0
    assert told.tell(Tick(), after=5) == [Refuse(1, "late")]


def test_sessions_have_a_quota() -> None:
    told = Told(max_sessions=1, spares=0)
    told.tell(SessionAsked(1, "alice"))
    assert told.tell(SessionAsked(2, "bob")) == [Refuse(2, "sessions")]
    assert told.tell(SessionAsked(3, "alice")) == []
    assert told.tell(Started(1)) == [Grant(1, 1, is_new=True), Grant(3, 1)]


def test_draining_lets_what_runs_come_to_its_end() -> None:
    told = Told(maximum=3, spares=1)
    told.tell(Started(1))
    told.tell(CallAsked(1))
    told.tell(Started(2))
    told.tell(SessionAsked(2, "alice"))
    assert told.tell(Drain()) == [Stop(3, "drain")]
    assert told.tell(CallAsked(4)) == [Refuse(4, "draining")]
    assert told.tell(Done(1)) == [Stop(1, "drain")]
    assert told.tell(Done(2)) == [EndSession("alice", 2, "drain"), Stop(2, "drain")]
    for number in (1, 2, 3):
        assert not told.policy.is_drained
        told.tell(Gone(number))
    assert told.policy.is_drained


def test_a_smaller_maximum_stops_what_is_free_and_leaves_sessions() -> None:
    told = Told(maximum=3, spares=1)
    told.tell(Started(1))
    told.tell(SessionAsked(1, "alice"))
    told.tell(Started(2))
    told.tell(CallAsked(2))
    told.tell(Started(3))
    assert told.tell(Resize(Settings(maximum=1, spares=0))) == [Stop(3, "idle")]
    assert told.tell(Done(2)) == [Stop(2, "idle")]
    assert told.tell(SessionAsked(3, "alice")) == [Grant(3, 1)]


@pytest.mark.parametrize("wrong", [{"maximum": 0}, {"minimum": 5}, {"spares": -1}, {"backoff": (2.0, 1.0)}])
def test_settings_that_no_pool_can_keep_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]
