"""Many objects that a client refers to for a moment: references made and dropped, one after the other.

Rules: memory is that of client and server beside what it was after as many references before: caches are
full by then (Jupyter's record of 65,536 signatures, against replays, is the largest), and what grows from
there on leaks.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from typing import Final

from ..measure import Opened, Row, rounded
from ..memory import megabytes
from ..workload import Column, Workload


def _measured(refer: Callable[[int], object], pids: list[int], count: int) -> Row:
    refer(count)
    gc.collect()
    before = [megabytes([pid])[0] for pid in pids]
    began = time.perf_counter()
    refer(count)
    seconds = time.perf_counter() - began
    gc.collect()
    client, server = (megabytes([pid])[0] - was for pid, was in zip(pids, before, strict=True))
    return {
        "rate": rounded(count / seconds),
        "client_mb": rounded(client),
        "server_mb": rounded(server),
    }


def _run(opened: Opened) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for name, peer in opened.having("refer").items():
        assert peer.refer is not None
        try:
            rows[name] = _measured(peer.refer, [os.getpid(), peer.pids[0]], opened.scale.objects)
        except Exception as error:  # a peer's library may raise anything; the others go on
            opened.leave_out(name, f"{type(error).__name__}: {error}")
    return rows


WORKLOAD: Final = Workload(
    name="references",
    title="100,000 references made and dropped (5,000 with --quick)",
    columns=(
        Column("rate", "references /s"),
        Column("client_mb", "client grows MB"),
        Column("server_mb", "server grows MB"),
    ),
    run=_run,
    needs=("psutil",),
)
