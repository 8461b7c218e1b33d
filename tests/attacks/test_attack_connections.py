"""Who may not connect is not heard, and whom nobody knows gets nothing of what is for others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from needs import skip_unless_ci
from stock_client import PATIENCE, Stock
from zmq.utils.monitor import parse_monitor_message

import snakekernel
from snakekernel.cli.app import main
from snakekernel.provisioners.forking import close_zygotes

pytestmark = pytest.mark.kernel

#: Becomes another user, then opens all that it can below some folders, and connects to all sockets there.
_INTRUDER = """
import os, socket, sys
if sys.argv[1] == "nobody":
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for top in sys.argv[2:]:
    for folder, _, names in os.walk(top):
        for path in (os.path.join(folder, name) for name in names):
            try:
                open(path, "rb").close()
                print("read", path)
            except OSError:
                pass
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
                try:
                    door.connect(path)
                    print("connected", path)
                except OSError:
                    pass
"""


@pytest.fixture
def open_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """Folders for connection files and for sockets where anybody may look, and a umask that hides nothing."""
    top = Path(tempfile.mkdtemp(dir="/tmp"))
    top.chmod(0o755)
    runtime, temporary = top / "runtime", top / "temporary"
    temporary.mkdir(mode=0o755)
    runtime.mkdir(mode=0o755)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = os.umask(0)
    try:
        yield runtime, temporary
    finally:
        os.umask(before)
        close_zygotes()
        subprocess.run(["rm", "-rf", str(top)], check=True)


def _check_modes(*folders: Path) -> int:
    """Nothing below these folders is for others; how many connection files and sockets there are."""
    count = 0
    for top in folders:
        for path in top.rglob("*"):
            if path.suffix == ".json" or path.name.endswith(".seen"):
                assert path.stat().st_mode & 0o077 == 0, path
                count += path.suffix == ".json"
            elif path.is_socket():
                assert path.parent.stat().st_mode & 0o077 == 0, path
                count += 1
    return count


@pytest.mark.promise("attack-6")
def test_another_user_reads_and_reaches_nothing(open_folders: tuple[Path, Path]) -> None:
    # Every way in which kernels of this machine are started.
    command = [str(Path(sys.executable).with_name("snakekernel")), "start", "--json"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        with (
            snakekernel.start() as client,
            snakekernel.KernelPool.blocking(minimum=1, maximum=1) as pool,
            snakekernel.KernelPool.blocking(minimum=1, maximum=1, provisioner="zygote") as forked,
        ):
            assert client.call("operator.add", args=[1, 1]) == 2
            assert forked.call("operator.add", args=[1, 1]) == 2
            assert pool.call("operator.add", args=[1, 1]) == 2
            assert started.stdout is not None
            assert "connection_file" in json.loads(started.stdout.readline())
            assert _check_modes(*open_folders) >= 4 * 6
            if os.geteuid() != 0:
                skip_unless_ci("only root can become another user: run the tests as root")
            seen, ours = (
                subprocess.run([sys.executable, "-c", _INTRUDER, who, *map(str, open_folders)], **_HEARD)
                for who in ("nobody", "root")
            )
            assert (seen.returncode, seen.stderr) == (0, "")
            # Anything at all would be too much; the same program finds much of it as ourselves.
            assert seen.stdout == ""
            assert ours.stdout.count("read") >= 4
            assert ours.stdout.count("connected") >= 4
            assert client.call("operator.add", args=[1, 1]) == 2
    finally:
        started.terminate()
        started.communicate()


_HEARD: dict[str, Any] = {"capture_output": True, "text": True, "timeout": PATIENCE}


@pytest.fixture(scope="module")
def curve() -> Iterator[snakekernel.Client]:
    if not zmq.has("curve"):
        skip_unless_ci("this build of libzmq has no Curve")
    with snakekernel.start(transport_encryption="required") as client:
        yield client


@pytest.mark.promise("attack-5")
@pytest.mark.parametrize("keys", ["plain", "wrong server key"])
@pytest.mark.parametrize("channel", ["shell", "control"])
def test_who_has_not_the_kernels_key_is_not_heard(
    curve: snakekernel.Client, tmp_path: Path, keys: str, channel: str
) -> None:
    info = curve.manager.get_connection_info()
    stock = Stock(info)
    mark = tmp_path / "ran"
    content = json.dumps({"target": "os.mkdir", "args": [str(mark)]}).encode()
    _, frames = stock.frames("snake_call_request", content=content)
    context = zmq.Context()
    door = context.socket(zmq.DEALER)
    try:
        if keys != "plain":
            door.curve_publickey, door.curve_secretkey = zmq.curve_keypair()
            door.curve_serverkey, _ = zmq.curve_keypair()
        ends = {zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL}
        ends |= {zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_AUTH}
        events = door.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | sum(ends))
        door.connect(f"tcp://{info['ip']}:{info[f'{channel}_port']}")
        door.send_multipart(frames)
        assert events.poll(PATIENCE * 1000), "nothing became of the connection"
        # Whichever end sees first that the other speaks otherwise.
        assert parse_monitor_message(events.recv_multipart())["event"] in ends
        assert not door.poll(0)
        stock.fence(channel=channel)
        assert not mark.exists()
        assert curve.call("operator.add", args=[1, 2]) == 3
    finally:
        door.disable_monitor()
        context.destroy(linger=0)
        stock.close()


def test_curve_wherever_we_reach_kernels(curve: snakekernel.Client, tmp_path: Path) -> None:
    with snakekernel.connect(curve.connection_file) as other:
        assert other.call("operator.add", args=[1, 2]) == 3
    assert main(["call", f"--existing={curve.connection_file}", "operator.add", "1", "2"]) == 0
    epoch = curve.ping()["epoch"]
    curve.manager.restart_kernel(now=True)
    with snakekernel.connect(curve.connection_file) as other:
        assert other.ping()["epoch"] != epoch
        seen: list[snakekernel.Output] = []
        other.call("builtins.print", args=["x"], on_output=seen.append)
        assert "".join(one.text for one in seen) == "x\n"
    for provisioner in (None, "zygote"):
        options = {"provisioner": provisioner, "transport_encryption": "required"}
        with snakekernel.KernelPool.blocking(minimum=1, maximum=1, **options) as pool:
            assert pool.call("operator.add", args=[1, 2]) == 3
            assert {one["transport"] for one in _connections(pool)} == {"tcp"}
            assert all(one.get("curve_publickey") for one in _connections(pool))


def _connections(pool: Any) -> list[dict[str, Any]]:
    return [manager.get_connection_info() for manager in pool.pool._kernels.made.values()]


@pytest.fixture(scope="module")
def open_kernel() -> Iterator[snakekernel.Client]:
    """A kernel that anybody on this machine can connect to."""
    with snakekernel.start(transport="tcp") as client:
        yield client


def _thieves(
    context: zmq.Context[zmq.Socket[bytes]], info: dict[str, Any], identities: set[bytes]
) -> list[zmq.Socket[bytes]]:
    """Connections without the key, each under one of the identities, on shell and on control."""
    doors = []
    for channel in ("shell", "control"):
        for identity in identities:
            door = context.socket(zmq.DEALER)
            door.routing_id = identity
            events = door.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            door.connect(f"tcp://{info['ip']}:{info[f'{channel}_port']}")
            assert events.poll(PATIENCE * 1000), "the thief is not let in"
            door.disable_monitor()
            events.close(0)
            # The kernel has it among its clients now.
            door.send_multipart([b"anything"])
            doors.append(door)
    return doors


def _overheard(info: dict[str, Any], context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    ear = context.socket(zmq.SUB)
    ear.subscribe(b"")
    ear.connect(f"tcp://{info['ip']}:{info['iopub_port']}")
    assert ear.poll(PATIENCE * 1000), "no welcome came"
    return ear


@pytest.mark.promise("attack-7")
def test_a_thief_of_identities_gets_nothing_of_our_clients(
    open_kernel: snakekernel.Client, tmp_path: Path
) -> None:
    info = open_kernel.manager.get_connection_info()
    go = tmp_path / "go"
    os.mkfifo(go)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with snakekernel.connect(open_kernel.connection_file) as victim:
        ear = _overheard(info, context)
        # It runs, and tells of it on iopub, until the thieves are in place.
        future = victim.submit(
            "builtins.exec", args=[f"print('begun', flush=True)\nresult = open({str(go)!r}).read()"]
        )
        told: dict[str, Any] = {}
        while told.get("msg_type") != "snake_call_request":
            assert ear.poll(PATIENCE * 1000), "nothing was told of the call"
            frames = ear.recv_multipart()
            told = json.loads(frames[frames.index(b"<IDS|MSG>") + 3])
        # All that whoever listens learns of the victim, and what zmq would call it.
        known = {told["session"].encode(), told["msg_id"].encode(), told["username"].encode()}
        thieves = _thieves(context, info, known)
        go.write_text("x")
        assert future.result(PATIENCE) is None
        # Ours alone has another identity at each connection, which nobody is told.
        assert victim.call("operator.add", args=[1, 2]) == 3
        assert victim.ping()["status"] == "ok"
        assert not [door for door in thieves if door.poll(0)]
    context.destroy(linger=0)
