"""The sockets of one client and the demultiplexer of its replies.

Rules: one lock guards every use of the sockets, which zmq allows to move between threads but never to be
used by two at once. Threads sleep on the sockets' file descriptors, outside the lock; those tell only of what
comes after the socket was last looked at. So whoever used a socket, also to send, reads what is there, or
leaves ``unread`` set for who sleeps next. Each reply goes to the one slot that waits for it. A lost
connection fails all slots at once.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import zmq
from zmq.utils.monitor import parse_monitor_message

from ..errors import KernelLost, SnakeError
from ..memory.attachment import Attachment
from ..memory.exchange import SEGMENTS
from ..wire.frame import DELIMITER, BadFrame, Headers, Signer, bind_buffers, pack_json, unpack_object
from ..wire.names import request_type
from .connection import Connection
from .shield import Shield
from .sleeper import Sleeper

Channel = Literal["shell", "control"]
#: Said to whoever waits when the kernel goes.
GONE: Final = "The kernel is gone: it ended before the reply came."
_WATCHED: Final = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECTED
# As plain integers: pyzmq's enums cost more than the calls they are given to.
_POLLIN, _MORE = int(zmq.POLLIN), int(zmq.RCVMORE)
_SNDMORE, _NOBLOCK = int(zmq.SNDMORE), int(zmq.NOBLOCK)
_SIX: Final = (0,) * 6
_SEGMENTS: Final = SEGMENTS.encode()
_NO_BUFFERS: Final[list[memoryview]] = []


class Received(NamedTuple):
    """One reply as it came: packed content, metadata and buffers."""

    content: bytes
    metadata: bytes
    buffers: Sequence[memoryview]


#: Gets a reply, or the reason why none comes; called under the link's lock, so it only takes note.
Slot = Callable[[Received | BaseException], None]


class _Socket:
    """A zmq socket by the methods of its C base class: pyzmq's own around them cost a message twice as much.

    unread: something may have come that the descriptor does not tell of.
    """

    __slots__ = ("_polled", "descriptor", "get", "recv", "send", "socket", "unread")

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        base: Any = super(zmq.Socket, socket)
        self.socket = socket
        self.get, self.recv, self.send = base.get, base.recv, base.send
        self.descriptor = int(socket.getsockopt(zmq.FD))
        self._polled = [(socket, _POLLIN)]
        self.unread = True

    def has_message(self) -> bool:
        """Whether there is a message to take."""
        # Cheaper than the socket's events, which pyzmq looks up by an enum.
        return bool(zmq.zmq_poll(self._polled, 0))

    def put(self, frames: Sequence[bytes], buffers: Sequence[memoryview]) -> None:
        """Send one message; the buffers are not copied, as zmq decides by their size."""
        send = self.send
        for frame in frames[:-1]:
            send(frame, _SNDMORE)
        if not buffers:
            send(frames[-1], 0)
        else:
            send(frames[-1], _SNDMORE)
            self.socket.send_multipart(buffers, copy=False)

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


class Message(NamedTuple):
    """A request ready to be sent."""

    number: int
    door: _Socket
    frames: list[bytes]
    buffers: Sequence[memoryview]


class Link:
    """A connection to one kernel, used by any number of threads or one event loop."""

    def __init__(self, connection: Connection, shared_memory: int | None) -> None:
        self.connection = connection
        self._attachment = Attachment(shared_memory)
        self._signer = Signer(connection.key, connection.signature_scheme)
        self._headers = Headers(uuid.uuid4().hex, "snakekernel")
        self.lock = threading.RLock()
        self._slots: dict[int, Slot] = {}
        self._outbox: list[Message] = []
        self._lost = False
        self._closed = False
        self._pid = os.getpid()
        #: The kernel process that this connection leads to, once a reply told; None after a loss.
        self.epoch: str | None = None
        #: The last one known, for requests that must not run in another.
        self.last_epoch: str | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        shell, control = self._connect(connection.shell_port), self._connect(connection.control_port)
        monitor = shell.get_monitor_socket(_WATCHED)
        monitor.linger = 0
        self._doors: dict[Channel, _Socket] = {"shell": _Socket(shell), "control": _Socket(control)}
        self._sockets = list(self._doors.values())
        self._monitor = _Socket(monitor)
        self._monitor_sleeper = Sleeper([self._monitor.descriptor])

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
        return [door.descriptor for door in (*self._sockets, self._monitor)]

    # -- sending -----------------------------------------------------------------------------------

    def message(
        self, msg_type: str, content: bytes, buffers: Sequence[memoryview] = (), channel: Channel = "shell"
    ) -> Message:
        """A request ready to be sent."""
        number, header = self._headers.next(msg_type, time.time())
        metadata = b"{}"
        if buffers:
            metadata, buffers = self._place(number, buffers)
        signed = [header, b"{}", metadata, content]
        return Message(number, self._doors[channel], [DELIMITER, self._signer.sign(signed), *signed], buffers)

    def _place(self, number: int, buffers: Sequence[memoryview]) -> tuple[bytes, Sequence[memoryview]]:
        """The metadata and frames of a request's buffers: big ones go through shared memory."""
        self.check_process()
        # The answer to the offer may be waiting to be read.
        self.pump()
        metadata: dict[str, Any] = {}
        with Shield():
            sent = self._attachment.send(number, buffers)
        if sent is not None:
            buffers, metadata = sent.frames, {SEGMENTS: sent.entries}
        if self.connection.binds_buffers:
            metadata.update(bind_buffers(buffers))
        return pack_json(metadata), buffers

    def send(self, message: Message, slot: Slot) -> None:
        """Send a request; ``slot`` gets its reply, or the reason why none comes. The caller holds a Shield.

        Raises KernelLost where the connection is lost or closed already: nothing was sent.
        """
        number, door, frames, buffers = message
        with self.lock:
            self._check_open()
            self._slots[number] = slot
            door.unread = True
            door.put(frames, buffers)
            # The send may have consumed the descriptor's edge: read what has come meanwhile.
            self._read(door)

    def send_later(self, message: Message, slot: Slot) -> None:
        """As ``send``, at the next ``flush``."""
        with Shield(), self.lock:
            self._check_open()
            self._slots[message.number] = slot
            self._outbox.append(message)

    def flush(self) -> None:
        """Send what was to be sent later, but for what nobody waits for any more."""
        with Shield(), self.lock:
            outbox, self._outbox = self._outbox, []
            if self._closed:
                return
            self._notice_loss()
            for number, door, frames, buffers in outbox:
                if number in self._slots:
                    door.unread = True
                    door.put(frames, buffers)
                elif buffers:
                    self._attachment.answered(number)
            for door in self._sockets:
                if door.unread:
                    self._read(door)

    def check_process(self) -> None:
        """Raise KernelLost in a forked child: the sockets are its parent's."""
        if os.getpid() != self._pid:
            raise KernelLost("This client belongs to the process that opened it; open another after a fork.")

    def _check_open(self) -> None:
        self.check_process()
        if self._closed:
            raise KernelLost("This client is closed; nothing was sent.")
        self._notice_loss()
        if self._lost:
            raise KernelLost("The kernel is gone; nothing was sent.")

    def learn(self, content: Mapping[str, Any]) -> None:
        """Take the kernel process's epoch from a reply, and offer shared memory to a new one."""
        if self.epoch is None and isinstance(content.get("epoch"), str):
            self.epoch = self.last_epoch = content["epoch"]
            self._attach()

    def _attach(self) -> None:
        with Shield(), self.lock:
            offer = None if self._closed else self._attachment.offer()
            if offer is not None:
                try:
                    message = self.message(request_type("attach"), pack_json(offer), channel="control")
                    self.send(message, self._attached)
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

    def forget(self, number: int) -> None:
        """Nobody waits for this reply any more."""
        with self.lock:
            self._slots.pop(number, None)

    # -- receiving ---------------------------------------------------------------------------------

    @property
    def unread(self) -> bool:
        """Whether something may have come that no descriptor tells of: ``pump`` before you sleep."""
        shell, control = self._sockets
        return shell.unread or control.unread or self._monitor.unread

    def pump(self) -> None:
        """Read all that has come and hand it to its slots."""
        with Shield():
            self.read(None)

    def read(self, ready: Collection[int] | None, until: Callable[[], bool] | None = None) -> None:
        """Read what has come and hand it to its slots. The caller holds a Shield.

        Args:
            ready: the descriptors that are readable; None looks at every socket.
            until: whether that is enough; what is left stays ``unread``.
        """
        with self.lock:
            if self._closed:
                return
            for door in self._sockets:
                if ready is None or door.unread:
                    self._read(door, until)
                elif door.descriptor in ready:
                    self._read(door, until, told=True)
            monitor = self._monitor
            if ready is None or monitor.unread or monitor.descriptor in ready:
                self._read_monitor()

    def _read(self, door: _Socket, until: Callable[[], bool] | None = None, *, told: bool = False) -> None:
        door.unread = True
        # Where the descriptor told of it, a look at the events is saved.
        while told or door.has_message():
            told = False
            try:
                frames, buffers = door.take()
            except zmq.Again:
                # The descriptor told of something else; or it was too short to be a message of Jupyter's.
                continue
            self._deliver(frames, buffers)
            if until is not None and until():
                return
        door.unread = False

    def _deliver(self, frames: list[bytes], buffers: Sequence[memoryview]) -> None:
        # A DEALER gets no routing identities: the delimiter comes first.
        delimiter, signature, _, parent, metadata, content = frames
        if delimiter != DELIMITER or not self._signer.check(signature, frames[2:]):
            # Nobody we know signed this; there is nothing to answer and nobody to tell.
            return
        try:
            number = self._headers.number(parent)
        except BadFrame:
            return
        if number is None:
            return
        if self._attachment.leases:
            self._attachment.answered(number)
        reply: Received | SnakeError
        if buffers and _SEGMENTS in metadata:
            # Opened here, whether anybody waits for it or not: the kernel keeps it until then.
            reply = self._open_segments(content, metadata, buffers)
        else:
            reply = Received(content, metadata, buffers)
        slot = self._slots.pop(number, None)
        if slot is not None:
            slot(reply)

    def _open_segments(
        self, content: bytes, metadata: bytes, buffers: Sequence[memoryview]
    ) -> Received | SnakeError:
        try:
            return Received(content, b"{}", self._attachment.receive(unpack_object(metadata), buffers))
        except SnakeError as error:
            return error

    # -- loss and closing --------------------------------------------------------------------------

    def _notice_loss(self) -> None:
        if self._monitor.unread or self._monitor_sleeper.sleep(0):
            self._read_monitor()

    def _read_monitor(self) -> None:
        monitor = self._monitor
        monitor.unread = True
        while monitor.has_message():
            event = parse_monitor_message(monitor.socket.recv_multipart(zmq.NOBLOCK))
            self._lost = event["event"] == zmq.EVENT_DISCONNECTED
            if self._lost:
                # What zmq has not sent yet it sends when it connects again, to a restarted kernel perhaps:
                # that one refuses it by its epoch.
                self.epoch = None
                self._fail_all(GONE)
        monitor.unread = False

    def _fail_all(self, reason: str) -> None:
        self._attachment.detach()
        slots, self._slots = self._slots, {}
        for slot in slots.values():
            slot(KernelLost(reason))

    def fail(self, reason: str) -> None:
        """End all waits with KernelLost."""
        with Shield(), self.lock:
            self._fail_all(reason)

    def close(self) -> None:
        """Close the sockets; whoever still waits gets KernelLost. Idempotent."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
            if os.getpid() != self._pid:
                # After a fork the sockets are the parent's to close.
                return
            self._fail_all("This client was closed before the reply came.")
            self._doors["shell"].socket.disable_monitor()
            for door in (*self._sockets, self._monitor):
                door.socket.close(0)
            self._context.term()
