"""A call through a pool beside the same call of a client that is connected to a kernel directly.

Rules: both on one loop, call by call in turns; the pool has one kernel, so that no other is woken.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any, Final

import snakekernel

from ..crews.ours import pool
from ..measure import Opened, Row, Turn, rounded
from ..workload import Column, Workload

#: Of a turn: long enough for what the loop has to do besides to count little.
_SECONDS: Final = 0.1
_ADD: Final = "operator.add"
_DIRECT: Final = "a client of a kernel"
_POOL: Final = "a pool of one kernel"


def _run(opened: Opened) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    with asyncio.Runner() as runner, snakekernel.start() as owner:
        direct = runner.run(_connected(owner))
        kernels = pool(1)
        runner.run(kernels.open())
        try:
            runner.run(kernels.ready())
            calls = {_DIRECT: direct.call, _POOL: kernels.call}
            turns: dict[str, Turn] = {
                name: lambda call=call: runner.run(_calls(call, _SECONDS))  # type: ignore[misc]
                for name, call in calls.items()
            }
            times = {name: statistics.median(took) for name, took in opened.interleaved(turns).items()}
        finally:
            runner.run(kernels.close())
            runner.run(direct.close())
    rows = {name: {"median_us": rounded(took * 1e6)} for name, took in times.items()}
    if len(rows) == 2:
        rows[_POOL]["ratio"] = rounded(times[_POOL] / times[_DIRECT])
    return rows


async def _connected(owner: snakekernel.Client) -> snakekernel.AsyncClient:
    return await snakekernel.AsyncClient.connect(owner.manager)


async def _calls(call: Any, seconds: float) -> list[float]:
    clock = time.perf_counter
    times: list[float] = []
    end = clock() + seconds
    while (began := clock()) < end:
        if await call(_ADD, args=(2, 3)) != 5:
            raise ValueError("2 + 3 is not 5 there")
        times.append(clock() - began)
    return times


WORKLOAD: Final = Workload(
    name="pool_overhead",
    title="A small call through a pool",
    columns=(Column("median_us", "µs"), Column("ratio", "× a direct call")),
    run=_run,
    first_phase_only=True,
)
