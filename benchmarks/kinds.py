"""All peers, in the order of the tables."""

from __future__ import annotations

from itertools import chain
from typing import Final

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
