"""A pool leaves nothing behind: no process, descriptor, thread or file; numbers are raised by `make soak`."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from jupyter_core.paths import jupyter_runtime_dir
from pools import until

from snakekernel import KernelPool

pytestmark = pytest.mark.kernel

#: Kernels started and stopped one after the other, and at the same time.
CYCLES = int(os.environ.get("SOAK_CYCLES", "50"))
AT_ONCE = int(os.environ.get("SOAK_AT_ONCE", "20"))
#: Of the loop's executor.
THREADS = 6


def _there() -> dict[str, object]:
    gc.collect()
    process = psutil.Process()
    children = {c.pid for c in process.children(recursive=True)}
    files = {
        *Path(tempfile.gettempdir()).glob("snakekernel-*"),
        *Path(jupyter_runtime_dir()).rglob("*.json"),
    }
    return {"fds": process.num_fds(), "threads": process.num_threads(), "children": children, "files": files}


@pytest.mark.timeout(900)
async def test_kernels_started_and_stopped_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    # Kernels of other tests that run now have theirs elsewhere. Of a short name: sockets lie in it.
    folder = tempfile.mkdtemp(prefix="leaks")
    monkeypatch.setattr(tempfile, "tempdir", folder)
    async with KernelPool(maximum=2, spares=0) as pool, pool.session("first"):
        await pool.call("math.sqrt", 4)
    # What is made once for the process is there now, the threads of the loop's executor too.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    all_at_once = threading.Barrier(THREADS)
    await asyncio.gather(*(asyncio.to_thread(all_at_once.wait) for _ in range(THREADS)))
    before = _there()
    async with KernelPool(maximum=AT_ONCE, starting=AT_ONCE, spares=0, start_timeout=300) as pool:
        handles = [pool.session(f"at once {n}") for n in range(AT_ONCE)]
        clients = await asyncio.gather(*(handle.open() for handle in handles))
        pids = await asyncio.gather(*(client.call("os.getpid") for client in clients))
        assert len(set(pids)) == AT_ONCE
    async with KernelPool(maximum=3, starting=3, spares=1) as pool:
        for n in range(CYCLES):
            async with pool.session(f"cycle {n}") as snake:
                await snake.call("math.sqrt", args=[4])
            await pool.close_session(f"cycle {n}")
    # zmq closes its sockets in threads of its own.
    await until(lambda: _there() == before)
    os.rmdir(folder)
