"""Many starts and ends through one zygote leave nothing behind, one after another and at once.

``make soak`` runs them longer.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager
from kernelspecs import install
from stock_client import PATIENCE

from snakekernel.provisioners.forked import ForkedProcess

pytestmark = pytest.mark.kernel

CYCLES: Final = int(os.environ.get("SOAK_CYCLES", "50"))
AT_ONCE: Final = int(os.environ.get("SOAK_AT_ONCE", "20"))


@pytest.fixture(scope="module", autouse=True)
def installed(kernelspecs: Path) -> None:
    install("zygote", "forked")


@pytest.fixture
def managers(tmp_path: Path) -> Callable[[], Any]:
    """Makes kernel managers. Over ipc: of a hundred kernels' ports, others take one now and then."""
    numbers = itertools.count()

    def make() -> Any:
        return AsyncKernelManager(
            kernel_name="forked", transport="ipc", ip=str(tmp_path / f"k{next(numbers)}")
        )

    return make


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

    def __init__(self, zygote: psutil.Process, sockets: Path) -> None:
        self._zygote = zygote
        self._sockets = sockets
        self._before = self._now()

    def _now(self) -> dict[str, Any]:
        runtime = Path(os.environ["JUPYTER_RUNTIME_DIR"])
        return {
            "descriptors": psutil.Process().num_fds(),
            "descriptors of the zygote": self._zygote.num_fds(),
            "kernels": len(self._zygote.children()),
            "threads": threading.active_count(),
            "sockets": len(list(self._sockets.iterdir())),
            "connection files": len(list(runtime.glob("*"))),
        }

    def check(self) -> None:
        now = self._now()
        assert {name: now[name] for name in now if now[name] > self._before[name]} == {}


async def _zygote(manager: Any) -> psutil.Process:
    """The zygote, after a first kernel has come and gone."""
    await manager.start_kernel()
    zygote = _zygote_of(manager)
    await _use(manager)
    await manager.shutdown_kernel(now=True)
    manager.context.destroy(linger=0)
    return zygote


@pytest.mark.timeout(120 + 2 * CYCLES)
async def test_one_after_another(managers: Callable[[], Any], tmp_path: Path) -> None:
    left = _Left(await _zygote(managers()), tmp_path)
    for cycle in range(CYCLES):
        manager = managers()
        await manager.start_kernel()
        assert isinstance(manager.provisioner.process, ForkedProcess)
        if cycle % 10 == 0:
            await _use(manager)
        # Every fifth ends by itself; the others are killed, most of them while they start.
        await manager.shutdown_kernel(now=cycle % 5 != 0)
        manager.context.destroy(linger=0)
    left.check()


@pytest.mark.timeout(120 + 4 * AT_ONCE)
async def test_many_at_once(managers: Callable[[], Any], tmp_path: Path) -> None:
    left = _Left(await _zygote(managers()), tmp_path)
    started = [managers() for _ in range(AT_ONCE)]
    await asyncio.gather(*(manager.start_kernel() for manager in started))
    await asyncio.gather(*(_use(manager) for manager in started))
    pids = {manager.provisioner.process.pid for manager in started}
    assert len(pids) == AT_ONCE
    await asyncio.gather(*(manager.shutdown_kernel(now=True) for manager in started))
    for manager in started:
        manager.context.destroy(linger=0)
    left.check()
