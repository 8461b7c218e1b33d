"""Connections that say nothing any more, and readers that read nothing any more."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from needs import TOLD, skip_unless_ci
from stock_client import PATIENCE

import snakekernel
from snakekernel.client import door
from snakekernel.demo.cluster import Network, NotPossible
from snakekernel.errors import KernelLost, ReplyTimeout

pytestmark = pytest.mark.kernel

#: Seconds that a call may take here, and how much later it may be told on a busy machine.
TIMEOUT, LATE = 1.0, 3.0
MESSAGES = 20_000
MIB = 1 << 20


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Any, Path]]:
    """A host whose packets can be dropped, and the connection file of a kernel on it."""
    try:
        network = Network()
    except NotPossible as error:
        skip_unless_ci(f"packets are dropped in a network namespace: {error}")
    with network:
        host = network.add("far")
        file = tmp_path / "kernel.json"
        details = {"transport": "tcp", "ip": host.address, "key": uuid.uuid4().hex}
        ports = dict.fromkeys(("shell_port", "control_port", "iopub_port", "stdin_port", "hb_port"), 0)
        file.write_text(json.dumps({**details, **ports, "signature_scheme": "hmac-sha256"}))
        file.chmod(0o600)
        host.spawn([sys.executable, "-m", "snakekernel", "-f", str(file)])
        deadline = time.monotonic() + PATIENCE
        while not json.loads(file.read_text() or "{}").get("control_port"):
            assert host.is_busy(), (host.folder / "output").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield host, file


@pytest.mark.cluster
@pytest.mark.promise("fault-10")
def test_dropped_packets(
    far: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    host, file = far
    # As by default, only sooner.
    monkeypatch.setattr(door, "_PING_MS", 500)
    monkeypatch.setattr(door, "_SILENCE_MS", 1_500)

    async def call_of_async_client() -> None:
        async with await snakekernel.AsyncClient.connect(str(file)) as client:
            assert await client.call("operator.add", args=[1, 2]) == 3
            host.cut()
            with pytest.raises(ReplyTimeout):
                await client.call("operator.add", args=[1, 2], timeout=TIMEOUT)
            host.heal()

    asyncio.run(call_of_async_client())
    with snakekernel.connect(str(file)) as client:
        assert client.call("operator.add", args=[1, 2]) == 3
        pending = client.submit("time.sleep", args=[PATIENCE])
        host.cut()
        began = time.monotonic()
        with pytest.raises(ReplyTimeout):
            client.call("operator.add", args=[1, 2], timeout=TIMEOUT)
        took = time.monotonic() - began
        assert TIMEOUT <= took < TIMEOUT + LATE
        # Those that wait without an end are told as well.
        with pytest.raises(KernelLost):
            pending.result(PATIENCE)
        lost = time.monotonic() - began
        with pytest.raises(KernelLost):
            client.call("operator.add", args=[1, 2])
        host.heal()
    record_property(
        TOLD,
        f"packets dropped: a call of {TIMEOUT} s failed after {took:.2f} s, one without after {lost:.1f} s",
    )
    with snakekernel.connect(str(file)) as client:
        assert client.ping()["status"] == "ok"


#: A client of its own process, which the call that it makes stops while it puts out what there is.
_CLIENT = """
import sys, warnings
import snakekernel
from snakekernel.errors import OutputLost

came = []
with snakekernel.connect(sys.argv[1]) as client, warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    result = client.call("builtins.eval", args=[sys.argv[2]], on_output=came.append)
print(result)
print(len(came))
print(*[one.message for one in told if one.category is OutputLost], flush=True)
"""
_PUT_OUT = f"""[
    os.kill({{pid}}, signal.SIGSTOP),
    [put({{"text/plain": "x" * 5_000}}) for _ in range({MESSAGES})].__len__(),
    os.kill({{pid}}, signal.SIGCONT),
][1]"""


@pytest.mark.promise("fault-11")
def test_a_stalled_reader_of_iopub(snake: snakekernel.Client, record_property: Any) -> None:
    kernel = psutil.Process(snake.manager.provisioner.pid)
    names = "import builtins, os, signal\n"
    names += "builtins.os, builtins.signal, builtins.put = os, signal, get_ipython().display_pub.publish"
    snake.call("builtins.exec", args=[names])
    # One that connects, subscribes, and never reads.
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    deaf = context.socket(zmq.SUB)
    deaf.subscribe(b"")
    info = snake.manager.get_connection_info()
    deaf.connect(f"ipc://{info['ip']}-{info['iopub_port']}")
    assert deaf.poll(PATIENCE * 1000), "it was not welcomed"
    before = kernel.memory_info().rss
    # A shell keeps its number when it becomes another program.
    code = _PUT_OUT.replace("{pid}", "%d")
    script = f'exec {sys.executable} -c "$0" "$1" "$(printf "$2" $$ $$)"'
    command = ["sh", "-c", script, _CLIENT, snake.connection_file, code]
    came = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert came.returncode == 0, came.stderr
    grown = (kernel.memory_info().rss - before) / MIB
    result, count, told = came.stdout.splitlines()
    lost = MESSAGES - int(count)
    assert result == str(MESSAGES)
    assert lost > 0
    assert told == f"{lost} of {MESSAGES} messages that 'call' put out were lost; its result is whole."
    # All that was put out is 100 MB, for each of the two readers.
    assert grown < 60
    assert snake.call("operator.add", args=[1, 2]) == 3
    context.destroy(linger=0)
    record_property(
        TOLD, f"a stalled reader: {lost} of {MESSAGES} messages lost and told; kernel +{grown:.0f} MiB"
    )
