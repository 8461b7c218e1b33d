"""What a pool's kernels are, and when they are replaced by others."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.kernelspec import NoSuchKernel
from pools import PATIENCE, is_running, until

from snakekernel import KernelPool
from snakekernel.client.launch import kernel_spec
from snakekernel.errors import KernelLost

pytestmark = pytest.mark.kernel


async def test_kernels_are_replaced_after_so_many_calls() -> None:
    async with KernelPool(maximum=1, spares=0, max_requests=2) as pool:
        pids = [await pool.call("os.getpid") for _ in range(4)]
        assert pids[0] == pids[1] != pids[2] == pids[3]
        await until(lambda: not is_running(pids[0]))


async def test_kernels_are_replaced_by_age_and_memory() -> None:
    async with KernelPool(minimum=1, maximum=2, spares=0, max_age=0.5, measure_every=0.1) as pool:
        first = await pool.call("os.getpid")
        await until(lambda: not is_running(first))
        pool.resize(max_age=None, max_memory=300_000_000)
        second = await pool.call("os.getpid")
        assert second != first
        await pool.call("builtins.exec", "import builtins; builtins.kept = bytes(range(256)) * 2_000_000")
        await until(lambda: not is_running(second))
        assert await pool.call("os.getpid") != second


async def test_kernels_of_another_environment(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    # As if everything that this environment has were installed there.
    (site / "ours.pth").write_text(
        "\n".join(p for p in sys.path if p.endswith("-packages") or (Path(p) / "snakekernel").is_dir())
    )
    python = str(venv / "bin" / "python")
    async with KernelPool(
        name="other",
        maximum=1,
        spares=0,
        python=python,
        env={"GREETING": "hello ${HOME} $"},
        limits={"nofile": 123},
        preload=["colorsys"],
    ) as pool:
        assert await pool.call("builtins.eval", "__import__('sys').executable") == python
        assert await pool.call("os.getenv", "GREETING") == "hello ${HOME} $"
        assert await pool.call("builtins.eval", "'colorsys' in __import__('sys').modules")
        with pytest.raises(OSError, match="Too many open files"):
            await pool.call("builtins.exec", "import os\nfor _ in range(200):\n    os.dup(1)")


async def test_kernels_of_an_installed_kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {**kernel_spec(), "display_name": "special", "env": {"SPECIAL": "yes"}}
    (tmp_path / "kernels" / "special").mkdir(parents=True)
    (tmp_path / "kernels" / "special" / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    async with KernelPool(maximum=1, spares=0, kernel_name="special", env={"MORE": "also"}) as pool:
        assert await pool.map("os.getenv", ["SPECIAL", "MORE"]) == ["yes", "also"]
    with pytest.raises(NoSuchKernel):
        await KernelPool(kernel_name="nothing").open()


async def test_a_kernel_that_does_not_start_says_why() -> None:
    options: dict[str, Any] = {"spares": 0, "give_up_after": 2, "backoff": (0.01, 0.01)}
    async with KernelPool(preload=["no_such_module"], **options) as pool:
        with pytest.raises(KernelLost, match="no_such_module"):
            await pool.call("math.sqrt", 4)
    async with KernelPool(limits={"no_such_limit": 1}, **options) as pool:
        with pytest.raises(KernelLost, match=r"It wrote:(.|\n)*no resource limit 'no_such_limit'"):
            await pool.call("math.sqrt", 4)
    async with KernelPool(python="/no/such/python", **options) as pool:
        with pytest.raises(KernelLost, match="/no/such/python"):
            await pool.call("math.sqrt", 4)
    with pytest.raises(ValueError, match="no kernel provisioner 'nobody'"):
        await KernelPool(provisioner="nobody").open()
    with pytest.raises(TypeError, match="no option maximun"):
        KernelPool(maximun=4)


async def _leave_open() -> tuple[list[int], list[str]]:
    pool = await KernelPool(minimum=1, maximum=1, spares=0).open()
    await pool.ready()
    members = list(pool._members.values())
    assert pool._file is not None
    files = [str(pool._file._path), *(member.manager.connection_file for member in members)]
    return [member.pid or 0 for member in members], files


def test_a_pool_that_nobody_closed_goes_with_the_garbage() -> None:
    for _ in range(2):
        pids, files = asyncio.run(_leave_open())
        gc.collect()
        assert not any(map(os.path.exists, files))
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).wait(PATIENCE)


async def test_a_signal_drains_all_pools_that_ask_for_it() -> None:
    async with KernelPool(spares=0) as first, KernelPool(spares=0) as second, KernelPool(spares=0) as third:
        first.drain_on(signal.SIGUSR1)
        second.drain_on(signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        await first.wait_closed()
        await second.wait_closed()
        assert third.state == "open"
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


_PROGRAM = """
import asyncio, os, signal, sys
from snakekernel import KernelPool
from snakekernel.pool.status_files import status_folder

async def main():
    pool = await KernelPool(minimum=1, maximum=2, spares=1).open()
    await pool.ready()
    pids = [member.pid for member in pool._members.values()]
    folders = [os.path.dirname(member.manager.ip) for member in pool._members.values()]
    files = [member.manager.connection_file for member in pool._members.values()]
    if {drains}:
        pool.drain_on(signal.SIGTERM)
    files.append(str(next(status_folder().glob(f"pool-{{os.getpid()}}-*.json"))))
    print(*pids, *folders, *files, flush=True)
    if {drains}:
        await pool.wait_closed()
        print("drained", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("drains", [True, False])
def test_nothing_is_left_of_a_program_that_ends(drains: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(drains=drains)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        told = program.stdout.readline().split()
        if drains:
            program.send_signal(signal.SIGTERM)
            assert program.stdout.readline().strip() == "drained"
        program.wait()
    assert len(told) == 7
    assert not any(map(os.path.exists, told[2:]))
    # Kernels look every second whether their parent lives.
    for pid in map(int, told[:2]):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(PATIENCE)


async def test_a_pool_closes_at_once_what_has_not_begun_to_start() -> None:
    pool = await KernelPool(minimum=2, starting=2).open()
    async with asyncio.timeout(PATIENCE):
        await pool.close()
    assert not pool.status().kernels
