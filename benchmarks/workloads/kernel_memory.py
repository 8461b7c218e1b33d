"""What a worker takes in memory, where several of a crew are there: their own share, and with all they bring.

Rules: PSS, which divides shared pages among those who share them, so that what workers share counts once.
"""

from __future__ import annotations

from typing import Final

from ..crew import opened_crews
from ..kinds import CREWS, CREWS_WITH_NUMPY
from ..measure import Opened, Row, rounded
from ..memory import descendants, megabytes, parents
from ..workload import Column, Workload


def _run(opened: Opened) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    workers = max(opened.scale.workers)
    # One after the other: what a crew brings along is what is there since.
    for kind in [*CREWS, *CREWS_WITH_NUMPY]:
        before = descendants()
        with opened_crews(opened, [kind], workers) as crews:
            for name, crew in crews.items():
                crew.each("operator.add", [(i, 1) for i in range(workers * 10)])
                # A zygote may be there from before.
                brought = (descendants() - before) | parents(crew.pids)
                rows[name] = {
                    "worker_mb": rounded(megabytes(crew.pids)[1] / workers),
                    "all_mb": rounded(megabytes(brought)[1] / workers),
                }
    return rows


WORKLOAD: Final = Workload(
    name="kernel_memory",
    title="Memory of a worker, of four: PSS",
    columns=(Column("worker_mb", "a worker MB"), Column("all_mb", "with its share of all it brought MB")),
    run=_run,
    needs=("psutil",),
    first_phase_only=True,
)
