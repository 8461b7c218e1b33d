"""Dask: one actor on each worker of a local cluster, asked in turn."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any, Final

from ..crew import Arguments, Crew, CrewKind, Worker, in_bursts
from ..peers.dask import QUIET
from ..processes import environment, folder, in_environment


@contextmanager
def opened(workers: int) -> Iterator[Crew]:
    """Scheduler in this process, as a local cluster has it; each worker in another."""
    import dask
    import distributed

    with (
        folder() as place,
        in_environment(environment()),
        dask.config.set({**QUIET, "temporary-directory": str(place)}),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            local_directory=str(place),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        places = client.run(os.getpid)
        made = [client.submit(Worker, actor=True, workers=[at], pure=False) for at in places]
        in_turn = cycle(one.result() for one in made)

        def submit(name: str, arguments: Arguments) -> Any:
            return next(in_turn).run(name, arguments)

        each = in_bursts(submit, lambda results: [result.result() for result in results])
        yield Crew(each=each, pids=list(places.values()))


KINDS: Final = [CrewKind(name="Dask actors", open=opened, needs=("distributed",))]
