"""ipyparallel: engines behind its load-balanced view."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from ..crew import Arguments, Crew, CrewKind, called, in_bursts
from ..processes import environment, folder, in_environment


@contextmanager
def opened(workers: int) -> Iterator[Crew]:
    """So many engines, their controller and schedulers, in a profile of their own."""
    import ipyparallel

    with folder() as place, in_environment({**environment(), "IPYTHONDIR": str(place)}):
        cluster = ipyparallel.Cluster(n=workers, profile_dir=str(place / "profile"), log_level=logging.ERROR)
        client = None
        try:
            client = cluster.start_and_connect_sync(activate=False)
            view = client.load_balanced_view()
            burst = in_bursts(
                lambda name, arguments: view.apply_async(called, name, *arguments),
                lambda results: [result.get() for result in results],
            )

            def each(name: str, calls: Sequence[Arguments]) -> list[Any]:
                got = burst(name, calls)
                # What it remembers of every call grows without end otherwise.
                client.purge_local_results("all")
                return got

            yield Crew(each=each, pids=client[:].apply_sync(os.getpid))
        finally:
            if client is not None:
                client.close()
            cluster.stop_cluster_sync()


KINDS: Final = [CrewKind(name="ipyparallel engines", open=opened, needs=("ipyparallel",))]
