"""Dask: an actor on a local cluster of one worker process."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..peer import OUTSTANDING, Kind, Peer, one_by_one
from ..processes import environment, folder, in_environment
from ..served import Served

QUIET: Final = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.gil.enabled": False,
}


@contextmanager
def opened() -> Iterator[Peer]:
    """Scheduler in this process, as a local cluster has it; the worker in another."""
    import dask
    import distributed

    with (
        folder() as place,
        in_environment(environment()),
        # Profiling off; the scheduler has files, too.
        dask.config.set({**QUIET, "temporary-directory": str(place)}),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            local_directory=str(place),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        kept = client.submit(Served, actor=True).result()

        def in_flight(count: int) -> list[Any]:
            got = []
            for begin in range(0, count, OUTSTANDING):
                numbers = range(begin, min(begin + OUTSTANDING, count))
                under_way = [kept.add(i, 1) for i in numbers]
                got += [result.result() for result in under_way]
            return got

        yield Peer(
            call=lambda: kept.add(2, 3).result(),
            in_flight=in_flight,
            swap=lambda record: kept.swap(record).result(),
            put=lambda array: kept.put(array).result(),
            get=lambda: kept.get().result(),
            make=lambda count, value: kept.make(count, value).result(),
            get_made=lambda: kept.get_made().result(),
            put_frame=lambda frame: kept.put_frame(frame).result(),
            get_frame=lambda: kept.get_frame().result(),
            loop=one_by_one(lambda a, b: kept.add(a, b).result()),
            pids=pids,
        )


KINDS: Final = [Kind(name="Dask actor", open=opened, needs=("distributed",), phase=2)]
