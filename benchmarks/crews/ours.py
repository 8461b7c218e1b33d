"""Pools of our kernels, started by themselves or forked from a zygote."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from snakekernel import KernelPool

from ..crew import Arguments, Crew, CrewKind
from ..processes import environment


def pool(workers: int, **options: Any) -> KernelPool:
    """A pool of so many kernels for calls."""
    # Session kernels are made beside them.
    options = {"minimum": workers, "maximum": workers, "spares": 0, **options}
    return KernelPool(env={"PYTHONPATH": environment()["PYTHONPATH"]}, **options)


@contextmanager
def opened(workers: int, **options: Any) -> Iterator[Crew]:
    """A pool whose kernels are all ready, asked by coroutines of one loop."""
    with asyncio.Runner() as runner:
        kernels = pool(workers, **options)
        runner.run(kernels.open())
        try:
            runner.run(kernels.ready())

            def each(name: str, calls: Sequence[Arguments]) -> list[Any]:
                return runner.run(kernels.map(name, *zip(*calls, strict=True)))

            pids = [kernel.pid for kernel in kernels.status().kernels if kernel.pid is not None]
            yield Crew(each=each, pids=pids)
        finally:
            runner.run(kernels.close())


KINDS: Final = [
    CrewKind(name="snakekernel pool", open=opened, quick=True),
    CrewKind(name="snakekernel pool, 8 calls each", open=partial(opened, calls_per_kernel=8)),
    CrewKind(name="snakekernel pool, zygote", open=partial(opened, provisioner="zygote"), quick=True),
]
WITH_NUMPY: Final = [
    CrewKind(name=f"{name}, numpy", open=partial(opened, preload=["numpy"], **options))
    for name, options in (("snakekernel pool", {}), ("snakekernel pool, zygote", {"provisioner": "zygote"}))
]
