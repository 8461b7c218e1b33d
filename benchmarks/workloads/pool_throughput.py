"""Calls shared out among workers, of pools and of other libraries' crews.

Rules: crews of one size are open at the same time and take turns, and are checked before they count. The work
is plain Python that holds the GIL, so that only other processes make it faster.
"""

from __future__ import annotations

import statistics
from typing import Final

from ..crew import Arguments, Crew, opened_crews
from ..kinds import CREWS
from ..measure import Opened, Row, Turn, checked, rounded, timed
from ..workload import Column, Workload

_ADD: Final = "operator.add"
_WORK: Final = "benchmarks.crew.work"
#: Turns of the loop that is one piece of work: about 5 ms.
_SIZE: Final = 100_000


def _turn(crew: Crew, name: str, calls: list[Arguments], right: list[object]) -> Turn:
    each = checked(lambda: crew.each(name, calls), right)
    return lambda: [timed(each) / len(calls)]


def _run(opened: Opened) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    adds, works = opened.scale.in_flight, opened.scale.in_flight // 10
    for workers in opened.scale.workers:
        with opened_crews(opened, CREWS, workers) as crews:
            turns: dict[str, Turn] = {}
            for name, crew in crews.items():
                calls: list[Arguments] = [(i, 1) for i in range(adds)]
                turns[f"{name}|calls_{workers}"] = _turn(crew, _ADD, calls, [i + 1 for i in range(adds)])
                turns[f"{name}|work_{workers}"] = _turn(crew, _WORK, [(_SIZE,)] * works, [_SIZE] * works)
            for key, times in opened.interleaved(turns).items():
                name, column = key.split("|")
                rows.setdefault(name, {})[column] = rounded(1 / statistics.median(times))
    return rows


WORKLOAD: Final = Workload(
    name="pool_throughput",
    title="Calls shared out among 1, 2 and 4 workers: small ones, and 5 ms of work",
    columns=(
        *(Column(f"calls_{workers}", f"calls /s, {workers}") for workers in (1, 2, 4)),
        *(Column(f"work_{workers}", f"work /s, {workers}") for workers in (1, 2, 4)),
    ),
    run=_run,
    needs=("psutil",),
    first_phase_only=True,
)
