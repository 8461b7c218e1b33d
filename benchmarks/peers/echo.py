"""The limit: bare ZeroMQ. Six frames to a process that sends them back; big frames moved without copies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

import zmq

from ..peer import OUTSTANDING, STEPS, Kind, Peer, Transport
from ..processes import Started, folder, listening, server
from ..served import array_of, frame_bytes, frame_of

#: As long as those of a small call: delimiter, signature, header, parent header, metadata, content.
FRAMES: Final = [b"<IDS|MSG>", b"0" * 64, b"h" * 200, b"{}", b"{}", b"c" * 50]
#: The same with a record of 1 kB, and with the steps of a pipeline.
_RECORD: Final = [*FRAMES[:-1], b"c" * 1_050]
_CHAIN: Final = [*FRAMES[:-1], b"c" * 50 * STEPS]


@contextmanager
def started(transport: Transport, job: str, module: str = __name__) -> Iterator[Started]:
    """A server process on that transport."""
    with folder() as place:
        address = f"ipc://{place}/socket" if transport == "ipc" else "tcp://127.0.0.1:*"
        with server(module, job, address) as process:
            yield process


@contextmanager
def opened(transport: Transport) -> Iterator[Peer]:
    """A DEALER to the ROUTER of the echoing process, and one to that which keeps big frames."""
    with ExitStack() as stack:
        small = stack.enter_context(started(transport, "echo"))
        context = stack.enter_context(zmq.Context())
        socket = stack.enter_context(context.socket(zmq.DEALER))
        bulk = stack.enter_context(context.socket(zmq.DEALER))
        socket.linger = bulk.linger = 0
        socket.connect(small.address)

        def prepare() -> None:
            bulk.connect(stack.enter_context(started(transport, "bulk")).address)

        def call(frames: list[bytes] = FRAMES) -> Any:
            socket.send_multipart(frames)
            return 5 if socket.recv_multipart() == frames else None

        def in_flight(count: int) -> list[int]:
            send, receive = socket.send_multipart, socket.recv_multipart
            for _ in range(min(count, OUTSTANDING)):
                send(FRAMES)
            for _ in range(count - OUTSTANDING):
                receive()
                send(FRAMES)
            for _ in range(min(count, OUTSTANDING)):
                receive()
            return [i + 1 for i in range(count)]

        def swap(record: dict[str, Any]) -> dict[str, Any]:
            call(_RECORD)
            return record

        def put(data: Any) -> None:
            bulk.send_multipart([b"put", memoryview(data).cast("B")], copy=False)
            bulk.recv()

        def get() -> Any:
            bulk.send(b"get")
            return bulk.recv(copy=False).buffer

        def loop() -> int:
            for _ in range(STEPS):
                call()
            return STEPS

        def chain() -> int:
            call(_CHAIN)
            return STEPS

        yield Peer(
            call=call,
            in_flight=in_flight,
            swap=swap,
            put=put,
            get=lambda: array_of(get()),
            put_frame=lambda frame: put(frame_bytes(frame)),
            get_frame=lambda: frame_of(get()),
            loop=loop,
            chain=chain,
            pids=[small.pid],
            prepare=prepare,
        )


def _kind(transport: Transport) -> Kind:
    name = f"echo, {transport}"
    return Kind(name=name, open=partial(opened, transport), floor=name, gigabyte=True)


KINDS: Final = [_kind("ipc"), _kind("tcp")]


def _echo(socket: zmq.Socket[bytes]) -> None:
    while True:
        socket.send_multipart(socket.recv_multipart())


def _bulk(socket: zmq.Socket[bytes]) -> None:
    kept: Any = None
    while True:
        client, job, *frames = socket.recv_multipart(copy=False)
        if frames:
            kept = frames[0]
            socket.send_multipart([client, b"kept"])
        else:
            assert job.bytes == b"get"
            socket.send_multipart([client, kept], copy=False)


if __name__ == "__main__":
    job, address = sys.argv[1:]
    router = zmq.Context.instance().socket(zmq.ROUTER)
    router.bind(address)
    listening(os.fsdecode(router.last_endpoint))
    {"echo": _echo, "bulk": _bulk}[job](router)
