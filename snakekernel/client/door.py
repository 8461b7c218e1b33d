"""One zmq socket of a client.

Rules: the methods of the C base class are used, for pyzmq's own around them cost a message twice as much. An
exception that a signal handler raises may leave a message sent or read in part: the socket is ``torn`` then,
and what is left of that message must be dropped before the socket is used again.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import zmq

from .connection import Connection

# As plain integers: pyzmq's enums cost more than the calls they are given to.
_POLLIN, _MORE = int(zmq.POLLIN), int(zmq.RCVMORE)
_SNDMORE, _NOBLOCK = int(zmq.SNDMORE), int(zmq.NOBLOCK)
_NO_BUFFERS: Final[list[memoryview]] = []
#: How often a TCP connection is tried, and after what silence it is lost: who is cut off says nothing.
_PING_MS, _SILENCE_MS = 5_000, 15_000


class Door:
    """A zmq socket, connected to ``address``.

    Attributes:
        descriptor: becomes readable when something comes.
        unread: something may have come that the descriptor does not tell of.
        torn: a message is being sent or read, or its sending or reading was broken off.
    """

    __slots__ = ("_address", "_polled", "descriptor", "get", "recv", "send", "socket", "torn", "unread")

    def __init__(self, socket: zmq.Socket[bytes], address: str) -> None:
        base: Any = super(zmq.Socket, socket)
        self.socket = socket
        self.get, self.recv, self.send = base.get, base.recv, base.send
        self.descriptor = int(socket.getsockopt(zmq.FD))
        self._address = address
        self._polled = [(socket, _POLLIN)]
        self.unread = True
        self.torn = False

    def has_message(self) -> bool:
        """Whether there is a message to take."""
        # Cheaper than the socket's events, which pyzmq looks up by an enum.
        return bool(zmq.zmq_poll(self._polled, 0))

    def put(self, frames: Sequence[bytes], buffers: Sequence[memoryview]) -> None:
        """Send one message; the buffers are not copied, as zmq decides by their size."""
        send = self.send
        self.torn = True
        for frame in frames[:-1]:
            send(frame, _SNDMORE)
        if not buffers:
            send(frames[-1], 0)
        else:
            send(frames[-1], _SNDMORE)
            self.socket.send_multipart(buffers, copy=False)
        self.torn = False

    def take(self) -> tuple[list[bytes], Sequence[memoryview]]:
        """Receive the message that is there: six frames, and buffers, which are not copied.

        Messages come whole, and those of Jupyter have six frames at least; zmq.Again tells of a shorter one.
        """
        recv = self.recv
        frames = [
            recv(_NOBLOCK),
            recv(_NOBLOCK),
            recv(_NOBLOCK),
            recv(_NOBLOCK),
            recv(_NOBLOCK),
            recv(_NOBLOCK),
        ]
        if not self.get(_MORE):
            return frames, _NO_BUFFERS
        return frames, [frame.buffer for frame in self.socket.recv_multipart(_NOBLOCK, copy=False)]

    def drop(self) -> None:
        """Drop what is left of a message that was read in part."""
        while self.get(_MORE):
            self.recv(_NOBLOCK)

    def mend(self) -> None:
        """Drop what is left of a message, also of one sent in part, by connecting anew.

        Replies still under way are lost.
        """
        self.drop()
        with suppress(zmq.ZMQError):
            # With its connection zmq drops the frames sent so far, and those up to the message's end.
            self.socket.disconnect(self._address)
        with suppress(zmq.Again):
            self.send(b"", _NOBLOCK)
        self.socket.connect(self._address)
        self.unread = True
        self.torn = False


def open_door(context: zmq.Context[zmq.Socket[bytes]], connection: Connection, port: int, kind: int) -> Door:
    """A socket of this kind, connected to one of the kernel's ports; it connects when it can."""
    socket = context.socket(kind)
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = 0
    if kind == zmq.DEALER:
        # Whoever knows a client's identity gets its replies, where nothing guards the transport.
        socket.routing_id = b"snake-" + secrets.token_bytes(16)
    if connection.transport == "tcp":
        # Answered by zmq's own thread: a kernel that is busy, or holds the GIL, is there.
        socket.heartbeat_ivl, socket.heartbeat_timeout = _PING_MS, _SILENCE_MS
    if connection.transport == "ipc":
        # A kernel that starts is not there yet, and trying again costs next to nothing: ms, not 100.
        socket.reconnect_ivl = 10
    if connection.curve_publickey is not None:
        socket.curve_serverkey = connection.curve_publickey
        socket.curve_publickey = connection.curve_publickey
        socket.curve_secretkey = connection.curve_secretkey or b""
    address = connection.address(port)
    socket.connect(address)
    return Door(socket, address)
