"""``python -m benchmarks.pool_policy``: a pool's policy among up to 10,000 kernels, on a simulated clock.

Kernels start, end and are lost, sessions and calls come in waves beyond what there are kernels for; times of
decisions are real. The run fails where a session is in two places, a kernel has two sessions, those of a kind
are served out of turn, or somebody is not answered.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from typing import Final

from rich.console import Console
from rich.table import Table

from snakekernel.pool.events import (
    CallAsked,
    Done,
    Drain,
    EndSession,
    Event,
    Gone,
    Grant,
    Refuse,
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

_SIZES: Final = (100, 1_000, 10_000)
_SMALL: Final = (10, 100)
_SESSIONS_PER_KERNEL: Final = 100
#: Simulated seconds: a start, the work in a session, its time to live, a call, the end of a lost kernel.
_START, _WORK, _TTL, _CALL, _FENCE = 0.5, 20.0, 15.0, 0.3, 30.0
#: Simulated seconds of a wave: in its first half too many come, in its second few.
_WAVE: Final = 240.0
#: Shares of sessions that are closed by their users, asked for twice, and lose their kernel.
_CLOSED, _TWICE, _LOST = 0.7, 0.3, 0.01


class BrokenPromise(AssertionError):
    """The policy did what it never may."""


@dataclass
class Figures:
    """What one world showed. Times are in nanoseconds, places are those in line."""

    kernels: int
    sessions: int = 0
    calls: int = 0
    starts: int = 0
    most_kernels: int = 0
    longest_line: int = 0
    #: The most that were served while one waited, and the most of these who had come after it; both without
    #: sessions that were held back until their last kernel was gone.
    longest_wait: int = 0
    most_overtaken: int = 0
    longest_seconds: float = 0.0
    times: dict[str, array[int]] = field(default_factory=lambda: defaultdict(lambda: array("q")))

    def quantile(self, share: float, kind: str | None = None) -> float:
        """Microseconds that this share of decisions stays within, of one kind of event or of all."""
        of_kind = self.times.items() if kind is None else [(kind, self.times[kind])]
        times = sorted(took for _, some in of_kind for took in some)
        return times[min(int(share * len(times)), len(times) - 1)] / 1000


@dataclass(slots=True)
class _Waiting:
    session: str | None
    since: float
    #: How many had been served when it came, and how many waited.
    served: int
    ahead: int
    is_in_turn: bool


class World:
    """Kernels and users around one policy."""

    def __init__(self, kernels: int, sessions: int, seed: int) -> None:
        self.figures = Figures(kernels)
        self._chance = random.Random(seed)
        self._policy = Policy(
            Settings(
                minimum=kernels // 50,
                maximum=kernels,
                spares=kernels // 100,
                starting=max(kernels // 5, 1),
                queue_limit=20 * kernels,
                max_sessions=20 * kernels,
                session_ttl=_TTL,
            )
        )
        self._left = sessions
        # What sessions need in all, in kernel seconds, fills the kernels to nine tenths on average.
        self._pause = (_WORK + (1 - _CLOSED) * _TTL + 2 * _START) / (0.9 * kernels)
        self._now = 0.0
        self._future: list[tuple[float, int, Event | Callable[[], None]]] = []
        self._number = 0
        self._ticket = 0
        self._served = 0
        self._waiting: dict[int, _Waiting] = {}
        self._last_in_turn = {"call": 0, "session": 0}
        #: Kernels that are not gone -> the session they were given, or None.
        self._kernels: dict[int, str | None] = {}
        self._places: dict[str, set[int]] = defaultdict(set)
        self._open: dict[str, int] = {}

    def run(self) -> Figures:
        """Let everybody come, be served and go, then drain."""
        self._come(Tick(), 0.0)
        self._next_session()
        self._until_quiet()
        self._come(Drain(), 0.0)
        self._until_quiet()
        if self._waiting or self._kernels or not self._policy.is_drained:
            raise BrokenPromise(f"{len(self._waiting)} wait and {len(self._kernels)} kernels are left.")
        return self.figures

    def _until_quiet(self) -> None:
        while self._future:
            due = self._policy.next_tick()
            if due is not None and due < self._future[0][0]:
                self._now = max(self._now, due)
                self._tell(Tick())
                continue
            when, _, event = heappop(self._future)
            self._now = when
            if callable(event):
                event()
            else:
                self._tell(event)

    def _come(self, event: Event | Callable[[], None], after: float) -> None:
        self._number += 1
        heappush(self._future, (self._now + after, self._number, event))

    def _tell(self, event: Event) -> None:
        if isinstance(event, CallAsked):
            self._expect(event.ticket, None)
        elif isinstance(event, SessionAsked):
            self._expect(event.ticket, event.session)
        elif isinstance(event, Gone):
            name = self._kernels.pop(event.kernel, None)
            if name is not None:
                self._places[name].discard(event.kernel)
                if not self._places[name]:
                    del self._places[name]
        elif isinstance(event, SessionClosed):
            self._open.pop(event.session, None)
        began = time.perf_counter_ns()
        actions = self._policy.handle(event, self._now)
        self._policy.next_tick()
        self.figures.times[type(event).__name__].append(time.perf_counter_ns() - began)
        for action in actions:
            match action:
                case Start(kernel):
                    self._do_start(kernel)
                case Stop(kernel, reason):
                    self._come(Gone(kernel), _FENCE if reason == "failed" else _START)
                case Grant():
                    self._do_grant(action)
                case Refuse():
                    raise BrokenPromise(f"{action} at {self._now}, though everybody can be served.")
                case EndSession(session):
                    del self._open[session]
        self.figures.longest_line = max(self.figures.longest_line, len(self._waiting))

    # -- users ---------------------------------------------------------------------------------------------

    def _next_session(self) -> None:
        """A session and a call or two come; the next ones are put on the way."""
        if self._left == 0:
            return
        self._left -= 1
        name = f"s{self._left}"
        self._ask(name)
        for _ in range(self._chance.randrange(3)):
            self._ticket += 1
            self._tell(CallAsked(self._ticket))
        if self._chance.random() < _TWICE:
            self._come(partial(self._ask, name), self._chance.expovariate(1 / _WORK))
        is_flood = self._now % _WAVE < _WAVE / 2
        self._come(self._next_session, self._chance.expovariate((1.3 if is_flood else 0.7) / self._pause))

    def _ask(self, name: str) -> None:
        self._ticket += 1
        self._tell(SessionAsked(self._ticket, name))

    def _expect(self, ticket: int, session: str | None) -> None:
        held_back = session is not None and session in self._places and session not in self._open
        self._waiting[ticket] = _Waiting(session, self._now, self._served, len(self._waiting), not held_back)

    # -- kernels -------------------------------------------------------------------------------------------

    def _do_start(self, kernel: int) -> None:
        self._kernels[kernel] = None
        self.figures.starts += 1
        self.figures.most_kernels = max(self.figures.most_kernels, len(self._kernels))
        if len(self._kernels) > self.figures.kernels:
            raise BrokenPromise(f"{len(self._kernels)} kernels.")
        fails = self._chance.random() < _LOST
        self._come(Gone(kernel) if fails else Started(kernel), _START * (0.5 + self._chance.random()))

    def _do_grant(self, grant: Grant) -> None:
        one = self._waiting.pop(grant.ticket)
        figures = self.figures
        self._served += 1
        served = self._served - one.served - 1
        if one.session is None:
            figures.calls += 1
            self._in_turn("call", grant.ticket)
            self._come(Done(grant.ticket), self._chance.expovariate(1 / _CALL))
        else:
            if grant.is_new:
                self._open_session(one, grant)
            if self._open[one.session] != grant.kernel:
                raise BrokenPromise(f"{one.session} is on {self._open[one.session]} and {grant.kernel}.")
            self._come(Done(grant.ticket), self._chance.expovariate(1 / _WORK))
        if one.is_in_turn:
            figures.longest_wait = max(figures.longest_wait, served)
            figures.most_overtaken = max(figures.most_overtaken, served - one.ahead)
            figures.longest_seconds = max(figures.longest_seconds, self._now - one.since)

    def _open_session(self, one: _Waiting, grant: Grant) -> None:
        name, kernel = one.session, grant.kernel
        assert name is not None
        if name in self._places or self._kernels[kernel] is not None:
            raise BrokenPromise(f"{name} on {kernel}: {self._places[name]}, {self._kernels[kernel]}.")
        self._kernels[kernel] = name
        self._places[name].add(kernel)
        self._open[name] = kernel
        self.figures.sessions += 1
        if one.is_in_turn:
            self._in_turn("session", grant.ticket)
        fate = self._chance.random()
        if fate < _LOST:
            self._come(Unreachable(kernel), self._chance.expovariate(1 / _WORK))
        elif fate < _LOST + _CLOSED:
            self._come(SessionClosed(name), self._chance.expovariate(1 / _WORK))

    def _in_turn(self, kind: str, ticket: int) -> None:
        if ticket < self._last_in_turn[kind]:
            raise BrokenPromise(f"{kind} {ticket} is served after {self._last_in_turn[kind]}.")
        self._last_in_turn[kind] = ticket


def simulate(kernels: int, sessions: int, seed: int = 1) -> Figures:
    """One world, from its first kernel to its last. Raises BrokenPromise."""
    gc.collect()
    gc.disable()
    try:
        return World(kernels, sessions, seed).run()
    finally:
        gc.enable()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: all sizes, and a table of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pool_policy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small worlds: a smoke test, not a figure")
    options = parser.parse_args(arguments)
    per_kernel = 10 if options.quick else _SESSIONS_PER_KERNEL
    worlds = [simulate(size, size * per_kernel) for size in (_SMALL if options.quick else _SIZES)]
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(_decisions(worlds), _waits(worlds), sep="\n")
    return 0


def _decisions(worlds: list[Figures]) -> Table:
    table = Table("event", title="Time of a decision, µs: median / 99 of 100")
    for world in worlds:
        table.add_column(f"{world.kernels:,} kernels", justify="right")
    table.add_column("growth", justify="right")
    for kind in [None, *sorted(worlds[0].times, key=lambda kind: -len(worlds[0].times[kind]))]:
        if kind is not None and any(len(world.times[kind]) < 50 for world in worlds):
            continue
        pairs = [(world.quantile(0.5, kind), world.quantile(0.99, kind)) for world in worlds]
        growth = (pairs[-1][0] / pairs[0][0], pairs[-1][1] / pairs[0][1])
        cells = [f"{half:.1f} / {most:.1f}" for half, most in pairs]
        table.add_row(kind or "all", *cells, f"{growth[0]:.1f} x / {growth[1]:.1f} x")
    return table


def _waits(worlds: list[Figures]) -> Table:
    table = Table("in all", title="What the worlds saw")
    rows = {
        "sessions opened": [f"{world.sessions:,}" for world in worlds],
        "calls served": [f"{world.calls:,}" for world in worlds],
        "kernels started": [f"{world.starts:,}" for world in worlds],
        "kernels at once, at most": [f"{world.most_kernels:,}" for world in worlds],
        "decisions": [f"{sum(map(len, world.times.values())):,}" for world in worlds],
        "that waited at once, at most": [f"{world.longest_line:,}" for world in worlds],
        "served while one waited, at most": [f"{world.longest_wait:,}" for world in worlds],
        "of these, came later, at most": [f"{world.most_overtaken:,}" for world in worlds],
        "longest wait, simulated seconds": [f"{world.longest_seconds:.0f}" for world in worlds],
    }
    for world in worlds:
        table.add_column(f"{world.kernels:,} kernels", justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    sys.exit(main())
