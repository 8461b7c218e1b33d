"""Kernels forked from a zygote: like any other kernel, with a process of their own in every respect."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager, KernelManager
from kernelspecs import install
from stock_client import PATIENCE, Stock

import snakekernel
from snakekernel.provisioners import forking
from snakekernel.provisioners.forked import ForkedProcess
from snakekernel.provisioners.forking import close_zygotes

pytestmark = pytest.mark.kernel
if sys.platform != "linux":
    pytest.skip("kernels are forked on Linux alone", allow_module_level=True)

#: Its modules are found by kernels of this module's kernelspecs.
_LIBRARIES = {
    "starts_a_thread": """
        import threading
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    """,
    "cannot_be_imported": "raise RuntimeError('not today')",
    "imports_well": "import os",
}


@pytest.fixture(scope="module", autouse=True)
def installed(kernelspecs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The kernelspec ``forked``, and libraries that may be preloaded."""
    folder = tmp_path_factory.mktemp("libraries")
    for name, code in _LIBRARIES.items():
        lines = [line.strip() for line in code.strip().splitlines()]
        (folder / f"{name}.py").write_text("\n".join(lines))
    install("zygote", "forked", preload=["numpy"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield


@pytest.fixture
def start() -> Iterator[Callable[..., snakekernel.Client]]:
    """Starts forked kernels, ended after the test."""
    clients: list[snakekernel.Client] = []

    def start(kernel_name: str = "forked", **options: Any) -> snakekernel.Client:
        clients.append(snakekernel.start(kernel_name, **options))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def _process(client: snakekernel.Client) -> Any:
    return client.manager.provisioner.process


def _zygote(client: snakekernel.Client) -> psutil.Process:
    parent = psutil.Process(_process(client).pid).parent()
    assert parent is not None
    return parent


def _look(client: snakekernel.Client, expression: str) -> Any:
    """What an expression gives in the kernel's process."""
    return client.call("builtins.eval", args=[expression, {}])


def _pid(client: snakekernel.Client) -> Any:
    """The process id that the kernel gives itself; a client from before a restart may not know of it yet."""
    with snakekernel.connect(client.connection_file) as other:
        return other.call("os.getpid")


def test_a_notebook_works_in_a_forked_kernel(start: Callable[..., snakekernel.Client]) -> None:
    client = start()
    assert isinstance(_process(client), ForkedProcess)
    stock = Stock(client.manager.get_connection_info())
    try:
        assert client.call("math.hypot", args=[3, 4]) == 5
        stock.cell("x = 41")
        slow = stock.send("execute_request", {"code": "import time\nprint('begun')\ntime.sleep(60)"})
        stock.until_it_prints(slow)
        client.manager.interrupt_kernel()
        assert stock.reply(slow)["content"]["ename"] == "KeyboardInterrupt"
        subshell = stock.reply(stock.send("create_subshell_request", channel="control"), channel="control")
        in_it = stock.send(
            "execute_request", {"code": "y = x + 1"}, subshell_id=subshell["content"]["subshell_id"]
        )
        assert stock.reply(in_it)["content"]["status"] == "ok"
        client.manager.restart_kernel(now=False)
        assert isinstance(_process(client), ForkedProcess)
        assert _pid(client) == _process(client).pid
    finally:
        stock.close()


def test_no_two_kernels_share_what_must_differ(start: Callable[..., snakekernel.Client]) -> None:
    one, other = start(), start()
    assert _zygote(one) == _zygote(other)
    for different in (
        "__import__('random').random()",
        "__import__('numpy').random.random()",
        "__import__('uuid').uuid4().hex",
        "__import__('os').getpid()",
        "__import__('os').getsid(0)",
        "bytes(__import__('multiprocessing').current_process().authkey).hex()",
    ):
        assert _look(one, different) != _look(other, different)
    assert one.info()["epoch"] != other.info()["epoch"]


def test_the_process_is_as_one_of_its_own(start: Callable[..., snakekernel.Client], tmp_path: Path) -> None:
    plain = start()
    output = tmp_path / "output"
    env = {**os.environ, "JPY_SESSION_NAME": "a.ipynb"}
    with output.open("wb") as file:
        client = start(cwd=str(tmp_path), env=env, output=file)
    assert _zygote(client) == _zygote(plain)
    look = _look(client, "__import__('os').getcwd()"), _look(client, "dict(__import__('os').environ)")
    assert look == (str(tmp_path), look[1])
    # What the kernel sets itself, as stock.
    own = {
        "JPY_PARENT_PID",
        "MPLBACKEND",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "FORCE_COLOR",
        "GIT_PAGER",
        "PAGER",
        "TERM",
    }
    seen = {name: value for name, value in look[1].items() if name not in own}
    assert seen.items() >= {n: v for n, v in env.items() if n not in own}.items()
    assert seen.keys() - env.keys() <= {"PYDEVD_USE_FRAME_EVAL", "LC_CTYPE"}
    assert look[1]["JPY_PARENT_PID"] == str(os.getpid())
    assert _look(client, "__import__('sys').argv[1:]") == ["-f", client.manager.connection_file]
    assert psutil.Process(_process(client).pid).cmdline()[1:4] == ["-m", "snakekernel", "-f"]
    assert _look(client, "__import__('sys').stdin.read()") == ""
    assert _look(client, "__import__('threading').main_thread() is __import__('threading').current_thread()")
    client.call("os.system", args=["echo straight from the process"])
    # Nothing of the zygote's is open in it: the only sockets are zmq's.
    here = {c.laddr for c in psutil.Process(_process(client).pid).net_connections("unix") if c.laddr}
    assert all(client.manager.ip in str(address) for address in here)
    client.close()
    assert output.read_text() == "straight from the process\n"


def test_libraries_are_preloaded_and_calculate_as_ever(start: Callable[..., snakekernel.Client]) -> None:
    client = start()
    assert _look(client, "'numpy' in __import__('sys').modules")
    ours = _look(client, "len(__import__('os').listdir('/proc/self/task'))")
    square = "__import__('numpy').ones((600, 600))"
    assert _look(client, f"float(({square} @ {square}).sum())") == 600.0**3
    # The zygote's import had started OpenBLAS's threads; they must be there in the kernel as well.
    count = "print(len(os.listdir('/proc/self/task')))"
    alone = subprocess.run(
        [sys.executable, "-c", f"import os; {square}.dot({square}); {count}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert _look(client, "len(__import__('os').listdir('/proc/self/task'))") == ours + int(alone.stdout) - 1


def test_plots_show_where_matplotlib_was_preloaded(start: Callable[..., snakekernel.Client]) -> None:
    install("zygote", "plotting", preload=["matplotlib.pyplot"])
    client = start("plotting")
    stock = Stock(client.manager.get_connection_info())
    try:
        cell = stock.send("execute_request", {"code": "import matplotlib.pyplot as p\np.plot([1, 2]);"})
        assert stock.reply(cell)["content"]["status"] == "ok"
        (shown,) = [m for m in stock.outputs(cell) if m["msg_type"] == "display_data"]
        assert "image/png" in shown["content"]["data"]
    finally:
        stock.close()


def test_a_killed_kernel_is_seen(start: Callable[..., snakekernel.Client]) -> None:
    client = start()
    process = _process(client)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert not client.manager.is_alive()
    # Told of once, and harmless after.
    process.terminate()
    assert process.poll() == process.wait() == -signal.SIGKILL
    client.manager.restart_kernel(now=True)
    assert _pid(client) == _process(client).pid != process.pid


def test_kernels_end_with_their_zygote_and_the_next_has_another(
    start: Callable[..., snakekernel.Client],
) -> None:
    one, other = start(), start()
    zygote = _zygote(one)
    zygote.kill()
    assert _process(one).wait(PATIENCE) == -signal.SIGKILL
    assert _process(other).wait(PATIENCE) == -signal.SIGKILL
    client = start()
    assert isinstance(_process(client), ForkedProcess)
    assert _zygote(client) != zygote


def test_a_child_of_the_host_changes_nothing() -> None:
    code = """
import gc, os, snakekernel
from snakekernel.provisioners import forking
from snakekernel.provisioners.forking import close_zygotes
client = snakekernel.start("forked")
process = client.manager.provisioner.process
if os.fork() == 0:
    del client, process
    gc.collect()
    close_zygotes()
    os._exit(0)
os.wait()
assert client.call("math.sqrt", args=[9]) == 3.0
process.terminate()
assert process.wait(60) == -15, process
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os.fork() or time.sleep(600); os._exit(0)"])
def test_nothing_outlives_the_host(how: str) -> None:
    # In the second case a child of the host's lives on, with all that it inherited.
    code = f"""
import os, sys, time, snakekernel
client = snakekernel.start("forked")
kernel = client.call("os.getpid")
print(kernel, client.call("os.getppid"), flush=True)
sys.stdin.readline()
{how}
"""
    host = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert host.stdin is not None
    assert host.stdout is not None
    with host:
        left = [psutil.Process(int(pid)) for pid in host.stdout.readline().split()]
        children = []
        try:
            host.stdin.write("\n")
            host.stdin.flush()
            host.wait(PATIENCE)
            _, alive = psutil.wait_procs(left, PATIENCE)
            assert not alive
        finally:
            host.stdin.close()
            children = [
                p
                for p in psutil.process_iter(["cmdline"])
                if p.info["cmdline"] == [sys.executable, "-c", code]
            ]
            for process in children:
                process.kill()


def test_what_cannot_be_forked_is_started(
    start: Callable[..., snakekernel.Client],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install("zygote", "threads", preload=["pyarrow", "cannot_be_imported", "starts_a_thread", "imports_well"])
    client = start("threads")
    # The libraries that can be are preloaded all the same.
    assert isinstance(_process(client), ForkedProcess)
    modules = _look(client, "list(__import__('sys').modules)")
    # pyarrow's allocator has a thread, which does no harm.
    assert {"pyarrow", "imports_well"} <= set(modules)
    assert client.call("pyarrow.array", args=[list(range(9))]).to_pylist() == list(range(9))
    assert not {"starts_a_thread", "cannot_be_imported"} & set(modules)
    assert "starts_a_thread is not preloaded" in caplog.text
    monkeypatch.setenv("PYTHONPATH", "relative")
    client = start()
    assert isinstance(_process(client), subprocess.Popen)
    assert client.call("math.hypot", args=[3, 4]) == 5
    assert caplog.text.count("relative path") == 1


def test_threads_that_start_kernels_share_a_zygote(kernelspecs: Path) -> None:
    close_zygotes()

    async def start() -> tuple[int, int]:
        manager = AsyncKernelManager(kernel_name="forked")
        await manager.start_kernel()
        pid = manager.provisioner.process.pid
        found = psutil.Process(pid).ppid(), pid
        await manager.shutdown_kernel(now=True)
        manager.context.destroy(linger=0)
        return found

    with ThreadPoolExecutor(3) as threads:
        zygotes, kernels = zip(*threads.map(lambda _: asyncio.run(start()), range(3)), strict=True)
    assert len(set(zygotes)) == 1
    assert len(set(kernels)) == 3


def test_a_folder_that_is_not_there(kernelspecs: Path, tmp_path: Path) -> None:
    manager = KernelManager(kernel_name="forked")
    with pytest.raises(FileNotFoundError):
        manager.start_kernel(cwd=str(tmp_path / "missing"))
    manager.cleanup_resources()


def test_an_unused_zygote_ends(start: Callable[..., snakekernel.Client]) -> None:
    install("zygote", "hasty", idle_timeout=0.01)
    client = start("hasty")
    zygote = _zygote(client)
    client.close()
    zygote.wait(PATIENCE)
    assert isinstance(_process(start("hasty")), ForkedProcess)


def test_of_many_kinds_the_oldest_ends_with_its_last_kernel(
    start: Callable[..., snakekernel.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    close_zygotes()
    monkeypatch.setattr(forking, "MOST_ZYGOTES", 1)
    one = start("forked", env={**os.environ, "KIND": "one"})
    first = _zygote(one)
    other = start("forked", env={**os.environ, "KIND": "other"})
    assert _zygote(other) != first
    assert one.call("math.sqrt", args=[9]) == 3.0
    one.close()
    first.wait(PATIENCE)
    assert other.call("math.sqrt", args=[9]) == 3.0


async def test_starting_does_not_hold_up_the_loop(kernelspecs: Path) -> None:
    close_zygotes()
    manager = AsyncKernelManager(kernel_name="forked")
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    turning = asyncio.create_task(turn())
    try:
        await manager.start_kernel()
        # The zygote imported numpy meanwhile.
        assert turns > 10
        start = asyncio.create_task(AsyncKernelManager(kernel_name="forked").start_kernel())
        await asyncio.sleep(0)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
    finally:
        turning.cancel()
        await manager.shutdown_kernel(now=True)
