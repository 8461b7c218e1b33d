"""``snakekernel serve``: kernels out of pools, as clients, front ends and operators see them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import websocket
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_process import SERVE, ServerProcess, jupyter_server
from tornado.web import HTTPError

import snakekernel
from snakekernel import AsyncClient
from snakekernel.cli.app import main
from snakekernel.errors import Denied, InvalidRequest, KernelLost, QueueTimeout, ReplyTimeout, WorkerLost
from snakekernel.server.kernels import ServedKernels
from snakekernel.server.pools import Pools

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

#: Seconds within which what must happen has happened.
SOON = 30.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    small = {"maximum": 1, "queue_timeout": 2.0, "env": {"POOL": "small"}}
    options = [
        "--maximum=4",
        "--spares=1",
        f"--PoolServerApp.pools={ {'small': small}!r}",
        "--KernelPool.stop_timeout=1",
        "--ServerApp.base_url=/base",
    ]
    # The kernels of one pool listen as those of other hosts do.
    config = "from snakekernel.pool import pool\nhere = pool.runs_here\n"
    config += "pool.runs_here = lambda spec: here(spec) and spec.env.get('POOL') != 'small'\n"
    _configure(folder, config)
    with jupyter_server(folder, *options, command=SERVE) as server:
        yield server
        server.process.terminate()
        assert server.process.wait(SOON) == 0
        said = server.log.read_text()
        assert server.token not in said
        assert "Traceback" not in said


def _configure(folder: Path, code: str) -> None:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "jupyter_server_config.py").write_text(code)


def _until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SOON
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def _answers(call: Callable[[], Any]) -> Callable[[], bool]:
    def holds() -> bool:
        try:
            call()
        except KernelLost:
            return False
        return True

    return holds


def test_each_client_gets_a_fresh_kernel(server: ServerProcess) -> None:
    assert server.kernels() == []
    with (
        snakekernel.connect(server.url, token=server.token) as one,
        snakekernel.connect(server.url, token=server.token, kernel_name="snakekernel") as two,
    ):
        # What is kept ready is not seen.
        assert len(server.kernels()) == 2
        pids = {one.call("os.getpid"), two.call("os.getpid")}
        assert len(pids) == 2
        array = np.arange(100_000.0)
        assert np.array_equal(one.call("numpy.negative", args=[array]), -array)
        heard: list[Any] = []
        one.call("builtins.print", args=["said"], on_output=heard.append)
        assert [output.text for output in heard] == ["said\n"]
        assert list(one.stream("builtins.range", args=[50])) == list(range(50))
        assert one.call("functools.reduce", args=[lambda a, b: a + b, [1, 2, 3]]) == 6
        with two.parallel(3) as pool:
            assert pool.map("math.isqrt", [1, 4, 9]) == [1, 2, 3]
    assert server.kernels() == []
    for pid in pids:
        _until(lambda pid=pid: not psutil.pid_exists(pid))


def test_big_messages_and_much_output(server: ServerProcess) -> None:
    """More than a stock server takes, and more than it lets through."""
    with snakekernel.connect(server.url, token=server.token) as snake:
        array = np.zeros(4_000_000)
        assert snake.call("numpy.size", args=[array]) == array.size
        assert snake.call("numpy.ones", args=[4_000_000], returns="value").sum() == array.size
        heard: list[Any] = []
        # In parts: more at once than its queue holds, a kernel drops itself.
        code = "from IPython.display import display\nfor i in range(first, first + 500): display(i)"
        for first in range(0, 4000, 500):
            snake.call("builtins.exec", args=[code, {"first": first}], on_output=heard.append)
        missing = set(range(4000)) - {int(output.text) for output in heard}
        assert not missing


async def test_pools_by_name_and_full_ones(server: ServerProcess) -> None:
    async with AsyncClient.connect(server.url, token=server.token, pool="small") as snake:
        assert await snake.call("os.getenv", args=["POOL"]) == "small"
        with pytest.raises(QueueTimeout, match="small"):
            await AsyncClient.connect(server.url, token=server.token, pool="small")
        with pytest.raises(ReplyTimeout):
            await AsyncClient.connect(server.url, token=server.token, pool="small", timeout=0.2)
        # Its next process has ports of its own.
        pid = await snake.call("os.getpid")
        (kernel_id,) = server.kernels()
        await asyncio.to_thread(server.ask, "POST", f"api/kernels/{kernel_id}/restart", {})
        while True:
            try:
                assert await snake.call("os.getpid") != pid
                break
            except KernelLost:
                await asyncio.sleep(0.05)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        await AsyncClient.connect(server.url, token=server.token, pool="nowhere")
    with pytest.raises(FileNotFoundError, match="there"):
        await AsyncClient.connect(server.url, token=server.token, pool="../there", session="alice")
    with pytest.raises(InvalidRequest):
        await AsyncClient.connect(server.url, token=server.token, session="x" * 2000)
    with pytest.raises(Denied):
        await AsyncClient.connect(server.url, session="alice")


def test_a_named_session_is_the_same_for_all(server: ServerProcess, tmp_path: Path) -> None:
    options: dict[str, Any] = {"token": server.token, "session": "alice / 1"}
    with snakekernel.connect(server.url, **options) as one, snakekernel.connect(server.url, **options) as two:
        one.store("x", 7)
        assert two.retrieve("x") == 7
        pid = one.call("os.getpid")
    with snakekernel.connect(server.url, **options) as again:
        assert again.retrieve("x") == 7
        waiting = again.submit("time.sleep", args=[600])
        server.ask("DELETE", "snakekernel/api/pools/default/sessions/alice%20%2F%201")
        assert isinstance(waiting.exception(timeout=SOON), WorkerLost)
    _until(lambda: not psutil.pid_exists(pid))
    with snakekernel.connect(server.url, **options) as anew:
        other = anew.call("os.getpid")
        assert other != pid
        waiting = anew.submit("time.sleep", args=[600])
        os.kill(other, signal.SIGKILL)
        assert isinstance(waiting.exception(timeout=SOON), WorkerLost)
        with pytest.raises(WorkerLost):
            anew.call("math.sqrt", args=[4])
    with snakekernel.connect(server.url, **options) as after:
        assert after.call("math.sqrt", args=[4]) == 2.0
        server.ask("DELETE", "snakekernel/api/pools/default/sessions/alice%20%2F%201")
    assert server.kernels() == []


def test_a_kernel_that_dies_or_is_restarted_keeps_its_id(server: ServerProcess) -> None:
    with snakekernel.connect(server.url, token=server.token) as snake:
        (kernel_id,) = server.kernels()
        pids = [snake.call("os.getpid")]
        waiting = snake.submit("time.sleep", args=[600])
        os.kill(pids[0], signal.SIGKILL)
        assert isinstance(waiting.exception(timeout=SOON), KernelLost)
        _until(_answers(lambda: pids.append(snake.call("os.getpid"))))
        server.ask("POST", f"api/kernels/{kernel_id}/restart", {})
        _until(_answers(lambda: pids.append(snake.call("os.getpid"))))
        assert len(set(pids)) == 3
        assert server.kernels() == [kernel_id]
        server.ask("DELETE", f"api/kernels/{kernel_id}")
        with pytest.raises(KernelLost):
            snake.call("math.sqrt", args=[4])


def test_changes_at_the_same_time_leave_no_kernel_behind(server: ServerProcess) -> None:
    def ask(method: str, path: str) -> None:
        with suppress(urllib.error.HTTPError):
            server.ask(method, path, {} if method != "DELETE" else None)

    kernel_id = server.ask("POST", "api/kernels", {})["id"]
    kernel, session = f"api/kernels/{kernel_id}", "snakekernel/api/pools/default/sessions/seen"
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(ask, ["POST"] * 3, [f"{kernel}/restart"] * 3))
        with snakekernel.connect(f"{server.url}{kernel}", token=server.token) as snake:
            assert snake.call("math.sqrt", args=[4]) == 2.0
        list(threads.map(ask, ["POST", "DELETE", "POST"], [f"{kernel}/restart", kernel, f"{kernel}/restart"]))
        list(threads.map(ask, ["PUT", "DELETE", "PUT", "DELETE", "PUT"], [session] * 5))
        ask("DELETE", session)
    _until(lambda: not server.kernels() and not server.ask("GET", "snakekernel/api/pools")[0]["sessions"])


def test_front_ends(server: ServerProcess) -> None:
    """A kernel as JupyterLab starts one, and a cell over the protocol that it spoke first."""
    specs = server.ask("GET", "api/kernelspecs")
    assert specs["default"] == "default"
    assert {"default", "small", "snakekernel"} <= set(specs["kernelspecs"])
    session = server.ask(
        "POST",
        "api/sessions",
        {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "snakekernel"}},
    )
    kernel_id = session["kernel"]["id"]
    channels = websocket.create_connection(
        f"{server.url.replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels",
        header={"Authorization": f"token {server.token}"},
        timeout=SOON,
    )
    header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": "", "version": "5.3"}
    content = {"code": "stored['x'] = 41; stored.x + 1", "silent": False, "store_history": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channels.send(json.dumps(message))
    while (came := json.loads(channels.recv()))["msg_type"] != "execute_result":
        pass
    assert came["content"]["data"]["text/plain"] == "42"
    with snakekernel.connect(f"{server.url}api/kernels/{kernel_id}", token=server.token) as snake:
        assert snake.retrieve("x") == 41
    channels.close()
    server.ask("DELETE", f"api/sessions/{session['id']}")
    assert server.kernels() == []


def test_status_and_metrics(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with snakekernel.connect(server.url, token=server.token, session="seen"):
        default, small = server.ask("GET", "snakekernel/api/pools")
        assert (default["name"], small["name"]) == ("default", "small")
        assert [session["session"] for session in default["sessions"]] == ["seen"]
        assert "/" not in str(default["kernels"][0]["kernel_id"])
        request = urllib.request.Request(
            f"{server.url}metrics", headers={"Authorization": f"token {server.token}"}
        )
        with urllib.request.urlopen(request, timeout=SOON) as answer:
            told = answer.read().decode()
        assert 'snakekernel_pool_sessions{pool="default"} 1.0' in told
        monkeypatch.setenv("SERVED", server.token)
        assert main(["pool", "status", "default", f"--url={server.url}", "--token-env=SERVED", "--json"]) == 0
        (shown,) = json.loads(capsys.readouterr().out)["pools"]
        assert [session["session"] for session in shown["sessions"]] == ["seen"]
        assert shown["drains_on_sigterm"]
        assert main(["pool", "status", f"--url={server.url}"]) == 1
        assert "does not let us in" in capsys.readouterr().err
        assert main(["pool", "status", f"--url={server.url}?token={server.token}"]) == 1
        assert server.token not in "".join(capsys.readouterr())
        server.ask("DELETE", "snakekernel/api/pools/default/sessions/seen")
    stranger = ServerProcess(server.url, "wrong", server.process, server.log)
    session = "snakekernel/api/pools/default/sessions/seen"
    for method, path in (("GET", "snakekernel/api/pools"), ("PUT", session), ("DELETE", session)):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            stranger.ask(method, path, {} if method == "PUT" else None)


def test_culling_and_draining_see_the_truth(folder: Path, tmp_path: Path) -> None:
    def model(kernel_id: str) -> Any:
        return server.ask("GET", f"api/kernels/{kernel_id}")

    def idle(kernel_id: str) -> bool:
        return bool(model(kernel_id)["execution_state"] == "idle")

    options = ["--maximum=3", "--MappingKernelManager.cull_interval=1"]
    options += ["--MappingKernelManager.cull_idle_timeout=1", "--KernelPool.stop_timeout=1"]
    begun, may_end = tmp_path / "begun", tmp_path / "may_end"
    code = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\n"
    code += f"while not pathlib.Path({str(may_end)!r}).exists(): time.sleep(0.01)"
    with (
        jupyter_server(folder, *options, command=SERVE) as server,
        snakekernel.connect(server.url, token=server.token) as snake,
        snake.parallel(2) as pool,
    ):
        (kernel_id,) = server.kernels()
        held = snake.call("builtins.list", args=[[1]], returns="ref")
        first = model(kernel_id)
        assert first["connections"] == 1
        snake.call("math.sqrt", args=[4])
        assert model(kernel_id)["last_activity"] > first["last_activity"]
        snake.call("time.sleep", args=[0.2])
        _until(lambda: idle(kernel_id))
        del held
        with snakekernel.connect(server.url, token=server.token, session="left"):
            assert len(server.kernels()) == 2
        # Whoever is connected is not culled, though it was idle before.
        _until(lambda: server.kernels() == [kernel_id])
        running = pool.submit("builtins.exec", args=[code, {}])
        _until(begun.exists)
        # It is busy until all has ended, not just what it began last.
        _until(lambda: not idle(kernel_id))
        for _ in range(3):
            pool.submit("time.sleep", args=[0.1]).result()
            assert not idle(kernel_id)
        with snakekernel.connect(server.url, token=server.token) as other:
            kernels = [
                one for one in psutil.Process(server.process.pid).children() if "snake" in str(one.cmdline())
            ]
            server.process.terminate()
            # Who waits for nothing is disconnected.
            _until(lambda: not _answers(other.ping)())
        assert not running.done()
        may_end.touch()
        assert running.result(timeout=SOON) is None
        assert server.process.wait(SOON) == 0
        with pytest.raises(KernelLost):
            snake.call("math.sqrt", args=[4])
    assert kernels
    assert not [kernel for kernel in kernels if kernel.is_running()]


def test_a_pool_that_cannot_be(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bad")
    _configure(folder, "c.PoolServerApp.pools = {'bad': {'provisioner': 'no-such'}}")
    # Either it has ended before it answered, or it ends then.
    with (
        pytest.raises((AssertionError, pytest.fail.Exception), match="no-such"),
        jupyter_server(folder, command=SERVE) as server,
    ):
        assert server.process.wait(SOON) == 1
        raise AssertionError(server.log.read_text())


async def test_sessions_that_would_share_a_kernel() -> None:
    with pytest.raises(ValueError, match="of its own"):
        await Pools({"shared": {"sessions_per_kernel": 2}}).open()


async def test_a_kernel_that_is_restarted_does_not_queue() -> None:
    """Its process has to end before the next can start: nobody else is waited for."""
    tight = {"maximum": 1, "spares": 1, "queue_timeout": 0.0, "stop_timeout": 1.0}
    kernels = ServedKernels(pools=Pools({"tight": tight}), kernel_spec_manager=KernelSpecManager())
    try:
        pool = await kernels.pools.find("tight")
        await pool.ready()
        kernel_id = await kernels.start_kernel(kernel_name="tight")
        kernel = kernels.get_kernel(kernel_id)
        before = kernel.member
        await kernels.restart_kernel(kernel_id)
        assert kernel.member is not before
        assert await kernel.member.client.call("math.sqrt", args=[4]) == 2.0
        with pytest.raises(HTTPError, match="503"):
            await kernels.start_kernel(kernel_name="tight")
    finally:
        await kernels.shutdown_all()


def test_without_jupyter_server() -> None:
    code = f"import sys; sys.modules['jupyter_server'] = None\n{SERVE[1]}"
    done = subprocess.run([sys.executable, "-c", code, "serve"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "snakekernel[serve]" in done.stderr


@pytest.mark.promise("attack-15")
async def test_any_name_of_a_session_is_only_a_name(server: ServerProcess) -> None:
    name = "../x?a=b#%2f%00{{7*7}}$(id)\n<b>\u202e"
    async with await AsyncClient.connect(server.url, token=server.token, session=name) as snake:
        assert await snake.call("builtins.abs", args=[-1]) == 1
        (session,) = await snake.list_sessions()
        assert session["session_id"] == name
    default, _ = server.ask("GET", "snakekernel/api/pools")
    assert name in [session["session"] for session in default["sessions"]]
