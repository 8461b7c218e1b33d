"""How the benchmarks measure: peers take turns in short rounds, and medians of the same run are compared.

Rules: the first round warms up and is not counted. A peer that fails is left out with its reason, and the
others go on. One that has used up its time sits the later rounds out.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .peer import Kind, Peer

#: A peer's turn: gives what it measured, one figure or many.
Turn = Callable[[], list[float]]
#: A row of a table: column -> figure.
Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: how often each peer has its turn.
        turn: seconds of a turn of small calls.
        limit: seconds after which a peer sits out the rounds that are left of a workload.
        whole: seconds after which a workload makes no further round.
        in_flight: calls of one burst.
        megabytes: sizes of arrays, in MB.
        rows: of the data frame.
        objects: in the store that has grown.
        starts: how often the kernels and the light servers are started.
        workers: sizes of the crews, and pools, that share calls.
        has_all_crews: whether other libraries' crews take part; they take long to start.
    """

    rounds: int
    turn: float
    limit: float
    whole: float
    in_flight: int
    megabytes: tuple[int, ...]
    rows: int
    objects: int
    starts: int
    workers: tuple[int, ...]
    has_all_crews: bool


FULL: Final = Scale(
    rounds=20,
    turn=0.05,
    limit=5.0,
    whole=20.0,
    in_flight=1_000,
    megabytes=(64, 1_000),
    rows=1_000_000,
    objects=100_000,
    starts=8,
    workers=(1, 2, 4),
    has_all_crews=True,
)
QUICK: Final = Scale(
    rounds=3,
    turn=0.01,
    limit=0.5,
    whole=4.0,
    in_flight=500,
    megabytes=(64,),
    rows=100_000,
    objects=5_000,
    starts=1,
    workers=(2,),
    has_all_crews=False,
)


@dataclass(frozen=True)
class Start:
    """How a peer started: seconds to its first answer; then MB of the process that answers (RSS), and of all
    that it brought along (PSS)."""

    seconds: float
    own: float
    all: float


@dataclass(frozen=True)
class Opened:
    """The peers of a phase.

    Attributes:
        peers: name -> the opened peer and what kind it is.
        scale: how much to measure.
        starts: name -> how it started.
        leave_out: told of a peer that failed, and why.
    """

    peers: Mapping[str, tuple[Kind, Peer]]
    scale: Scale
    starts: Mapping[str, Start]
    leave_out: Callable[[str, str], None]

    def having(self, *abilities: str) -> dict[str, Peer]:
        """The peers that can do all of these."""
        return {
            name: peer
            for name, (_, peer) in self.peers.items()
            if all(getattr(peer, ability) is not None for ability in abilities)
        }

    def floor(self, name: str) -> str:
        """The echo that a peer is compared with."""
        return self.peers[name][0].floor

    def interleaved(self, turns: Mapping[str, Turn], *, rounds: int | None = None) -> dict[str, list[float]]:
        """Let all take turns; gives what each measured, without those that failed."""
        rounds, limit = rounds or self.scale.rounds, self.scale.limit
        end = time.perf_counter() + self.scale.whole
        figures: dict[str, list[float]] = {name: [] for name in turns}
        used = dict.fromkeys(turns, 0.0)
        for number in range(rounds + 1):
            if number > 1 and time.perf_counter() > end:
                break
            for name, turn in turns.items():
                if name not in figures or (number > 1 and used[name] > limit):
                    continue
                gc.collect()
                began = time.perf_counter()
                try:
                    measured = turn()
                except Exception as error:  # a peer's library may raise anything; the others go on
                    self.leave_out(name.partition("|")[0], f"{type(error).__name__}: {error}")
                    del figures[name]
                    continue
                if number:
                    figures[name] += measured
                    used[name] += time.perf_counter() - began
        return figures

    def ratios(self, rows: dict[str, Row], column: str, name: str = "ratio") -> dict[str, Row]:
        """Add to each row how many times its echo's figure its own is, where the echo is there."""
        for peer, row in rows.items():
            floor = rows.get(self.floor(peer))
            if floor is not None and column in row and column in floor:
                row[name] = rounded(row[column] / floor[column])
        return rows


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def repeated(call: Callable[[], object], seconds: float) -> Turn:
    """A turn of single calls for about so long, 200 at most."""

    def turn() -> list[float]:
        times: list[float] = []
        clock = time.perf_counter
        end = clock() + seconds
        while (began := clock()) < end and len(times) < 200:
            call()
            times.append(clock() - began)
        return times

    return turn


def checked(call: Callable[[], Any], right: Any) -> Callable[[], Any]:
    """The call, after one that was compared with what is right.

    Raises:
        ValueError: at the first call, where the value is another.
    """
    done = False

    def run() -> Any:
        nonlocal done
        value = call()
        if not done:
            if value != right:
                raise ValueError(f"it gave {value!r:.80} for {right!r:.80}")
            done = True
        return value

    return run


def microseconds(times: list[float]) -> Row:
    """Median and ninth decile of times in seconds."""
    tenth = statistics.quantiles(times, n=10)[-1] if len(times) > 1 else times[0]
    return {"median_us": rounded(statistics.median(times) * 1e6), "p90_us": rounded(tenth * 1e6)}


def rounded(value: float) -> float:
    """Three digits that mean something, whole numbers from 100 on."""
    return round(value) if abs(value) >= 100 else float(f"{value:.3g}")
