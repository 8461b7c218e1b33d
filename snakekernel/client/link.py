"""The sockets of one client and the demultiplexer of its replies.

Rules: one lock guards every use of the sockets, which zmq allows to move between threads but never to be
used by two at once. Threads sleep on the sockets' file descriptors, outside the lock; those tell only of what
comes after the socket was last looked at. So whoever used a socket, also to send, reads what is there, or
leaves ``unread`` set for who sleeps next. Each reply goes to the one slot that waits for it. A lost
connection fails all slots at once. A signal handler may break into any of this: where it finds its own
thread within the lock it is refused, and where it raises, the socket is mended.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import zmq

from ..errors import End, KernelLost, SnakeError, Unsupported
from ..memory.attachment import Attachment
from ..memory.exchange import SEGMENTS
from ..wire.frame import DELIMITER, BadFrame, Headers, Signer
from .connection import Connection
from .door import Door, open_door
from .ending import words
from .epochs import Epochs
from .listening import Listening
from .message import Channel, Message, Received, Slot, event_type
from .monitor import Monitor
from .sharing import Sharing
from .shield import Shield

#: Said to whoever waits when the kernel goes.
GONE: Final = "The kernel is gone: it ended before the reply came."
_NOT_SENT: Final = "The kernel is gone; nothing was sent."
_SEGMENTS: Final = SEGMENTS.encode()
_TORN: Final = "An exception broke into the sending or reading of a message, so replies under way are lost."
_BROKE_IN: Final = (
    "A signal handler or a finalizer used the client while its own thread was in the middle of a message."
)


def _nobody() -> None:
    """Nobody is to be told of a loss, or knows of it."""


def _abandon(context: zmq.Context[zmq.Socket[bytes]], opened: list[zmq.Socket[bytes]], pid: int) -> None:
    if os.getpid() == pid:
        for socket in opened:
            socket.close(0)
        context.term()


class Link:
    """A connection to one kernel, used by any number of threads or one event loop."""

    def __init__(
        self, connection: Connection, shared_memory: int | None, why: Callable[[], str] = lambda: GONE
    ) -> None:
        # What says why the connection was lost, once it is.
        self.connection = connection
        self._why = why
        self._attachment = Attachment(shared_memory)
        self._sharing = Sharing(self._attachment, binds=connection.binds_buffers)
        self._signer = Signer(connection.key, connection.signature_scheme)
        self._headers = Headers(uuid.uuid4().hex, "snakekernel")
        self.lock = threading.RLock()
        #: Whether this very thread holds the lock; asked of the lock, which alone knows it at any moment.
        self._is_within: Callable[[], bool] = self.lock._is_owned  # type: ignore[attr-defined]
        self._slots: dict[int, Slot] = {}
        self._outbox: list[Message] = []
        #: Takes the messages beside replies, with their type and the number of the request they belong to;
        #: called under the lock, so it only takes note. None while nobody expects any.
        self.events: Callable[[str, int, Received], None] | None = None
        #: The functions that are lent over this connection; its client makes the table.
        self.functions: Any = None
        #: Milliseconds that closing waits for messages to leave.
        self.parting = 0
        self._closed = False
        #: How a loss of the kernel is raised.
        self.loss: type[KernelLost] = KernelLost
        #: Called, under the lock, when the connection is lost, before those who wait are told; not where
        #: replies alone are lost.
        self.on_loss: Callable[[], object] = _nobody
        #: Asked what became of the kernel when the connection is lost; None where that is not known.
        self.inquire: Callable[[], End | None] = _nobody
        #: Its last answer.
        self._end: End | None = None
        #: Why nothing is sent any more, once the kernel was ended.
        self._ended: str | None = None
        self._pid = os.getpid()
        #: The kernel process that this connection leads to, once a reply told; None after a loss.
        self.epoch: str | None = None
        #: The last one known, for requests that must not run in another.
        self.last_epoch: str | None = None
        #: Those that calls with an id were sent to.
        self.epochs = Epochs()
        #: Counts the losses: what a reply says of the kernel holds in its own generation only.
        self._generation = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._opened: list[zmq.Socket[bytes]] = []
        # A client that nobody closed may go with the garbage, and its context wait for its sockets for ever.
        self._abandoned = weakref.finalize(self, _abandon, self._context, self._opened, self._pid)
        self._abandoned.atexit = False
        shell, control = self._open(connection.shell_port), self._open(connection.control_port)
        self._doors: dict[Channel, Door] = {"shell": shell, "control": control}
        self._sockets = list(self._doors.values())
        # What zmq has not sent yet it sends when it connects again, to a restarted kernel perhaps: that one
        # refuses it by its epoch.
        self._monitor = Monitor(shell.socket, lambda is_torn: self._lose(_TORN if is_torn else self._why()))
        self._opened.append(self._monitor.door.socket)
        #: The iopub channel, once somebody listened.
        self.listening: Listening | None = None

    def _open(self, port: int, kind: int = zmq.DEALER) -> Door:
        door = open_door(self._context, self.connection, port, kind)
        self._opened.append(door.socket)
        return door

    def descriptors(self) -> list[int]:
        """File descriptors that become readable when ``pump`` may have something to do."""
        heard = () if self.listening is None else (self.listening.door,)
        return [door.descriptor for door in (*self._sockets, self._monitor.door, *heard)]

    def listen(self) -> Listening:
        """The iopub channel, opened where it is not yet; the caller holds the lock."""
        self.check_process()
        self._check_open()
        if self.listening is None:
            if self.connection.iopub_port is None:
                raise Unsupported("The connection details name no iopub port, where output comes from.")
            door = self._open(self.connection.iopub_port, zmq.SUB)
            self.listening = Listening(door, self._signer, self._headers)
        return self.listening

    def id_of(self, number: int) -> str:
        """The ``msg_id`` of a request of this number."""
        return f"{self._headers.session}_{number}"

    # -- sending -----------------------------------------------------------------------------------

    def message(
        self,
        msg_type: str,
        content: bytes,
        buffers: Sequence[memoryview] = (),
        channel: Channel = "shell",
        *,
        keep: bool = False,
        shared: bool = True,
        subshell: str | None = None,
    ) -> Message:
        """A request ready to be sent.

        Args:
            subshell: the id of the subshell that is to serve it; None for the main shell.
            keep: its buffers are kept as they are now, whatever their owner writes to them later.
            shared: they may go through shared memory, which is free again when the reply comes.
        """
        number, header = self._headers.next(msg_type, time.time(), subshell)
        metadata, leases = b"{}", None
        if buffers:
            # The answer to the offer may be waiting to be read.
            self.check_process()
            self.pump()
            metadata, buffers, leases = self._sharing.place(number, buffers, keep, shared)
        signed = [header, b"{}", metadata, content]
        frames = [DELIMITER, self._signer.sign(signed), *signed]
        return Message(number, self._doors[channel], frames, buffers, leases)

    def send(self, message: Message, slot: Slot) -> None:
        """Send a request; ``slot`` gets its reply, or the reason why none comes. The caller holds a Shield.

        Raises KernelLost where the connection is lost or closed already: nothing was sent.
        """
        # In a forked child nobody may be left who frees the lock.
        self.check_process()
        self.check_free()
        with self.lock:
            try:
                self._check_open()
                self._slots[message.number] = slot
                self._put(message)
                # The send may have consumed the descriptor's edge: read what has come meanwhile.
                self._read(message.door)
            except BaseException:
                self._mend()
                raise

    def _put(self, message: Message) -> None:
        number, door, frames, buffers, leases = message
        if door.torn:
            self._mend()
        if leases is not None:
            self._attachment.leases[number] = leases
        door.unread = True
        door.put(frames, buffers)

    def send_later(self, message: Message, slot: Slot) -> None:
        """As ``send``, at the next ``flush``."""
        self.check_process()
        self.check_free()
        with Shield(), self.lock:
            self._check_open()
            self._slots[message.number] = slot
            self._outbox.append(message)

    def flush(self) -> None:
        """Send what was to be sent later, but for what nobody waits for any more."""
        self.check_free()
        with Shield(), self.lock:
            outbox, self._outbox = self._outbox, []
            if self._closed:
                return
            try:
                self._monitor.look()
                for message in outbox:
                    if message.number in self._slots:
                        self._put(message)
                for door in self._sockets:
                    if door.unread:
                        self._read(door)
            except BaseException:
                self._mend()
                raise

    def check_free(self) -> None:
        """Raise RuntimeError where this thread is in the middle of using the sockets: a handler broke in."""
        if self._is_within():
            raise RuntimeError(_BROKE_IN)

    @property
    def is_over(self) -> bool:
        """Whether nothing is sent any more, whatever becomes of the kernel."""
        return self._closed or self._ended is not None

    def is_foreign(self) -> bool:
        """Whether this is a forked child: the sockets are its parent's."""
        return os.getpid() != self._pid

    def check_process(self) -> None:
        """Raise KernelLost in a forked child."""
        if self.is_foreign():
            raise KernelLost.unsent(
                "This client belongs to the process that opened it; open another after a fork."
            )

    def _check_open(self) -> None:
        if self._ended is not None:
            raise self._lost(self._ended, sent=False)
        if self._closed:
            raise KernelLost.unsent("This client is closed; nothing was sent.")
        self._monitor.look()
        if self._monitor.is_lost:
            why = self._why()
            reason = _NOT_SENT if why is GONE else f"{why} This request was not sent."
            raise self._lost(reason, sent=False)

    def learn(self, content: Mapping[str, Any], generation: int) -> None:
        """Take the kernel process's epoch from a reply, and offer shared memory to a new one.

        A reply of an earlier ``generation`` is one of a kernel that is gone: it tells nothing.
        """
        if self.epoch is None and isinstance(content.get("epoch"), str) and not self._is_within():
            with Shield(), self.lock:
                if self.epoch is None and generation == self._generation:
                    self.epoch = self.last_epoch = content["epoch"]
                    offer = None if self._closed else self._attachment.offer()
                else:
                    return
            if offer is not None:
                self._sharing.offer(self, offer)

    def forget(self, number: int) -> bool:
        """Nobody waits for this reply any more; whether it was still to come."""
        with self.lock:
            return self._slots.pop(number, None) is not None

    # -- receiving ---------------------------------------------------------------------------------

    @property
    def unread(self) -> bool:
        """Whether something may have come that no descriptor tells of: ``pump`` before you sleep."""
        shell, control = self._sockets
        if shell.unread or control.unread or self._monitor.door.unread:
            return True
        return self.listening is not None and self.listening.door.unread

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
        self.check_free()
        with self.lock:
            if self._closed:
                return
            try:
                for door in self._sockets:
                    if ready is None or door.unread:
                        self._read(door, until)
                    elif door.descriptor in ready:
                        self._read(door, until, told=True)
                monitor = self._monitor.door
                if ready is None or monitor.unread or monitor.descriptor in ready:
                    self._monitor.read()
                if self.listening is not None:
                    self.listening.read(ready)
            except BaseException:
                self._mend()
                raise

    def _read(self, door: Door, until: Callable[[], bool] | None = None, *, told: bool = False) -> None:
        if door.torn:
            self._mend()
        door.unread = True
        # Where the descriptor told of it, a look at the events is saved.
        while told or door.has_message():
            told = False
            door.torn = True
            try:
                frames, buffers = door.take()
            except zmq.Again:
                # The descriptor told of something else; or it was too short to be a message of Jupyter's.
                door.torn = False
                continue
            self._deliver(frames, buffers)
            door.torn = False
            if until is not None and until():
                return
        door.unread = False

    def _deliver(self, frames: list[bytes], buffers: Sequence[memoryview]) -> None:
        # A DEALER gets no routing identities: the delimiter comes first.
        delimiter, signature, header, parent, metadata, content = frames
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
            reply = self._sharing.open(content, metadata, buffers, self._generation)
        else:
            reply = Received(content, metadata, buffers, self._generation)
        if self.events is not None and (kind := event_type(header)) is not None:
            if isinstance(reply, Received):
                self.events(kind, number, reply)
            return
        slot = self._slots.get(number)
        if slot is not None:
            slot(reply)
            self._slots.pop(number, None)

    # -- loss and closing --------------------------------------------------------------------------

    def _mend(self) -> None:
        """Make torn sockets usable again; which of the replies were lost is not known, so all are."""
        for door in self._sockets:
            if door.torn and not self._closed:
                self._lose(_TORN)
                door.mend()

    def _lose(self, reason: str) -> None:
        self._generation += 1
        self.epoch = None
        if reason is GONE:
            self.on_loss()
        self._fail_all(reason)

    def lost(self) -> KernelLost:
        """How it is raised that the kernel is gone."""
        with self.lock:
            self._end = self.inquire()
            return self._lost(GONE)

    def _lost(self, reason: str, *, sent: bool = True) -> KernelLost:
        make = self.loss if sent else self.loss.unsent
        return make(reason if self._end is None else reason + words(self._end), end=self._end)

    def _fail_all(self, reason: str) -> None:
        self._attachment.detach()
        if reason is GONE:
            self._end = self.inquire()
        # Taken out once they are told: what breaks in between leaves them to be told again.
        unsent = {message.number for message in self._outbox}
        for number, slot in list(self._slots.items()):
            slot(self._lost(reason, sent=number not in unsent))
            self._slots.pop(number, None)
        if self.listening is not None:
            self.listening.fail(self._lost(reason))

    def fail(self, reason: str) -> None:
        """End all waits with KernelLost."""
        with Shield(), self.lock:
            self._fail_all(reason)

    def end(self, reason: str, end: End | None = None) -> None:
        """As ``fail``, and send nothing any more. The first reason stays.

        Args:
            end: what became of the kernel, if that is known.
        """
        with Shield(), self.lock:
            if self._ended is None and not self._closed:
                self._ended, self._end = reason, end
                self._fail_all(reason)

    def close(self) -> None:
        """Close the sockets; whoever still waits gets KernelLost. Idempotent."""
        if self.is_foreign():
            # The sockets are the parent's to close, and nobody may be left who frees the lock.
            self._closed = True
            return
        self.check_free()
        with Shield(), self.lock:
            if self._closed:
                return
            self._closed = True
            self._fail_all("This client was closed before the reply came.")
            self._monitor.close()
            self._abandoned.detach()
            for socket in self._opened:
                socket.close(self.parting)
            self._context.term()
