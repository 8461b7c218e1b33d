"""All that comes from a kernel, as bytes, and a search for secrets in it."""

from __future__ import annotations

import json
from html import escape
from typing import Any, Final

import zmq
from stock_client import Stock

_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


class Tap:
    """All frames that come from the kernel on the channels of a client."""

    def __init__(self, stock: Stock) -> None:
        self.frames: list[bytes] = []
        for name, socket in stock.sockets.items():
            stock.sockets[name] = self._tapped(socket)
            stock._poller.unregister(socket)
            stock._poller.register(socket, zmq.POLLIN)

    def _tapped(self, socket: Any) -> Any:
        receive = socket.recv_multipart

        def recv_multipart(*args: Any, **kwargs: Any) -> list[bytes]:
            frames: list[bytes] = receive(*args, **kwargs)
            self.frames += frames
            return frames

        socket.recv_multipart = recv_multipart
        return socket

    def check(self, *secrets: str) -> None:
        """Fails where a frame holds one of the secrets in any form that we know."""
        for secret in secrets:
            for needle in forms(secret):
                for frame in self.frames:
                    assert needle not in frame, (secret, frame[:2000])


def forms(secret: str) -> set[bytes]:
    """How a text lies in frames, files and logs."""
    found = {secret.encode(encoding) for encoding in _ENCODINGS}
    found |= {json.dumps(secret, ensure_ascii=flag)[1:-1].encode() for flag in (True, False)}
    return found | {repr(secret)[1:-1].encode(), escape(secret).encode()}
