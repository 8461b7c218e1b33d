"""ipyparallel: a cluster of one engine, asked through a direct view."""

from __future__ import annotations

import logging
import operator
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..peer import OUTSTANDING, STEPS, Kind, Peer, one_by_one
from ..processes import environment, folder, in_environment

_CHAIN: Final = "x = 0\n" + "x = operator.add(x, 1)\n" * STEPS


@contextmanager
def opened() -> Iterator[Peer]:
    """One engine, its controller and scheduler, in a profile of their own."""
    import ipyparallel

    with folder() as place, in_environment({**environment(), "IPYTHONDIR": str(place)}):
        cluster = ipyparallel.Cluster(n=1, profile_dir=str(place / "profile"), log_level=logging.ERROR)
        client = None
        try:
            client = cluster.start_and_connect_sync(activate=False)
            view = client[0]
            # What the engine's own namespace holds by these names.
            swap, make = ipyparallel.Reference("kept.swap"), ipyparallel.Reference("kept.make")

            def in_flight(count: int) -> list[Any]:
                got = []
                for begin in range(0, count, OUTSTANDING):
                    numbers = range(begin, min(begin + OUTSTANDING, count))
                    under_way = [view.apply_async(operator.add, i, 1) for i in numbers]
                    got += [result.get() for result in under_way]
                # What it remembers of every call grows without end otherwise.
                client.purge_local_results("all")
                return got

            def chain() -> Any:
                view.execute(_CHAIN, block=True)
                return view["x"]

            def prepare() -> None:
                code = "import operator\nfrom benchmarks.served import Served\nkept = Served()"
                view.execute(code, block=True)

            yield Peer(
                call=lambda: view.apply_sync(operator.add, 2, 3),
                in_flight=in_flight,
                batch=lambda count: view.map_sync(operator.add, range(count), [1] * count),
                swap=lambda record: view.apply_sync(swap, record),
                put=lambda array: view.push({"array": array}, block=True),
                get=lambda: view.pull("array", block=True),
                make=lambda count, value: view.apply_sync(make, count, value),
                get_made=lambda: view.pull("kept.made", block=True),
                put_frame=lambda frame: view.push({"frame": frame}, block=True),
                get_frame=lambda: view.pull("frame", block=True),
                loop=one_by_one(lambda a, b: view.apply_sync(operator.add, a, b)),
                chain=chain,
                pids=[view.apply_sync(os.getpid)],
                prepare=prepare,
            )
        finally:
            if client is not None:
                client.close()
            cluster.stop_cluster_sync()


KINDS: Final = [Kind(name="ipyparallel", open=opened, needs=("ipyparallel",), phase=2)]
