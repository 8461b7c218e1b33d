"""Messages that are made to harm whoever reads them: each gets a bounded error or is dropped, and no more."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from needs import TOLD
from stock_client import PATIENCE, Stock, check_error

import snakekernel

pytestmark = pytest.mark.kernel

MIB = 1 << 20
#: The longest part of a message that this module's kernel takes.
LONGEST = 64 * MIB
DEEP = 100_000
MANY = 1_000_000


@pytest.fixture(scope="module")
def snake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[snakekernel.Client]:
    """A kernel on plain TCP."""
    home = tmp_path_factory.mktemp("ipython")
    (home / "profile_default").mkdir()
    config = home / "profile_default" / "snakekernel_kernel_config.py"
    config.write_text(
        f"c.SnakeKernelApp.max_frame_bytes = {LONGEST}\nc.SnakeKernelApp.identity_handover = False\n"
    )
    with snakekernel.start(transport="tcp", env={**os.environ, "IPYTHONDIR": str(home)}) as client:
        yield client


@pytest.fixture(autouse=True)
def goes_on(stock: Stock) -> Iterator[None]:
    """After whatever a test sends, the same kernel serves shell and control."""
    yield
    assert stock.call("operator.add", 1, 2) == 3
    assert stock.ok("ping", channel="control")["status"] == "ok"
    stock.cell("assert 1 + 1 == 2")


#: Contents by what is wrong with them.
HOSTILE: dict[str, bytes] = {
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"target": ' * DEEP + b"1" + b"}" * DEEP,
    "deep argument": b'{"target": "builtins.len", "code": "1", "args": [%b]}' % (b"[" * DEEP + b"]" * DEEP),
    "lone surrogate": b'{"target": "builtins.\\ud800", "code": "\\ud800"}',
    "raw surrogate": b'{"target": "builtins.\xed\xa0\x80", "code": "\xed\xa0\x80"}',
    "surrogate key": b'{"target": "builtins.len", "code": "1/0", "args": [{"\\udfff": 1}]}',
    "duplicate keys": b'{"target": "os.getpid", "target": "builtins.no_such", "code": "1", "code": "1/0"}',
    "not a number": b'{"target": "builtins.abs", "code": "1/0", "args": [NaN]}',
    "infinity": b'{"target": "builtins.abs", "code": "1/0", "args": [-Infinity]}',
    "huge integer": b'{"target": "builtins.no_such", "code": 1%b, "args": [1%b]}'
    % (b"0" * MANY, b"0" * MANY),
    "huge exponent": b'{"target": "builtins.no_such", "code": "1/0", "args": [1e999999]}',
    "many keys": b'{"target": "builtins.len", "code": "1/0", %b}'
    % b", ".join(b'"k%d": 0' % number for number in range(MANY)),
    "many keys of a value": b'{"target": "builtins.len", "code": "1/0", "args": [{%b}]}'
    % b", ".join(b'"k%d": 0' % number for number in range(MANY)),
    "no text": b'{"target": "\xff\xfe\x00", "code": "\xff\xfe\x00"}',
}


@pytest.mark.promise("attack-11")
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_json(stock: Stock, what: str) -> None:
    for channel, op in (("shell", "call"), ("control", "inspect")):
        msg_id, frames = stock.frames(f"snake_{op}_request", content=HOSTILE[what])
        stock.send_frames(frames, channel=channel)
        reply = stock.only_reply(msg_id, channel=channel)["content"]
        check_error(reply)
        assert reply["fault"] == "caller", reply["error"]
        assert len(json.dumps(reply)) < 64 << 10
    # A cell whose message cannot be read gets nothing, as of any kernel of Jupyter's; another an error.
    msg_id, frames = stock.frames("execute_request", content=HOSTILE[what])
    stock.send_frames(frames)
    stock.fence()
    for came in stock.replies(msg_id):
        assert came["content"]["status"] == "error", came["content"]


@pytest.mark.promise("attack-11")
def test_a_hundred_thousand_frames(stock: Stock) -> None:
    content = json.dumps({"target": "builtins.len", "args": [""]}).encode()
    for channel in ("shell", "control"):
        op = "call" if channel == "shell" else "ping"
        msg_id, frames = stock.frames(f"snake_{op}_request", content=content, buffers=[b""] * DEEP)
        stock.send_frames(frames, channel=channel)
        reply = stock.only_reply(msg_id, channel=channel)["content"]
        check_error(reply)
        assert (reply["code"], reply["fault"]) == ("invalid_request", "caller")
    # Without a delimiter it is nobody's message.
    stock.send_frames([b"x"] * DEEP)
    stock.fence()


#: What opens a ZMTP 3.0 connection without encryption, and the command that ends the handshake of a DEALER.
_GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32
_READY = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"


@pytest.mark.promise("attack-11")
@pytest.mark.parametrize("channel", ["shell", "control", "iopub"])
def test_a_frame_too_long_takes_no_memory(snake: Any, channel: str, record_property: Any) -> None:
    info = snake.manager.get_connection_info()
    kernel = psutil.Process(snake.manager.provisioner.pid)
    before = kernel.memory_info().rss
    kind = b"DEALER" if channel != "iopub" else b"SUB"
    ready = _READY.replace(struct.pack(">I", 6) + b"DEALER", struct.pack(">I", len(kind)) + kind)
    for size in (LONGEST + 1, 1 << 30, 1 << 40, (1 << 63) - 1):
        with socket.create_connection((info["ip"], info[f"{channel}_port"]), PATIENCE) as door:
            door.sendall(_GREETING)
            door.sendall(b"\x04" + bytes([len(ready)]) + ready)
            door.sendall(b"\x02" + struct.pack(">Q", size))
            # The kernel closes the connection.
            try:
                while door.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    grown = (kernel.memory_info().rss - before) / MIB
    record_property(TOLD, f"frames of up to 8 EiB announced on {channel}: the kernel grew by {grown:.1f} MiB")
    assert grown < 32


def test_what_is_allowed_passes(stock: Stock) -> None:
    content = {"target": "builtins.len", "args": [{"$bytes": 0}]}
    reply = stock.ok("call", content, buffers=[bytes(LONGEST // 2)])
    assert reply["result"]["value"] == LONGEST // 2


@pytest.mark.promise("attack-1")
@pytest.mark.promise("attack-2")
@pytest.mark.parametrize("channel", ["shell", "control"])
def test_cells_that_are_not_signed_or_come_again(stock: Stock, tmp_path: Path, channel: str) -> None:
    for turn, spoil in enumerate((b"0" * 64, b"", b"\xff" * 64, None)):
        mark = tmp_path / f"{turn}"
        code = json.dumps({"code": f"import os; os.mkdir({str(mark)!r})"}).encode()
        msg_id, frames = stock.frames("execute_request", content=code)
        if spoil is None:
            # Right the first time.
            stock.send_frames(frames, channel="shell")
            stock.reply(msg_id)
            mark.rmdir()
        else:
            frames[1] = spoil
        dropped = stock.ok("ping", channel=channel)["frames_dropped"]
        stock.send_frames(frames, channel=channel)
        assert stock.ok("ping", channel=channel)["frames_dropped"] == dropped + 1
        assert not mark.exists()


@pytest.mark.promise("attack-4")
def test_beyond_loopback_buffers_must_be_bound() -> None:
    with snakekernel.start(transport="tcp", ip="0.0.0.0") as client:
        info = {**client.manager.get_connection_info(), "ip": "127.0.0.1"}
        stock = Stock(info)
        try:
            content = {"target": "builtins.bytes", "args": [{"$bytes": 0}]}
            reply = stock.fails("call", content, buffers=[b"abc"])
            assert (reply["code"], reply["at"]) == ("invalid_request", "$metadata.snake_buffers")
            assert client.call("builtins.bytes", args=[b"abc"]) == b"abc"
        finally:
            stock.close()


@pytest.mark.promise("attack-7")
def test_an_identity_that_is_in_use_is_nobody_elses(snake: Any, stock: Stock, tmp_path: Path) -> None:
    """Stock clients have the identity of their session, which iopub tells: here the option protects them."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    content = {"target": "builtins.exec", "args": [f"print('begun', flush=True); open({str(gate)!r}).read()"]}
    msg_id = stock.send("call", content)
    stock.until_it_prints(msg_id)
    info = snake.manager.get_connection_info()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    thieves = []
    for channel in ("shell", "control"):
        door = context.socket(zmq.DEALER)
        door.routing_id = stock.session.bsession
        events = door.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        door.connect(f"tcp://{info['ip']}:{info[f'{channel}_port']}")
        assert events.poll(PATIENCE * 1000)
        door.disable_monitor()
        events.close(0)
        door.send_multipart([b"anything"])
        thieves.append(door)
    gate.write_text("x")
    assert stock.only_reply(msg_id)["content"]["status"] == "ok"
    assert stock.ok("ping", channel="control")["status"] == "ok"
    assert not [door for door in thieves if door.poll(0)]
    context.destroy(linger=0)
