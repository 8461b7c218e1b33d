"""All peers and crews, in the order of the tables."""

from __future__ import annotations

from itertools import chain
from typing import Final

from .crew import CrewKind
from .crews import dask as dask_crew
from .crews import ipyparallel as ipyparallel_crew
from .crews import ours as our_crew
from .crews import processes
from .crews import ray as ray_crew
from .peer import Kind
from .peers import (
    dask,
    echo,
    grpc,
    ipykernel,
    ipyparallel,
    manager,
    memcpy,
    ours,
    pyro5,
    ray,
    rpyc,
    session_echo,
    zerorpc,
)

#: What others are compared with; opened anew in each phase.
FLOORS: Final[list[Kind]] = [*echo.KINDS, *memcpy.KINDS]

OTHERS: Final[list[Kind]] = list(
    chain.from_iterable(
        module.KINDS
        for module in (
            ours,
            session_echo,
            ipykernel,
            manager,
            rpyc,
            pyro5,
            grpc,
            zerorpc,
            ipyparallel,
            dask,
            ray,
        )
    )
)

CREWS: Final[list[CrewKind]] = list(
    chain.from_iterable(
        module.KINDS for module in (our_crew, processes, ipyparallel_crew, dask_crew, ray_crew)
    )
)
#: Ours once more, with a library that every worker has imported.
CREWS_WITH_NUMPY: Final[list[CrewKind]] = our_crew.WITH_NUMPY
