"""Reaching running kernels in every way, and saying clearly what is there where it is none of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session

import snakekernel
from snakekernel import AsyncClient, Client
from snakekernel.errors import NotASnakeKernel, ReplyTimeout

pytestmark = pytest.mark.kernel


def _ways(snake: Client) -> dict[str, Any]:
    file = Path(snake.connection_file or "")
    stock = BlockingKernelClient()
    stock.load_connection_file(str(file))
    return {
        "path": file,
        "text": str(file),
        "id": file.stem.removeprefix("kernel-"),
        "manager": snake.manager,
        "client": stock,
        "details": json.loads(file.read_text()),
    }


@pytest.mark.parametrize("way", ["path", "text", "id", "manager", "client", "details"])
def test_every_way_to_name_a_kernel(snake: Client, way: str) -> None:
    with snakekernel.connect(_ways(snake)[way]) as client:
        assert client.ping()["epoch"] == snake.ping()["epoch"]
        assert client.manager is None
        assert client.connection_file is None
    assert snake.call("math.sqrt", args=[4]) == 2.0


async def test_every_way_for_async_clients(snake: Client) -> None:
    for where in _ways(snake).values():
        async with AsyncClient.connect(where) as client:
            assert (await client.ping())["epoch"] == snake.ping()["epoch"]


async def test_an_async_client_that_was_awaited_is_not_opened_again(snake: Client) -> None:
    client = await AsyncClient.connect(snake.manager.get_connection_info())
    link = client._link
    async with client as entered:
        assert entered is client
        assert client._link is link
    assert client._link is None


async def test_an_async_client_can_be_awaited_instead_of_entered(snake: Client) -> None:
    client = await AsyncClient.connect(snake.connection_file)
    try:
        assert await client.call("math.sqrt", args=[4]) == 2.0
    finally:
        await client.close()
        await client.close()


def test_what_names_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such kernel"):
        snakekernel.connect("no such kernel")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(ValueError, match="no connection file"):
        snakekernel.connect(broken)
    broken.write_text("{}")
    with pytest.raises(ValueError, match="lack"):
        snakekernel.connect(broken)


@pytest.mark.parametrize(
    "options", [{"transport": "tcp"}, {"transport": "ipc"}, {"transport_encryption": "required"}]
)
def test_transports(options: dict[str, Any]) -> None:
    with snakekernel.start(**options) as snake, snakekernel.connect(snake.connection_file) as other:
        assert other.call("builtins.len", args=[b"\0" * 100_000]) == 100_000
        assert other.call("builtins.bytes", args=[100_000]) == b"\0" * 100_000


def test_the_kernel_runs_where_and_as_it_is_told(tmp_path: Path) -> None:
    with snakekernel.start(cwd=str(tmp_path), env={"PATH": "/bin", "SNAKE_TEST": "here"}) as snake:
        assert snake.call("os.getcwd") == str(tmp_path)
        assert snake.call("os.environ.get", args=["SNAKE_TEST"]) == "here"
        assert snake.call("sys.executable") == sys.executable


async def test_an_async_client_starts_a_kernel() -> None:
    async with AsyncClient.start() as client:
        assert await client.call("operator.add", args=[1, 2]) == 3
        assert client.manager is not None
        assert Path(client.connection_file or "").exists()


def test_a_plain_kernel_is_told_apart_quickly(tmp_path: Path) -> None:
    manager = KernelManager(connection_file=str(tmp_path / "kernel.json"))
    manager._kernel_spec = None
    manager.kernel_cmd = []
    from jupyter_client.kernelspec import KernelSpec

    manager._kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name="plain",
        language="python",
    )
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        stock = manager.client()
        stock.start_channels()
        stock.wait_for_ready(timeout=60)
        stock.stop_channels()
        begun = time.monotonic()
        with pytest.raises(NotASnakeKernel, match="plain ipython kernel"):
            snakekernel.connect(manager)
        assert time.monotonic() - begun < 20
    finally:
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@contextmanager
def _pretender(version: str) -> Iterator[dict[str, Any]]:
    """A kernel of another version of the protocol: a ROUTER that answers pings; gives its connection info."""
    context = zmq.Context()
    sockets = [context.socket(zmq.ROUTER) for _ in range(2)]
    ports = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in sockets]
    stop = context.socket(zmq.PAIR)
    stop.bind("inproc://stop")
    session = Session(key=b"secret")

    def serve() -> None:
        stopped = context.socket(zmq.PAIR)
        stopped.connect("inproc://stop")
        poller = zmq.Poller()
        for socket in (*sockets, stopped):
            poller.register(socket, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if stopped in ready:
                break
            for socket in sockets:
                if socket in ready:
                    identities, parts = session.feed_identities(socket.recv_multipart())
                    request = session.deserialize(parts)
                    kind = request["msg_type"].replace("_request", "_reply")
                    content = {"status": "ok", "protocol_version": version, "epoch": "e"}
                    session.send(socket, kind, content, parent=request, ident=identities)
        for socket in (*sockets, stopped):
            socket.close(0)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield {
            "ip": "127.0.0.1",
            "transport": "tcp",
            "shell_port": ports[0],
            "control_port": ports[1],
            "key": "secret",
        }
    finally:
        stop.send(b"")
        thread.join()
        stop.close(0)
        context.term()


async def test_another_version_of_the_protocol_is_told() -> None:
    with _pretender("2.0") as info:
        with pytest.raises(NotASnakeKernel, match=r"version 2\.0 .* this client 1\.") as caught:
            snakekernel.connect(info)
        assert caught.value.code == "unsupported"
        with pytest.raises(NotASnakeKernel, match="version 2"):
            await AsyncClient.connect(info)
    with _pretender("1.7") as info:
        snakekernel.connect(info).close()


def test_silence_is_a_timeout() -> None:
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    info = {"ip": "127.0.0.1", "transport": "tcp", "shell_port": port, "control_port": port, "key": ""}
    try:
        begun = time.monotonic()
        with pytest.raises(ReplyTimeout, match="No kernel answers"):
            snakekernel.connect(info, timeout=0.7)
        assert 0.7 <= time.monotonic() - begun < 20
    finally:
        socket.close(0)
        context.term()
