"""What the benchmarks compare: each peer is one small round trip, ready to be repeated.

Rules: every peer answers from a process of its own; opening and closing are outside of what is measured.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import zmq
from jupyter_client.manager import start_new_kernel

import snakekernel

Transport = Literal["ipc", "tcp"]
RoundTrip = Callable[[], object]

#: A Jupyter message's six frames, as long as those of a small call: delimiter, signature, header, parent
#: header, metadata, content.
FRAMES: Final = [b"<IDS|MSG>", b"0" * 64, b"h" * 200, b"{}", b"{}", b"c" * 50]

_ECHO: Final = """
import sys, zmq
socket = zmq.Context.instance().socket(zmq.ROUTER)
socket.bind(sys.argv[1])
print(socket.last_endpoint.decode(), flush=True)
while True:
    socket.send_multipart(socket.recv_multipart())
"""


@contextmanager
def echo(transport: Transport) -> Iterator[RoundTrip]:
    """The floor: six frames to a process that sends them back, over bare pyzmq."""
    with tempfile.TemporaryDirectory(prefix="echo-") as folder, zmq.Context() as context:
        address = f"ipc://{folder}/echo" if transport == "ipc" else "tcp://127.0.0.1:*"
        command = [sys.executable, "-c", _ECHO, address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                with context.socket(zmq.DEALER) as socket:
                    socket.linger = 0
                    socket.connect(process.stdout.readline().strip())

                    def round_trip() -> object:
                        socket.send_multipart(FRAMES)
                        return socket.recv_multipart()

                    yield round_trip
            finally:
                process.kill()


@contextmanager
def our_call(transport: Transport) -> Iterator[RoundTrip]:
    """Our blocking client: ``operator.add(2, 3)``, its value back."""
    with snakekernel.start(transport=transport, output=subprocess.DEVNULL) as snake:
        call = snake.call

        def round_trip() -> object:
            return call("operator.add", args=(2, 3))

        assert round_trip() == 5
        yield round_trip


@contextmanager
def stock_execute(folder: Path) -> Iterator[RoundTrip]:
    """A stock ipykernel and jupyter_client's blocking client: a cell's reply, without its output."""
    manager, client = start_new_kernel(
        kernel_name="python3", cwd=str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        client.execute("import operator", reply=True)

        def round_trip() -> object:
            return client.execute("operator.add(2, 3)", store_history=False, reply=True, timeout=30)

        yield round_trip
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
