"""The kernel's channels as a remote client's link finds them: zmq sockets of this process.

Rules: used on the bridge's loop only. They are there while the websocket is, so a link sees its loss as that
of a kernel; each time they come back they are new, at the same addresses. Only this user can reach them, and
messages are signed with a key of this client's own.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import zmq

from ..wire.frame import DELIMITER, Signer
from .connection import Connection
from .websocket_frames import SIGNED

#: Milliseconds in which replies that came before a loss still go to the link.
_LINGER: Final = 1000
_EVENTS, _READABLE, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)
#: Frames before the parts of a message: who sent it, the delimiter and the signature.
_BEFORE: Final = 3
_SUBSCRIBES: Final = b"\x01"


class Place:
    """Where the sockets are: a folder of our own, or this host's loopback where there are no ipc sockets."""

    def __init__(self, shown: str) -> None:
        self._pid = os.getpid()
        self.folder = None if sys.platform == "win32" else tempfile.mkdtemp(prefix="snakekernel-")
        key = secrets.token_hex(32).encode()
        if self.folder is not None:
            path = os.path.join(self.folder, "channel")
            self.connection = Connection(
                "ipc", path, 1, 2, key, iopub_port=3, shown=shown, buffers_bound=True
            )
            return
        public, secret = zmq.curve_keypair()
        shell, control, iopub = _free_ports(3)
        self.connection = Connection(
            "tcp",
            "127.0.0.1",
            shell,
            control,
            key,
            curve_publickey=public,
            curve_secretkey=secret,
            iopub_port=iopub,
            shown=shown,
            buffers_bound=True,
        )

    def remove(self) -> None:
        """Remove the folder. Idempotent."""
        if self.folder is not None and os.getpid() == self._pid:
            shutil.rmtree(self.folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    with zmq.Context() as context:
        sockets = [context.socket(zmq.DEALER) for _ in range(count)]
        ports = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in sockets]
        for socket in sockets:
            socket.close(0)
    return ports


class Sockets:
    """One life of the sockets.

    Args:
        send: gets each message of the link's: its channel and its parts. False asks to be told later, by
            ``resume``, that more can be taken.
        subscribed: told of each topic that the link subscribes to.
    """

    def __init__(
        self,
        connection: Connection,
        send: Callable[[str, Sequence[memoryview]], bool],
        subscribed: Callable[[bytes], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._signer = Signer(connection.key, connection.signature_scheme)
        self._send = send
        self._subscribed = subscribed
        self._is_open = True
        self._is_paused = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._link: dict[str, bytes] = {}
        try:
            self._routers = {
                "shell": self._bound(connection, zmq.ROUTER, connection.shell_port),
                "control": self._bound(connection, zmq.ROUTER, connection.control_port),
            }
            assert connection.iopub_port is not None
            self._iopub = self._bound(connection, zmq.XPUB, connection.iopub_port)
        except BaseException:
            self._context.destroy(0)
            raise
        for channel, router in self._routers.items():
            self._loop.add_reader(router.fileno(), self._read, channel)
        self._loop.add_reader(self._iopub.fileno(), self._hear)

    def _bound(self, connection: Connection, kind: int, port: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.linger = _LINGER
        socket.sndhwm = socket.rcvhwm = 0
        if connection.curve_secretkey is not None:
            socket.curve_server = True
            socket.curve_publickey = connection.curve_publickey or b""
            socket.curve_secretkey = connection.curve_secretkey
        socket.bind(connection.address(port))
        return socket

    def give(self, channel: str, parts: Sequence[memoryview]) -> None:
        """Hand the link a message of the kernel's."""
        if not self._is_open:
            return
        frames: list[bytes | memoryview] = [DELIMITER, self._signer.sign(parts[:SIGNED]), *parts]
        if channel == "iopub":
            self._iopub.send_multipart(frames, _NOBLOCK, copy=False)
            # The descriptor tells of what comes after this look only.
            self._hear()
        elif (router := self._routers.get(channel)) is not None and channel in self._link:
            router.send_multipart([self._link[channel], *frames], _NOBLOCK, copy=False)
            self._read(channel)

    def resume(self) -> None:
        """More can be taken from the link."""
        self._is_paused = False
        for channel in self._routers:
            self._read(channel)

    def _read(self, channel: str) -> None:
        while self._is_open and not self._is_paused:
            router = self._routers[channel]
            try:
                frames = router.recv_multipart(_NOBLOCK, copy=False)
            except zmq.Again:
                return
            parts = [frame.buffer for frame in frames[_BEFORE:]]
            # What mends a link's socket is no message; nor is what nobody who knows the key has signed.
            if len(parts) < SIGNED or not self._signer.check(frames[2].bytes, parts[:SIGNED]):
                continue
            self._link[channel] = frames[0].bytes
            self._is_paused = not self._send(channel, parts)

    def _hear(self) -> None:
        while self._is_open:
            try:
                told = self._iopub.recv(_NOBLOCK)
            except zmq.Again:
                return
            if told.startswith(_SUBSCRIBES):
                self._subscribed(told[1:])

    def close(self) -> None:
        """Close them; what was given goes out before. Idempotent."""
        if not self._is_open:
            return
        self._is_open = False
        for socket in (*self._routers.values(), self._iopub):
            with suppress(ValueError):
                self._loop.remove_reader(socket.fileno())
            socket.close()
        # Returns when their addresses are free again.
        self._context.term()
