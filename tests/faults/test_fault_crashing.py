"""A kernel that crashes at each start: said at once, with what it wrote, and not tried for ever."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.ioloop import AsyncIOLoopKernelManager
from jupyter_client.kernelspec import KernelSpec

import snakekernel
from snakekernel import AsyncClient, KernelPool
from snakekernel.errors import KernelLost

pytestmark = [pytest.mark.kernel, pytest.mark.promise("fault-12")]

#: Notes each start, and crashes.
CODE = "import pathlib; pathlib.Path({!r}).open('a').write(f'{{__import__(\"time\").monotonic()}}\\n'); 1 / 0"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that has a line for each start of the kernelspec ``crashing``."""
    starts = tmp_path / "starts"
    folder = tmp_path / "jupyter" / "kernels" / "crashing"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-c", CODE.format(str(starts)), "{connection_file}"]
    made = KernelSpec(argv=argv, display_name="crashing", language="python")
    (folder / "kernel.json").write_text(made.to_json())
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return starts


def test_a_start_fails_at_once_with_what_it_wrote(spec: Path) -> None:
    with pytest.raises(KernelLost, match="ZeroDivisionError") as caught:
        snakekernel.start("crashing")
    assert (caught.value.cause, caught.value.exit_code) == ("exit", 1)
    assert "ZeroDivisionError" in caught.value.stderr
    assert len(spec.read_text().splitlines()) == 1


async def test_so_does_one_of_the_async_client(spec: Path) -> None:
    with pytest.raises(KernelLost, match="ZeroDivisionError"):
        await AsyncClient.start("crashing")
    assert len(spec.read_text().splitlines()) == 1


async def test_a_pool_gives_up_and_waits_longer_each_time(spec: Path) -> None:
    pool = KernelPool(kernel_name="crashing", maximum=1, give_up_after=3, backoff=(0.2, 10.0))
    async with pool:
        with pytest.raises(KernelLost, match="ZeroDivisionError"):
            await pool.call("math.sqrt", 4)
    starts = [float(line) for line in spec.read_text().splitlines()]
    assert len(starts) == 3
    first, second = (later - earlier for earlier, later in pairwise(starts))
    assert first >= 0.2
    assert second >= 0.4


async def test_a_servers_restarter_gives_up(spec: Path) -> None:
    """As Jupyter Server has it, with its default limit, though looking more often."""
    manager: Any = AsyncIOLoopKernelManager(kernel_name="crashing")
    dead = asyncio.Event()
    await manager.start_kernel(stderr=subprocess.DEVNULL)
    try:
        restarter: Any = manager._restarter
        restarter.stop()
        restarter.time_to_dead = 0.05
        restarter.add_callback(dead.set, "dead")
        restarter.start()
        async with asyncio.timeout(60):
            await dead.wait()
        assert len(spec.read_text().splitlines()) <= restarter.restart_limit + 1
    finally:
        manager.stop_restarter()
        await manager.cleanup_resources()
