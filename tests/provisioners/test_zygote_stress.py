"""Many starts and ends through one zygote leave nothing behind, one after another and at once.

``make soak`` runs them longer.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from jupyter_client.connect import LocalPortCache
from jupyter_client.manager import AsyncKernelManager
from kernelspecs import install
from stock_client import PATIENCE

from snakekernel.provisioners.forking import ForkedProcess

pytestmark = pytest.mark.kernel

CYCLES: Final = int(os.environ.get("SOAK_CYCLES", "50"))
AT_ONCE: Final = int(os.environ.get("SOAK_AT_ONCE", "20"))


@pytest.fixture(scope="module", autouse=True)
def installed(kernelspecs: Path) -> None:
    install("zygote", "forked")


async def _use(manager: Any) -> None:
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=PATIENCE)
    finally:
        client.stop_channels()
        client.context.destroy(linger=0)


def _zygote_of(manager: Any) -> psutil.Process:
    parent = psutil.Process(manager.provisioner.process.pid).parent()
    assert parent is not None
    return parent


class _Left:
    """What is there beyond what was there before."""

    def __init__(self, zygote: psutil.Process) -> None:
        self._zygote = zygote
        self._before = self._now()

    def _now(self) -> dict[str, Any]:
        runtime = Path(os.environ["JUPYTER_RUNTIME_DIR"])
        return {
            "descriptors": psutil.Process().num_fds(),
            "descriptors of the zygote": self._zygote.num_fds(),
            "kernels": len(self._zygote.children()),
            "threads": threading.active_count(),
            "ports": len(LocalPortCache.instance().currently_used_ports),
            "connection files": len(list(runtime.glob("*"))),
        }

    def check(self) -> None:
        now = self._now()
        assert {name: now[name] for name in now if now[name] > self._before[name]} == {}


async def _zygote() -> psutil.Process:
    """The zygote, after a first kernel has come and gone."""
    manager = AsyncKernelManager(kernel_name="forked")
    await manager.start_kernel()
    zygote = _zygote_of(manager)
    await _use(manager)
    await manager.shutdown_kernel(now=True)
    manager.context.destroy(linger=0)
    return zygote


@pytest.mark.timeout(120 + 2 * CYCLES)
async def test_one_after_another() -> None:
    left = _Left(await _zygote())
    for cycle in range(CYCLES):
        manager = AsyncKernelManager(kernel_name="forked")
        await manager.start_kernel()
        assert isinstance(manager.provisioner.process, ForkedProcess)
        if cycle % 10 == 0:
            await _use(manager)
        # Every fifth ends by itself; the others are killed, most of them while they start.
        await manager.shutdown_kernel(now=cycle % 5 != 0)
        manager.context.destroy(linger=0)
    left.check()


@pytest.mark.timeout(120 + 4 * AT_ONCE)
async def test_many_at_once() -> None:
    left = _Left(await _zygote())
    managers: list[Any] = [AsyncKernelManager(kernel_name="forked") for _ in range(AT_ONCE)]
    await asyncio.gather(*(manager.start_kernel() for manager in managers))
    await asyncio.gather(*(_use(manager) for manager in managers))
    pids = {manager.provisioner.process.pid for manager in managers}
    assert len(pids) == AT_ONCE
    await asyncio.gather(*(manager.shutdown_kernel(now=True) for manager in managers))
    for manager in managers:
        manager.context.destroy(linger=0)
    left.check()
