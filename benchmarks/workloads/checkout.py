"""A session of a program's own: from asking for it to its first answer.

Rules: warm, a kernel is ready and unused; cold, one starts for it. Beside it what other libraries have that
is nearest: an actor, a process of one's own. What a worker keeps is thrown away with it, as a session's is.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from snakekernel import KernelPool

from ..crew import Worker
from ..crews.ours import pool
from ..measure import Opened, Row, Turn, rounded
from ..peers.ray import SETTINGS as RAY_SETTINGS
from ..peers.ray import cluster
from ..processes import in_environment
from ..workload import Column, Workload

_ADD: Final = "operator.add"
_POOLS: Final[dict[str, dict[str, Any]]] = {
    "snakekernel pool": {},
    "snakekernel pool, zygote": {"provisioner": "zygote"},
}
_WITH_NUMPY: Final[dict[str, dict[str, Any]]] = {
    "snakekernel pool, numpy": {"preload": ["numpy"]},
    "snakekernel pool, zygote, numpy": {"provisioner": "zygote", "preload": ["numpy"]},
}


@contextmanager
def _pool(runner: asyncio.Runner, spares: int, **options: Any) -> Iterator[KernelPool]:
    kernels = pool(0, maximum=4, spares=spares, **options)
    runner.run(kernels.open())
    try:
        yield kernels
    finally:
        runner.run(kernels.close())


async def _checked_out(kernels: KernelPool, everyone: Sequence[KernelPool]) -> float:
    # Kernels that replace used ones start, wherever one was used; the machine is to be at rest.
    for one in everyone:
        await one.ready()
    began = time.perf_counter()
    async with kernels.session("one") as snake:
        if await snake.call(_ADD, args=(2, 3)) != 5:
            raise ValueError("2 + 3 is not 5 there")
        seconds = time.perf_counter() - began
    await kernels.close_session("one")
    return seconds


def _ours(runner: asyncio.Runner, kernels: KernelPool, everyone: Sequence[KernelPool]) -> Turn:
    return lambda: [runner.run(_checked_out(kernels, everyone))]


def _process() -> list[float]:
    began = time.perf_counter()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as worker:
        if worker.submit(_add, 2, 3).result() != 5:
            raise ValueError("2 + 3 is not 5 there")
        seconds = time.perf_counter() - began
    return [seconds]


def _add(a: int, b: int) -> int:
    return a + b


def _actor(ray: Any) -> Turn:
    def turn() -> list[float]:
        began = time.perf_counter()
        actor = ray.remote(num_cpus=0)(Worker).remote()
        if ray.get(actor.run.remote(_ADD, (2, 3))) != 5:
            raise ValueError("2 + 3 is not 5 there")
        seconds = time.perf_counter() - began
        ray.kill(actor)
        return [seconds]

    return turn


def _run(opened: Opened) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    turns: dict[str, Turn] = {}
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        pools: list[KernelPool] = []
        for name, options in (_POOLS | (_WITH_NUMPY if opened.scale.has_all_crews else {})).items():
            for spares, column in ((1, "warm_ms"), (0, "cold_ms")):
                pools.append(stack.enter_context(_pool(runner, spares, **options)))
                turns[f"{name}|{column}"] = _ours(runner, pools[-1], pools)
        turns["ProcessPoolExecutor, a new one|cold_ms"] = _process
        if opened.scale.has_all_crews:
            try:
                stack.enter_context(in_environment(RAY_SETTINGS))
                turns["Ray actor, a new one|cold_ms"] = _actor(stack.enter_context(cluster(1)))
            except Exception as error:  # its cluster may not start; the others go on
                opened.leave_out("Ray actor, a new one", f"{error!r}")
        for key, times in opened.interleaved(turns, rounds=opened.scale.starts).items():
            name, column = key.split("|")
            rows.setdefault(name, {})[column] = rounded(statistics.median(times) * 1e3)
    return rows


WORKLOAD: Final = Workload(
    name="checkout",
    title="A session on a kernel of its own, from asking for it to its first answer",
    columns=(Column("warm_ms", "warm ms"), Column("cold_ms", "cold ms")),
    run=_run,
    first_phase_only=True,
)
