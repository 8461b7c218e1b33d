"""The fast lane: our requests go from the shell socket to the main thread with no other thread between.

Stock ipykernel reads the shell socket on a channel thread, which hands each message over an inproc pair to
the main thread and each reply back over another, so that a subshell's requests are routed while the main
thread is busy. A small call spends most of its time in these hand-overs. Here two threads can read the
socket: the main thread (the leader) while it waits for work, and the channel thread (the follower) while the
main thread is busy. The rules that make this safe:

- One lock, the baton, guards every use of the shell socket: zmq lets a socket move between threads across a
  full fence, never be used by two at once.
- The socket's descriptor tells of edges only, and any use of the socket may consume one. So nobody lets go
  of the baton while the socket has a message: whoever sends also reads and routes.
- The leader's turn is exactly its wait in the loop's selector (``LaneSelector``). Outside of it the follower
  looks (``follower``).
- Messages for the main thread stand in one queue (``main_queue``) in the order they came, those that
  ipykernel's own code routes on the channel thread included. So the order with cells holds, and stock routing
  (comms, unknown subshells) stays.
- Interrupts never strike while the main thread holds the baton: half a message on a socket cannot be mended.

This reaches into ipykernel: the shell stream, the subshell manager's getters, ``shell_main`` and
``shell_channel_thread_main``. It is used with the versions that it was tested with and on a loop of our own;
anywhere else (``unusable``) the kernel runs as stock does.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import ipykernel
import zmq
import zmq.backend
from zmq import zmq_poll

from ..wire.frame import DELIMITER, BadFrame, unpack_any_header
from . import threads
from .follower import Follower
from .incoming import split
from .main_queue import MainQueue, Place

if TYPE_CHECKING:
    from .kernel import SnakeKernel

#: The versions of ipykernel whose own tests pass on the lane.
_TESTED: Final = {(7, 4)}
_POLLIN: Final = int(zmq.POLLIN)
_SNDMORE: Final = int(zmq.SNDMORE)
#: pyzmq's own layer over libzmq; the classes above it convert what we do not need converted.
_receive: Final = zmq.backend.Socket.recv
_send: Final = zmq.backend.Socket.send
#: Parts between the delimiter and the buffers.
_SIGNED: Final = 5
_COMM: Final = b'"comm_'
#: What a waiting cell may be waiting for.
_COMMS: Final = {"comm_open", "comm_msg", "comm_close"}

_slot: ContextVar[Place] = ContextVar("slot")


class LaneSelector(selectors.DefaultSelector):
    """The main loop's selector: its wait is the lane's turn to read on the main thread."""

    lane: Lane | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As of any selector; the shell socket is read before the loop's callbacks run."""
        lane = self.lane
        if lane is None or lane.is_forked:
            return super().select(timeout)
        lane.follower.rest()
        try:
            events: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
            for key, _ in events:
                if key.fd == lane.descriptor:
                    lane.lead()
                    break
        finally:
            # Also where an interrupt ends a loop within a cell.
            lane.follower.watch()
        return events


class LaneLoop(asyncio.SelectorEventLoop):
    """The main thread's loop. An interrupt between two steps of a cell ends the cell, not the loop."""

    def __init__(self) -> None:
        self.selector = LaneSelector()
        super().__init__(self.selector)

    def run_forever(self) -> None:
        """As of any loop, and on after a KeyboardInterrupt, which leaves a loop between two callbacks."""
        while True:
            try:
                super().run_forever()
                return
            except KeyboardInterrupt:
                lane = self.selector.lane
                if lane is not None:
                    lane.wake()


def unusable(kernel: SnakeKernel, selector: LaneSelector | None) -> str | None:
    """Why the lane cannot be used here, or None."""
    if sys.platform != "linux":
        return "this system has no epoll"
    if ipykernel.version_info[:2] not in _TESTED:
        return f"ipykernel {ipykernel.__version__} is not among the versions it was tested with"
    if selector is None or threading.current_thread() is not threading.main_thread():
        return "the kernel runs on an event loop that is not its own"
    if kernel.shell_channel_thread is None or kernel.shell_stream is None or kernel.session is None:
        return "the kernel has no shell channel thread"
    return None


def _received(socket: zmq.Socket[bytes]) -> tuple[list[Any], int]:
    """One message that is there: its parts as bytes up to the content, buffers as frames, not copied.

    The other value is where the delimiter stands. A frame knows whether more follow; asking the socket costs
    more than the frame.
    """
    frame: Any = _receive(socket, 0, False)
    msg: list[Any] = [frame.bytes]
    while frame.more:
        frame = _receive(socket, 0, False)
        msg.append(frame.bytes)
        if msg[-1] == DELIMITER:
            break
    at = len(msg) - 1
    while frame.more:
        frame = _receive(socket, 0, False)
        msg.append(frame.bytes if len(msg) <= at + _SIGNED else frame)
    return msg, at


def _is_comm(header: bytes) -> bool:
    if _COMM not in header:
        return False
    try:
        return unpack_any_header(header)["msg_type"] in _COMMS
    except BadFrame:
        return False


class Lane:
    """The shell channel of one kernel. Made and used on the main thread, but where a method says otherwise.

    Attributes:
        descriptor: the shell socket's, readable when there may be something to read.
        follower: the channel thread's part. queue: what waits for the main thread.
    """

    def __init__(self, kernel: SnakeKernel, selector: LaneSelector) -> None:
        self._kernel = kernel
        self._selector = selector
        self._stream = kernel.shell_stream
        self._socket: zmq.Socket[bytes] = self._stream.socket
        self._polled = [(self._socket, _POLLIN)]
        self.descriptor = int(self._socket.getsockopt(zmq.FD))
        self._loop: asyncio.AbstractEventLoop = kernel.io_loop.asyncio_loop
        self._channel: asyncio.AbstractEventLoop = kernel.shell_channel_thread.io_loop.asyncio_loop
        self._manager = kernel.shell_channel_thread.manager
        self._main = threading.get_ident()
        self._baton = threading.Lock()
        self.follower = Follower(self.descriptor, self._channel, self.read)
        self.queue = MainQueue(kernel, self._loop, reply=self.reply, busy=self.follower.watch, wake=self.wake)
        self._forwarding: set[asyncio.Task[None]] = set()

    # -- taking over and giving back -----------------------------------------------------------------

    def start(self) -> None:
        """Take the shell socket over from ipykernel's stream, whose reading has not begun."""
        manager = self._manager
        # For subshells this stays as it is.
        manager.set_on_recv_callback(self._kernel.shell_main)
        # What GUI event loops watch; it brings nothing but wake-ups now.
        self._wake_gui = manager.get_shell_channel_to_subshell_pair(None)
        self._wake_gui.on_recv(self._kernel.io_loop, lambda msg: self._loop.call_soon(self.queue.consume))
        flush = self._wake_gui.to_stream.flush
        # They ask so whether to give way. What was begun, or waits, must not wait for the next message.
        self._wake_gui.to_stream.flush = lambda *args, **options: bool(flush(*args, **options) or self.queue)
        find_entry = manager.get_shell_channel_to_subshell_socket
        find_exit = manager.get_subshell_to_shell_channel_socket
        entry, exit_ = _Entry(self), self

        def to_subshell(subshell_id: str | None) -> Any:
            return entry if subshell_id is None else find_entry(subshell_id)

        def from_subshell(subshell_id: str | None) -> Any:
            if subshell_id is not None:
                find_exit(subshell_id)  # raises for an unknown one
            return exit_

        manager.get_shell_channel_to_subshell_socket = to_subshell
        manager.get_subshell_to_shell_channel_socket = from_subshell
        self._stream.send_multipart = self.send_multipart
        threads.on_loop(self._channel, self._join, timeout=60)
        self._loop.add_reader(self.descriptor, self.queue.consume)
        self._selector.lane = self
        # The stream may have consumed the edge of what came before.
        self.read()

    def _join(self) -> None:
        """On the channel thread: the stream stops watching the socket, the follower begins."""
        self._stream.io_loop.remove_handler(self._socket)
        self.follower.join()

    @property
    def is_forked(self) -> bool:
        """Whether this is a child that user code forked: what it would let go of is the parent's too."""
        return self._kernel.is_forked

    def stop(self) -> None:
        """Read no more. Sending goes on until the socket is closed. Idempotent."""
        if self._selector.lane is self and not self.is_forked:
            self._selector.lane = None
            if not self._loop.is_closed():
                self._loop.remove_reader(self.descriptor)
            try:
                threads.on_loop(self._channel, self.follower.leave, timeout=1)
            except (RuntimeError, TimeoutError):
                # That thread's loop has ended before, or is about to.
                pass
            self.follower.close()

    # -- the leader and the follower -----------------------------------------------------------------

    def lead(self) -> None:
        """In the main thread's wait: read; the loop's callback for the descriptor serves what came."""
        if self._kernel.interrupts.after(self._lead) and self._kernel.eventloop is not None:
            # A GUI's loop may be entered before that callback's turn.
            self.wake()

    def _lead(self) -> bool:
        with self._baton:
            return self._read()

    def read(self) -> None:
        """On any thread: read and route all that has come."""
        if self._lead():
            self.wake()

    def _read(self) -> bool:
        """Read and route while there is something; the caller holds the baton. Tells if some is ours."""
        socket, came = self._socket, False
        # Cheaper than the socket's events, which pyzmq looks up by an enum.
        while zmq_poll(self._polled, 0):
            came |= self._route(*_received(socket))
        return came

    def _route(self, msg: list[Any], at: int) -> bool:
        try:
            incoming = split(msg, at)
        except BadFrame as error:
            self._kernel.dropped(error)
            return False
        if incoming is not None and incoming.subshell_id is None:
            self.queue.put(incoming)
            return True
        # ipykernel knows frames only.
        msg = [part if isinstance(part, zmq.Frame) else zmq.Frame(part) for part in msg]
        slot = Place(is_comm=len(msg) > at + 2 and _is_comm(msg[at + 2].bytes))
        self.queue.put(slot)
        try:
            self._channel.call_soon_threadsafe(self._forward, slot, msg)
        except RuntimeError:
            # That thread's loop is closed: the kernel ends, and stock would not serve this either.
            slot.fill(None)
        return False

    def _forward(self, slot: Place, msg: list[Any]) -> None:
        """On the channel thread: have ipykernel route a message."""
        task = self._channel.create_task(self._routed(slot, msg))
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    async def _routed(self, slot: Place, msg: list[Any]) -> None:
        _slot.set(slot)
        try:
            await self._kernel.shell_channel_thread_main(msg)
        finally:
            if not slot.routed:
                # It was for a subshell, or for nobody.
                slot.fill(None)
                self.wake()

    def enter(self, msg: list[Any]) -> None:
        """On any thread: a stock message is for the main thread."""
        slot = _slot.get(None)
        if slot is None or slot.routed:
            # ipykernel's own, made here: the end of aborting.
            slot = Place()
            self.queue.put(slot)
        slot.fill(msg)
        self.wake()

    def wake(self) -> None:
        """On any thread: the main thread has something to do."""
        if self._kernel.eventloop is not None:
            # A GUI's loop has the main thread and watches this pair alone.
            with self._baton:
                try:
                    self._wake_gui.from_socket.send(b"", zmq.DONTWAIT)
                except zmq.ZMQError:
                    # Full: it has wake-ups to read. Or closed: the kernel ends.
                    pass
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.queue.consume)

    # -- sending -------------------------------------------------------------------------------------

    def send_multipart(
        self, parts: Any, flags: int = 0, copy: bool = True, track: bool = False, **_: Any
    ) -> Any:
        """On any thread: send a message of ipykernel's; its streams and sockets are used so."""
        return self._kernel.interrupts.after(self._send, parts, copy, track)

    def _send(self, parts: Any, copy: bool = True, track: bool = False) -> Any:
        socket = self._socket
        with self._baton:
            # Each by itself: send_multipart looks at every part first, which costs as much again.
            for part in parts[:-1]:
                _send(socket, part, _SNDMORE, copy, track)
            sent = _send(socket, parts[-1], 0, copy, track)
            came = self._read()
        # Where this thread serves the queue it goes on with it after this.
        if came and not (self.queue.is_serving and threading.get_ident() == self._main):
            self.wake()
        return sent

    def reply(self, frames: list[Any]) -> None:
        """Send the reply of a request that the lane serves; its interrupts raise nothing here."""
        if self.queue.is_serving:
            # The next request most often follows the reply at once, and the leader is as good as waiting.
            self.follower.rest()
        self._send(frames)


class _Entry:
    """Where ipykernel puts messages for the main thread."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def send_multipart(self, msg: list[Any], **_: Any) -> None:
        self._lane.enter(msg)

    def send(self, data: bytes, **_: Any) -> None:
        self._lane.enter([zmq.Frame(data)])
