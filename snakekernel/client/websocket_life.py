"""One websocket to a kernel behind a Jupyter Server: what it carries goes to zmq sockets here, and back.

Rules: used on the bridge's loop only. Nothing is sent to a kernel before it has told who it is, so that one
whose process is another is not taken for it. What the link sees of iopub is what it subscribed to, once the
server is known to listen to the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError

from ..wire.frame import BadFrame, Headers, unpack_header
from ..wire.names import request_type
from .connection import Connection
from .websocket_frames import SIGNED, pack_message, unpack_message
from .websocket_pulse import Pulse
from .websocket_server import Server
from .websocket_sockets import Sockets

#: Bytes of one message from which the next waits until it has left.
_MUCH: Final = 1 << 20
#: Seconds for the server to take leave of a websocket.
_PARTING: Final = 1.0
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
#: States that the server tells of on iopub, where the process ends or is gone.
_OVER: Final = frozenset({"restarting", "dead"})
#: The code of a websocket closed for a message that is too big, and the bytes from which stock servers do.
_TOO_BIG: Final = 1009
_STOCK: Final = 10 << 20


class _Told(msgspec.Struct):
    """What is read of iopub messages and of replies to our own pings."""

    execution_state: str | None = None
    epoch: str | None = None


class Life:
    """One websocket, and the sockets that are there as long as it is.

    Args:
        opened: called when the link may connect. lost: told why it cannot any more, before it sees that.
    """

    def __init__(
        self,
        connection: Connection,
        server: Server,
        kernel_id: str,
        opened: Callable[[], object],
        lost: Callable[[str], object],
    ) -> None:
        self._connection = connection
        self._opened = opened
        self._lost = lost
        self._server = server
        self._kernel_id = kernel_id
        self._shown = connection.shown
        self._headers = Headers(os.urandom(16).hex(), "snakekernel")
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        #: Bytes of the biggest message that was sent since the kernel last replied.
        self._largest = 0
        self._channels: WebSocketClientConnection | None = None
        self._sockets: Sockets | None = None
        self._known: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._epoch: str | None = None
        #: Topics that the link is to be welcomed to, once the server is known to listen.
        self._topics: list[bytes] = []
        self._is_heard = False

    async def live(self) -> None:
        """Open it, and return when it is lost."""
        self._channels = channels = await self._server.open_channels(self._kernel_id, self._heard)
        try:
            pulse = asyncio.create_task(Pulse(channels, self._ping, self._end).beat())
            try:
                await self._until_known()
                if not self._over.done():
                    self._sockets = Sockets(self._connection, self._send, self._subscribed)
                    self._opened()
                await self._over
            finally:
                pulse.cancel()
                await asyncio.wait([pulse])
        finally:
            if self._sockets is not None:
                self._sockets.close()
            await self._part(channels)

    async def _until_known(self) -> None:
        """Wait for the kernel's first answers: nothing goes to a process that would not be known again."""
        self._ping()
        # Any kernel answers this one, after the other; what it puts out shows that the server listens.
        self._ask("kernel_info_request")
        await asyncio.wait([self._known, self._over], return_when=asyncio.FIRST_COMPLETED)

    async def _part(self, channels: WebSocketClientConnection) -> None:
        """Close the websocket, whether the other end takes leave or not."""
        protocol = channels.protocol
        channels.close()
        if protocol is not None and not self._gone.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), _PARTING)
            if protocol.stream is not None:
                protocol.stream.close()

    def _end(self, why: str) -> None:
        if not self._over.done():
            self._lost(f"{why}: whether pending requests ran cannot be told.")
            self._over.set_result(why)

    # -- from the server ---------------------------------------------------------------------------

    def _heard(self, message: str | bytes | None) -> None:
        if message is None:
            self._gone.set()
            self._end(self._reason())
            return
        self._acknowledge()
        if isinstance(message, str):
            # The subprotocol has none of them.
            return
        try:
            channel, parts = unpack_message(message)
            ends = self._look(channel, parts)
        except BadFrame:
            return
        if channel == "shell":
            self._largest = 0
        if self._sockets is not None:
            self._sockets.give(channel, parts)
        if ends:
            self._end(f"The process of the kernel at {self._shown} ended")

    def _acknowledge(self) -> None:
        # A stock server holds its next message back until the last was acknowledged, which takes 40 ms.
        protocol = None if self._channels is None else self._channels.protocol
        stream = None if protocol is None else protocol.stream
        if _QUICKACK is not None and stream is not None and stream.socket is not None:
            stream.socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _reason(self) -> str:
        code = None if self._channels is None else self._channels.close_code
        reason = None if self._channels is None else self._channels.close_reason
        # It closes without waiting for the rest of the message, so its reason may be lost.
        if code == _TOO_BIG or (code is None and self._largest > _STOCK):
            size = f"{self._largest / (1 << 20):.0f} MiB"
            sure = "is" if code == _TOO_BIG else "may be"
            return (
                f"{self._shown} closed the connection after a message of {size}, which {sure} too big for it"
            )
        told = f" ({reason})" if reason else ""
        return f"The connection to {self._shown} was lost{told}"

    def _look(self, channel: str, parts: Sequence[memoryview]) -> bool:
        """Take note of what concerns the bridge itself; whether the kernel's process is over."""
        if channel == "iopub":
            kind = unpack_header(bytes(parts[0])).msg_type
            if kind != "status":
                return kind == "shutdown_reply"
            if not self._is_heard and self._is_ours(parts):
                self._is_heard = True
                self._welcome()
            state = _told(parts).execution_state
            if state == "starting":
                # It may be the start of the process that is known already, told late.
                self._ping()
            return state in _OVER
        if channel == "control" and self._is_ours(parts):
            if unpack_header(bytes(parts[0])).msg_type == "kernel_info_reply":
                if not self._known.done():
                    self._known.set_result("")
                return False
            epoch = _told(parts).epoch
            if epoch is not None:
                self._epoch = self._epoch or epoch
                return epoch != self._epoch
        return False

    def _is_ours(self, parts: Sequence[memoryview]) -> bool:
        parent = bytes(parts[1])
        return parent != b"{}" and self._headers.number(parent) is not None

    # -- from the link -----------------------------------------------------------------------------

    def _send(self, channel: str, parts: Sequence[memoryview]) -> bool:
        assert self._channels is not None
        message = pack_message(channel, parts)
        self._largest = max(self._largest, len(message))
        try:
            sent = asyncio.ensure_future(self._channels.write_message(message, binary=True))
        except WebSocketClosedError:
            self._end(self._reason())
            return True
        is_much = len(message) >= _MUCH
        sent.add_done_callback(self._sent_much if is_much else _read_failure)
        return not is_much

    def _sent_much(self, sent: asyncio.Future[None]) -> None:
        _read_failure(sent)
        if self._sockets is not None:
            self._sockets.resume()

    def _ask(self, msg_type: str) -> None:
        _, header = self._headers.next(msg_type, time.time())
        self._send("control", [memoryview(part) for part in (header, b"{}", b"{}", b"{}")])

    def _ping(self) -> None:
        self._ask(request_type("ping"))

    def _subscribed(self, topic: bytes) -> None:
        if not topic:
            return
        self._topics.append(topic)
        if self._is_heard:
            self._welcome()
        else:
            # What it puts out shows that the server listens; the kernel answers while it is busy too.
            self._ask("kernel_info_request")

    def _welcome(self) -> None:
        topics, self._topics = self._topics, []
        for topic in topics:
            _, header = self._headers.next("iopub_welcome", time.time())
            content = msgspec.json.encode({"subscription": topic.decode("utf-8", "replace")})
            if self._sockets is not None:
                self._sockets.give("iopub", [memoryview(p) for p in (header, b"{}", b"{}", content)])


def _told(parts: Sequence[memoryview]) -> _Told:
    try:
        return msgspec.json.decode(parts[SIGNED - 1], type=_Told)
    except msgspec.MsgspecError:
        return _Told()


def _read_failure(sent: asyncio.Future[Any]) -> None:
    # The websocket's own end tells of it.
    if not sent.cancelled():
        sent.exception()
