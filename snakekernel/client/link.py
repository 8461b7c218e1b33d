"""The sockets of one client and the demultiplexer of its replies.

Rules: one lock guards every use of the sockets, which zmq allows to move between threads but never to be
used by two at once. Threads sleep on the sockets' file descriptors, outside the lock; those tell only that
something may have come, so whoever used a socket also reads what is there (``pump``). Each reply goes to
the one slot that waits for its message id. A lost connection fails all slots at once.
"""

from __future__ import annotations

import itertools
import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from socket import socketpair
from typing import Any, Final, Literal, NamedTuple

import zmq
from zmq.utils.monitor import parse_monitor_message

from ..errors import KernelLost, SnakeError
from ..memory.attachment import Attachment
from ..memory.exchange import SEGMENTS
from ..wire.frame import DELIMITER, BadFrame, Signer, bind_buffers, pack_json, unpack_header, unpack_object
from ..wire.names import request_type
from .connection import Connection
from .shield import Shield

Channel = Literal["shell", "control"]
#: Said to whoever waits when the kernel goes.
GONE: Final = "The kernel is gone: it ended before the reply came."
_SEGMENTS: Final = SEGMENTS.encode()
_WATCHED: Final = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECTED


class Received(NamedTuple):
    """One reply as it came: packed content, metadata and buffers."""

    msg_type: str
    content: bytes
    metadata: bytes
    buffers: list[memoryview]


Slot = Callable[[Received | BaseException], None]


class Link:
    """A connection to one kernel, used by any number of threads or one event loop."""

    def __init__(self, connection: Connection, shared_memory: int | None) -> None:
        self.connection = connection
        self._attachment = Attachment(shared_memory)
        self._signer = Signer(connection.key, connection.signature_scheme)
        self._lock = threading.RLock()
        self._slots: dict[str, Slot] = {}
        self._session = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._lost = False
        self._closed = False
        self._pid = os.getpid()
        #: The kernel process that this connection leads to, once a reply told; None after a loss.
        self.epoch: str | None = None
        #: The last one known, for requests that must not run in another.
        self.last_epoch: str | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets = {
            "shell": self._connect(connection.shell_port),
            "control": self._connect(connection.control_port),
        }
        self._monitor = self._sockets["shell"].get_monitor_socket(_WATCHED)
        self._monitor.linger = 0
        self._polled = [(socket, zmq.POLLIN) for socket in (*self._sockets.values(), self._monitor)]

    def _connect(self, port: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 0
        if self.connection.transport == "ipc":
            # A kernel that starts is not there yet, and trying again costs next to nothing: ms, not 100.
            socket.reconnect_ivl = 10
        if self.connection.curve_publickey is not None:
            socket.curve_serverkey = self.connection.curve_publickey
            socket.curve_publickey = self.connection.curve_publickey
            socket.curve_secretkey = self.connection.curve_secretkey or b""
        socket.connect(self.connection.address(port))
        return socket

    def descriptors(self) -> list[int]:
        """File descriptors that become readable when ``pump`` may have something to do."""
        return [int(s.getsockopt(zmq.FD)) for s in (*self._sockets.values(), self._monitor)]

    def request(
        self,
        msg_type: str,
        content: bytes,
        slot: Slot,
        *,
        buffers: Sequence[memoryview] = (),
        channel: Channel = "shell",
        subshell_id: str | None = None,
    ) -> str:
        """Send a request; ``slot`` gets its reply or the reason why none comes. Returns the message id.

        Raises KernelLost where the connection is lost or closed already: nothing was sent.
        """
        if os.getpid() != self._pid:
            raise KernelLost("This client belongs to the process that opened it; open another after a fork.")
        msg_id = f"{self._session}_{next(self._numbers)}"
        header: dict[str, Any] = {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "username": "snakekernel",
            "session": self._session,
            "date": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "version": "5.4",
        }
        if subshell_id is not None:
            header["subshell_id"] = subshell_id
        if buffers:
            return self._send_buffers(channel, msg_id, header, content, buffers, slot)
        signed = [pack_json(header), b"{}", b"{}", content]
        self._send(channel, msg_id, [DELIMITER, self._signer.sign(signed), *signed], slot)
        return msg_id

    def _send_buffers(
        self,
        channel: Channel,
        msg_id: str,
        header: dict[str, Any],
        content: bytes,
        buffers: Sequence[memoryview],
        slot: Slot,
    ) -> str:
        metadata: dict[str, Any] = {}
        with Shield():
            # The answer to the offer may be waiting to be read.
            self.pump()
            # Within the shield, for what is lent must be sent, or else taken back.
            sent = self._attachment.send(msg_id, buffers)
            if sent is not None:
                buffers, metadata = sent.frames, {SEGMENTS: sent.entries}
            if self.connection.binds_buffers:
                metadata.update(bind_buffers(buffers))
            signed = [pack_json(header), b"{}", pack_json(metadata), content]
            try:
                self._send(channel, msg_id, [DELIMITER, self._signer.sign(signed), *signed, *buffers], slot)
            except BaseException:
                self._attachment.answered(msg_id)
                raise
        return msg_id

    def _send(self, channel: Channel, msg_id: str, parts: list[bytes | memoryview], slot: Slot) -> None:
        with Shield(), self._lock:
            if self._closed:
                raise KernelLost("This client is closed; nothing was sent.")
            self._pump(self._readable())
            if self._lost:
                raise KernelLost("The kernel is gone; nothing was sent.")
            self._slots[msg_id] = slot
            self._sockets[channel].send_multipart(parts, copy=len(parts) == 6)
            # The send may have consumed the descriptors' edge: read what has come meanwhile.
            self._pump(self._readable())

    def learn(self, content: Mapping[str, Any]) -> None:
        """Take the kernel process's epoch from a reply, and offer shared memory to a new one."""
        if self.epoch is None and isinstance(content.get("epoch"), str):
            self.epoch = self.last_epoch = content["epoch"]
            self._attach()

    def _attach(self) -> None:
        with self._lock:
            offer = None if self._closed else self._attachment.offer()
        if offer is not None:
            try:
                self.request(request_type("attach"), pack_json(offer), self._attached, channel="control")
            except KernelLost:
                # Whoever needs the kernel next is told.
                return

    def _attached(self, answer: Received | BaseException) -> None:
        if isinstance(answer, Received):
            try:
                self._attachment.accept(unpack_object(answer.content))
            except SnakeError:
                # An answer that is none: the socket serves.
                return

    def forget(self, msg_id: str) -> None:
        """Nobody waits for this reply any more."""
        with self._lock:
            self._slots.pop(msg_id, None)

    def pump(self) -> None:
        """Read all that has come and hand it to its slots."""
        with self._lock:
            if not self._closed and (readable := self._readable()):
                with Shield():
                    self._pump(readable)

    def _readable(self) -> list[Any]:
        # One look at all sockets costs less than one exception of one that has nothing.
        return [socket for socket, _ in zmq.zmq_poll(self._polled, 0)]

    def _pump(self, readable: list[Any]) -> None:
        while readable:
            for socket in readable:
                if socket is self._monitor:
                    self._read_monitor()
                else:
                    self._deliver(socket.recv_multipart(zmq.NOBLOCK, copy=False))
            readable = self._readable()

    def _deliver(self, frames: Sequence[zmq.Frame]) -> None:
        # A DEALER gets no routing identities: the delimiter comes first.
        parts = [frame.bytes for frame in frames[:6]]
        signed = parts[2:]
        if len(signed) != 4 or parts[0] != DELIMITER or not self._signer.check(parts[1], signed):
            # Nobody we know signed this; there is nothing to answer and nobody to tell.
            return
        try:
            header, parent = unpack_header(signed[0]), unpack_header(signed[1])
        except BadFrame:
            return
        if self._attachment.leases:
            self._attachment.answered(parent.msg_id)
        metadata, buffers = signed[2], [frame.buffer for frame in frames[6:]]
        reply: Received | SnakeError
        if buffers and _SEGMENTS in metadata:
            # Opened here, whether anybody waits for it or not: the kernel keeps it until then.
            reply = self._open_segments(header.msg_type, signed[3], metadata, buffers)
        else:
            reply = Received(header.msg_type, signed[3], metadata, buffers)
        slot = self._slots.pop(parent.msg_id, None)
        if slot is not None:
            slot(reply)

    def _open_segments(
        self, msg_type: str, content: bytes, metadata: bytes, buffers: list[memoryview]
    ) -> Received | SnakeError:
        try:
            received = self._attachment.receive(unpack_object(metadata), buffers)
            return Received(msg_type, content, b"{}", received)
        except SnakeError as error:
            return error

    def _read_monitor(self) -> None:
        event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
        self._lost = event["event"] == zmq.EVENT_DISCONNECTED
        if self._lost:
            # What zmq has not sent yet it sends when it connects again, to a restarted kernel perhaps: that
            # one refuses it by its epoch.
            self.epoch = None
            self._fail_all(GONE)

    def _fail_all(self, reason: str) -> None:
        self._attachment.detach()
        slots, self._slots = self._slots, {}
        for slot in slots.values():
            slot(KernelLost(reason))

    def fail(self, reason: str) -> None:
        """End all waits with KernelLost."""
        with Shield(), self._lock:
            self._fail_all(reason)

    def close(self) -> None:
        """Close the sockets; whoever still waits gets KernelLost. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if os.getpid() != self._pid:
                # After a fork the sockets are the parent's to close.
                return
            self._fail_all("This client was closed before the reply came.")
            self._sockets["shell"].disable_monitor()
            for socket in (*self._sockets.values(), self._monitor):
                socket.close(0)
            self._context.term()


class Pipe:
    """Wakes a thread that sleeps on descriptors. A pair of sockets: Windows can wait for no other."""

    def __init__(self) -> None:
        self._reader, self._writer = socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    @property
    def descriptor(self) -> int:
        """Readable when a thread is to wake; -1 once closed."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make the descriptor readable."""
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            # Full means that it is readable already.
            return

    def drain(self) -> None:
        """Make the descriptor unreadable again."""
        try:
            self._reader.recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close both ends. Idempotent."""
        self._reader.close()
        self._writer.close()
