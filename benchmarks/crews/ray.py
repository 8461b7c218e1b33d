"""Ray: actors, asked in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any, Final

from ..crew import Arguments, Crew, CrewKind, Worker, in_bursts
from ..peers.ray import SETTINGS, cluster


@contextmanager
def opened(workers: int) -> Iterator[Crew]:
    """A cluster of its own on this machine, as small as it can be, and so many actors."""
    with cluster(workers) as ray:
        actors = [ray.remote(num_cpus=1)(Worker).remote() for _ in range(workers)]
        in_turn = cycle(actors)

        def submit(name: str, arguments: Arguments) -> Any:
            return next(in_turn).run.remote(name, arguments)

        pids = ray.get([actor.pid.remote() for actor in actors])
        yield Crew(each=in_bursts(submit, ray.get), pids=pids)


KINDS: Final = [CrewKind(name="Ray actors", open=opened, needs=("ray",), settings=SETTINGS)]
