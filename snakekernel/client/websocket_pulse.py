"""Whether the other end of a websocket is still there, and still the same kernel.

Rules: a server that was not heard of for a while is gone, also where its host says nothing. Heard is any byte
that came or was acknowledged, where the system tells, so that one long message is no silence.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

from tornado.websocket import WebSocketClientConnection, WebSocketClosedError

#: Seconds between beats, and of silence after which the connection is taken for lost.
BEAT, SILENCE = 5.0, 15.0
#: Where Linux's ``struct tcp_info`` has the ms since data and since an acknowledgement came.
_DATA_CAME, _ACK_CAME = 52, 56
_INFO: Final = 104


class Pulse:
    """The beats of one websocket.

    Args:
        ping: asks the kernel itself who it is. end: told the reason when the connection is taken for lost.
    """

    def __init__(
        self, channels: WebSocketClientConnection, ping: Callable[[], object], end: Callable[[str], object]
    ) -> None:
        self._channels = channels
        self._ping = ping
        self._end = end
        self._heard = asyncio.get_running_loop().time()
        # Called for each answer to ``ping`` below.
        channels.on_pong = self._pong  # type: ignore[method-assign]

    def _pong(self, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()

    async def beat(self) -> None:
        """Until it is cancelled, or the connection is lost."""
        while True:
            await asyncio.sleep(BEAT)
            try:
                self._channels.ping()
                self._ping()
            except WebSocketClosedError:
                return
            silence = min(asyncio.get_running_loop().time() - self._heard, _silence(self._channels))
            if silence >= SILENCE:
                self._end(f"The server was not heard of for {silence:.0f} s, so the connection is lost")
                return


def _silence(channels: WebSocketClientConnection) -> float:
    """Seconds since anything came from the other host; infinite where the system does not tell."""
    stream = None if channels.protocol is None else channels.protocol.stream
    if sys.platform != "linux" or stream is None or stream.socket is None:
        return float("inf")
    try:
        info = stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO)
        (data,) = struct.unpack_from("=I", info, _DATA_CAME)
        (acknowledged,) = struct.unpack_from("=I", info, _ACK_CAME)
    except (OSError, struct.error):
        return float("inf")
    # Acknowledgements alone tell of the host while something is on its way to it.
    return float(min(data, acknowledged) if stream.writing() else data) / 1000
