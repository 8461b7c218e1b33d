"""From nothing to a kernel's first answer through Jupyter's own manager: by itself, and forked from a zygote.

Rules: stock managers with kernelspecs that differ in the provisioner alone. The zygote is there when it is
measured, as after a pool's first kernel; what it has imported, the other kernel imports before it answers.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from ..measure import Opened, Row, Turn, rounded
from ..processes import folder
from ..workload import Column, Workload

#: Row -> the provisioner, and the library that is imported.
_ROWS: Final[dict[str, tuple[str, str | None]]] = {
    "cold": ("local-provisioner", None),
    "zygote": ("snakekernel-zygote", None),
    "cold, numpy": ("local-provisioner", "numpy"),
    "zygote, numpy": ("snakekernel-zygote", "numpy"),
}


def _install(place: Path) -> KernelSpecManager:
    for number, (provisioner, library) in enumerate(_ROWS.values()):
        config = {"preload": [library]} if library and provisioner != "local-provisioner" else {}
        spec = {
            "argv": [sys.executable, "-m", "snakekernel", "-f", "{connection_file}"],
            "display_name": provisioner,
            "language": "python",
            "metadata": {"kernel_provisioner": {"provisioner_name": provisioner, "config": config}},
        }
        (place / f"kernel-{number}").mkdir()
        (place / f"kernel-{number}" / "kernel.json").write_text(json.dumps(spec))
    return KernelSpecManager(kernel_dirs=[str(place)])


async def _started(name: str, library: str | None, specs: KernelSpecManager) -> float:
    manager: Any = AsyncKernelManager(kernel_name=name, kernel_spec_manager=specs)
    began = time.perf_counter()
    await manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels(hb=False, iopub=False, stdin=False)
    try:
        reply = await client.execute(f"import {library or 'sys'}", reply=True, timeout=60)
        seconds = time.perf_counter() - began
        if reply["content"]["status"] != "ok":
            raise ValueError(reply["content"]["evalue"])
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
    return seconds


def _run(opened: Opened) -> dict[str, Row]:
    with folder() as place, asyncio.Runner() as runner:
        specs = _install(place)

        def turn(number: int, library: str | None) -> Turn:
            return lambda: [runner.run(_started(f"kernel-{number}", library, specs))]

        turns = {name: turn(number, _ROWS[name][1]) for number, name in enumerate(_ROWS)}
        measured = opened.interleaved(turns, rounds=opened.scale.starts)
    rows: dict[str, Row] = {
        name: {"start_ms": rounded(statistics.median(t) * 1e3)} for name, t in measured.items()
    }
    for name, row in rows.items():
        cold = rows.get(name.replace("zygote", "cold"))
        if cold is not None:
            row["ratio"] = rounded(row["start_ms"] / cold["start_ms"])
    return rows


WORKLOAD: Final = Workload(
    name="kernel_start",
    title="A kernel under Jupyter's manager, from nothing to the first answer",
    columns=(Column("start_ms", "ms"), Column("ratio", "× cold")),
    run=_run,
    first_phase_only=True,
)
