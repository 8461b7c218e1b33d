"""From nothing to the first answer, and what a server holds in memory then.

Rules: the libraries of the client are loaded before. Two kernels are asked in one and the same way too, by a
bare socket, so that what their clients do is left out. Peers that bring many processes start once only.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from contextlib import closing
from typing import Any, Final

import zmq
from jupyter_client.connect import write_connection_file
from jupyter_client.session import Session

from ..measure import Opened, Row, Turn, rounded
from ..memory import megabytes
from ..peer import Kind
from ..processes import folder
from ..workload import Column, Workload

#: Row -> the module that a kernel is started by.
_BARE: Final = {"snakekernel, bare client": "snakekernel", "ipykernel, bare client": "ipykernel_launcher"}
#: Milliseconds after which the socket tries again to reach a kernel that does not listen yet.
_AGAIN: Final = 2


def _bare(module: str, memory: list[float]) -> Turn:
    """Spawn a kernel; ask it for its kernel info over a bare socket until it answers."""

    def turn() -> list[float]:
        with folder() as place, zmq.Context() as context, closing(context.socket(zmq.DEALER)) as shell:
            path, info = write_connection_file(str(place / "kernel.json"), key=b"a key")
            session = Session(key=b"a key")
            shell.linger, shell.reconnect_ivl = 0, _AGAIN
            command = [sys.executable, "-m", module, "-f", path]
            quiet = subprocess.DEVNULL
            # It ends with this process, as under a kernel manager.
            settings = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
            began = time.perf_counter()
            with subprocess.Popen(
                command, stdout=quiet, stderr=quiet, env=settings, start_new_session=True
            ) as process:
                try:
                    shell.connect(f"tcp://127.0.0.1:{info['shell_port']}")
                    session.send(shell, "kernel_info_request", {})
                    if not shell.poll(30_000):
                        raise TimeoutError(f"{module} did not answer")
                    session.recv(shell, mode=0)
                    seconds = time.perf_counter() - began
                    memory.append(megabytes([process.pid])[0])
                finally:
                    process.kill()
        return [seconds]

    return turn


def _opening(kind: Kind, memory: list[float]) -> Turn:
    def turn() -> list[float]:
        began = time.perf_counter()
        with kind.open() as peer:
            assert peer.call is not None
            peer.call()
            seconds = time.perf_counter() - began
            memory.append(megabytes(peer.pids)[0])
        return [seconds]

    return turn


def _run(opened: Opened) -> dict[str, Row]:
    memory: dict[str, list[float]] = {}
    turns: dict[str, Turn] = {}
    first = all(kind.phase == 1 for kind, _ in opened.peers.values())
    if first:
        for name, module in _BARE.items():
            turns[name] = _bare(module, memory.setdefault(name, []))
        for name, (kind, _) in opened.peers.items():
            if kind.starts:
                turns[name] = _opening(kind, memory.setdefault(name, []))
    measured: dict[str, Any] = opened.interleaved(turns, rounds=opened.scale.starts)
    rows: dict[str, Row] = {}
    for name in dict.fromkeys([*measured, *opened.starts]):
        start = opened.starts.get(name)
        # One start alone also loaded what had never been read from the disk.
        seconds = statistics.median(measured[name]) if measured.get(name) else start and start.seconds
        if seconds is None:
            continue
        rows[name] = {"start_ms": rounded(seconds * 1e3)}
        alone = memory.get(name) or ([start.own] if start and start.own else [])
        if alone:
            rows[name]["memory_mb"] = rounded(statistics.median(alone))
        if start and start.all:
            rows[name]["all_mb"] = rounded(start.all)
    return rows


WORKLOAD: Final = Workload(
    name="start_up",
    title="From nothing to the first answer, and memory after it",
    columns=(
        Column("start_ms", "start ms"),
        Column("memory_mb", "server's RSS MB"),
        Column("all_mb", "all its processes PSS MB"),
    ),
    run=_run,
    needs=("psutil",),
)
