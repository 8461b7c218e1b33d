"""The standard library's pools of processes, each worker a process of its own from the start."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Final

from ..crew import Arguments, Crew, CrewKind, called, in_bursts

# Not forked: this process has threads, and other peers' sockets.
_CONTEXT: Final = multiprocessing.get_context("spawn")


@contextmanager
def pool(workers: int) -> Iterator[Crew]:
    """``multiprocessing.Pool``."""
    before = _workers()
    with _CONTEXT.Pool(workers) as processes:
        processes.starmap(called, [("os.getpid",)] * workers)

        def submit(name: str, arguments: Arguments) -> multiprocessing.pool.AsyncResult[object]:
            return processes.apply_async(called, (name, *arguments))

        each = in_bursts(submit, lambda results: [result.get() for result in results])
        yield Crew(each=each, pids=_workers() - before)
        processes.close()
        processes.join()


@contextmanager
def executor(workers: int) -> Iterator[Crew]:
    """``concurrent.futures.ProcessPoolExecutor``."""
    with ProcessPoolExecutor(workers, mp_context=_CONTEXT) as processes:
        # It starts a worker when there is none to spare.
        pids: set[int] = set()
        while len(pids) < workers:
            pids |= set(processes.map(called, ["os.getpid"] * (workers * 20)))

        def submit(name: str, arguments: Arguments) -> object:
            return processes.submit(called, name, *arguments)

        each = in_bursts(submit, lambda results: [result.result() for result in results])
        yield Crew(each=each, pids=sorted(pids))


def _workers() -> set[int]:
    import psutil

    # The one that cleans up for both, which stays.
    return {one.pid for one in psutil.Process().children() if "resource_tracker" not in str(one.cmdline())}


KINDS: Final = [
    CrewKind(name="multiprocessing.Pool", open=pool, needs=("psutil",), quick=True),
    CrewKind(name="ProcessPoolExecutor", open=executor),
]
