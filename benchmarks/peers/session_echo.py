"""jupyter_client's Session at both ends of a bare socket: Jupyter's messages, signed, with no kernel."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import zmq
from jupyter_client.session import Session

from ..peer import OUTSTANDING, STEPS, Kind, Peer
from ..processes import listening
from ..served import array_of
from .echo import started

_KEY: Final = b"a key for the signatures"
_ADD: Final = {"target": "operator.add", "args": [2, 3]}


@contextmanager
def opened() -> Iterator[Peer]:
    """Each request comes back as the reply's content."""
    with started("tcp", "echo", __name__) as process, zmq.Context() as context:
        session = Session(key=_KEY, packer="orjson", unpacker="orjson")
        with context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(process.address)

            def send(content: dict[str, Any], buffers: Any = None) -> None:
                session.send(socket, "call_request", content, buffers=buffers)

            def receive() -> dict[str, Any]:
                _, message = session.recv(socket, mode=0, copy=False)
                assert message is not None
                return message

            def ask(content: dict[str, Any], buffers: Any = None) -> dict[str, Any]:
                send(content, buffers)
                return receive()

            def in_flight(count: int) -> list[int]:
                got = []
                for i in range(count):
                    if i >= OUTSTANDING:
                        got.append(sum(receive()["content"]["args"]))
                    send({"target": "operator.add", "args": [i, 1]})
                while len(got) < count:
                    got.append(sum(receive()["content"]["args"]))
                return got

            def loop() -> int:
                for _ in range(STEPS):
                    ask(_ADD)
                return STEPS

            yield Peer(
                call=lambda: sum(ask(_ADD)["content"]["args"]),
                in_flight=in_flight,
                swap=lambda record: ask(record)["content"],
                put=lambda array: ask({"put": True}, [memoryview(array).cast("B")]),
                get=lambda: array_of(ask({"get": True})["buffers"][0]),
                loop=loop,
                chain=lambda: len(ask({"steps": [_ADD] * STEPS})["content"]["steps"]),
                pids=[process.pid],
            )


KINDS: Final = [Kind(name="Session echo", open=opened)]


def _serve(address: str) -> None:
    session = Session(key=_KEY, packer="orjson", unpacker="orjson")
    kept: Any = None
    router = zmq.Context.instance().socket(zmq.ROUTER)
    router.bind(address)
    listening(os.fsdecode(router.last_endpoint))
    while True:
        identities, message = session.recv(router, mode=0, copy=False)
        content = message["content"]
        if "put" in content:
            kept = message["buffers"]
        buffers = kept if "get" in content else None
        session.send(router, "call_reply", content, parent=message, ident=identities, buffers=buffers)


if __name__ == "__main__":
    _serve(sys.argv[2])
