"""A kernel behind a Jupyter Server, made reachable for an ordinary link: the bridge.

Rules: one thread of its own for each client, which holds the websocket and gives its messages to zmq sockets
of this process and theirs to it, as they are. When the websocket is lost, or the kernel's process is another,
those sockets go, which ends all waits with KernelLost; they come back with the websocket. The thread knows
nothing of the client, so a client that nobody holds any more ends it. A forked child has no bridge.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from typing import Any, Final

import msgspec
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError

from ..errors import KernelLost, ReplyTimeout, SnakeError
from ..wire.frame import BadFrame, Headers, unpack_header
from ..wire.names import request_type
from .connection import Connection
from .websocket_address import Address
from .websocket_frames import SIGNED, pack_message, unpack_message
from .websocket_pulse import Pulse
from .websocket_server import Server
from .websocket_sockets import Place, Sockets

#: Seconds before a lost websocket is opened again: the first time, and at most.
_AGAIN, _AT_MOST = 0.1, 5.0
#: Seconds for which whoever closes a client waits until a kernel that it started has ended.
_ENDING: Final = 30.0
#: Bytes of one message from which the next waits until it has left.
_MUCH: Final = 1 << 20
#: States that the server or a kernel tells of on iopub, where the process is another or gone.
_OVER: Final = frozenset({"restarting", "dead", "starting"})
_TOO_BIG: Final = 1009


class _Told(msgspec.Struct):
    """What is read of iopub messages and of replies to our own pings."""

    execution_state: str | None = None
    epoch: str | None = None


class Bridge:
    """The way to one remote kernel.

    Attributes:
        connection: for the link. opened: done when the link may connect, or has the reason why it cannot.
        closed: done when all is over.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pid = os.getpid()
        self._server = address.base
        self.opened: Future[None] = Future()
        self.closed: Future[None] = Future()
        self._place = Place(address.kernel(address.kernel_id) if address.kernel_id else address.base)
        self.connection: Connection = self._place.connection
        self._why = "The client is not connected yet."
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        # A finalizer may ask for the end anywhere, also in the midst of this lock's use.
        self._lock = threading.RLock()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="snakekernel-websocket", daemon=True)
        _open.add(self)
        self._thread.start()

    def why(self) -> str:
        """Why the connection was lost last."""
        return self._why

    def wait_until_open(self, timeout: float) -> None:
        """Block until the link may connect; raises ReplyTimeout, or why it cannot."""
        try:
            self.opened.result(timeout)
        except TimeoutError as error:
            raise self._late(timeout) if not self.opened.done() else error from None

    async def open(self, timeout: float) -> None:
        """As ``wait_until_open``, for an event loop."""
        waiting = asyncio.shield(asyncio.wrap_future(self.opened))
        try:
            await asyncio.wait_for(waiting, timeout)
        except TimeoutError as error:
            raise self._late(timeout) if not self.opened.done() else error from None

    def _late(self, timeout: float) -> ReplyTimeout:
        return ReplyTimeout(f"The server at {self._server} gave no kernel within {timeout} s.")

    def end(self) -> None:
        """Ask the thread to end; waits for nothing. Idempotent, and nothing in a forked child."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._is_closing = True
            if self._loop is not None and self._ending is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._ending.set)

    def close(self) -> None:
        """End the thread, and a kernel that was started for this client; waits for both. Idempotent."""
        if os.getpid() == self._pid:
            self.end()
            self._thread.join(_ENDING)

    async def aclose(self) -> None:
        """As ``close``, for an event loop."""
        if os.getpid() == self._pid:
            self.end()
            await asyncio.wait([asyncio.wrap_future(self.closed)], timeout=_ENDING)
            self._thread.join(1)

    # -- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            # The one loop of all platforms that can watch zmq's descriptors.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # the opener is told, whatever it is
            self._fail(error)
        finally:
            with self._lock:
                self._loop = None
            self._place.remove()
            _open.discard(self)
            self.closed.set_result(None)

    def _fail(self, error: BaseException) -> None:
        self._why = str(error)
        if not self.opened.done():
            self.opened.set_exception(error)

    async def _serve(self) -> None:
        with self._lock:
            self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
            if self._is_closing:
                self._ending.set()
        work = asyncio.create_task(self._work())
        ending = asyncio.create_task(self._ending.wait())
        await asyncio.wait([work, ending], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            # Nothing is to be had any more; the reason is told until the client is closed.
            self._fail(work.exception() or KernelLost(self._why))
            await ending
        work.cancel()
        await asyncio.wait([work])
        self._fail(KernelLost("This client was closed."))

    async def _work(self) -> None:
        server = Server(self._address)
        try:
            async with self._kernel(server) as kernel_id:
                await self._stay(server, kernel_id)
        finally:
            server.close()

    @contextlib.asynccontextmanager
    async def _kernel(self, server: Server) -> AsyncIterator[str]:
        """The kernel's id; one that was started for us ends with the block."""
        address = self._address
        if address.kernel_id is not None:
            await server.check_kernel(address.kernel_id)
            yield address.kernel_id
        elif address.session is not None:
            yield await server.open_session()
        else:
            starting = asyncio.ensure_future(server.start_kernel())
            try:
                yield await asyncio.shield(starting)
            finally:
                # A kernel whose id has not come yet would be left for ever.
                with contextlib.suppress(SnakeError, FileNotFoundError):
                    await server.end_kernel(await starting)

    async def _stay(self, server: Server, kernel_id: str) -> None:
        """Keep the websocket open, until the kernel is gone for good."""
        pause = _AGAIN
        while True:
            try:
                await _Life(self, server, kernel_id).live()
                pause = _AGAIN
            except (KernelLost, TimeoutError) as error:
                if not self.opened.done():
                    raise
                self._why = str(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _AT_MOST)

    def lost(self, why: str) -> None:
        """Take note of why the connection is lost, before the link sees that it is."""
        self._why = why


class _Life:
    """One websocket, and the sockets that are there as long as it is."""

    def __init__(self, bridge: Bridge, server: Server, kernel_id: str) -> None:
        self._bridge = bridge
        self._server = server
        self._kernel_id = kernel_id
        self._shown = bridge.connection.shown
        self._headers = Headers(os.urandom(16).hex(), "snakekernel")
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._channels: WebSocketClientConnection | None = None
        self._sockets: Sockets | None = None
        self._epoch: str | None = None
        #: Topics that the link is to be welcomed to, once the server is known to listen.
        self._topics: list[bytes] = []
        self._is_heard = False

    async def live(self) -> None:
        """Open it, and return when it is lost."""
        self._channels = channels = await self._server.open_channels(self._kernel_id, self._heard)
        try:
            self._sockets = Sockets(self._bridge.connection, self._send, self._subscribed)
            if not self._bridge.opened.done():
                self._bridge.opened.set_result(None)
            pulse = asyncio.create_task(Pulse(channels, self._ping, self._end).beat())
            try:
                await self._over
            finally:
                pulse.cancel()
                await asyncio.wait([pulse])
        finally:
            if self._sockets is not None:
                self._sockets.close()
            channels.close()

    def _end(self, why: str) -> None:
        if not self._over.done():
            self._bridge.lost(f"{why}: whether pending requests ran cannot be told.")
            self._over.set_result(why)

    # -- from the server ---------------------------------------------------------------------------

    def _heard(self, message: str | bytes | None) -> None:
        if message is None:
            self._end(self._reason())
            return
        if isinstance(message, str):
            # The subprotocol has none of them.
            return
        try:
            channel, parts = unpack_message(message)
            ends = self._look(channel, parts)
        except BadFrame:
            return
        if self._sockets is not None:
            self._sockets.give(channel, parts)
        if ends:
            self._end(f"The process of the kernel at {self._shown} ended")

    def _reason(self) -> str:
        code = None if self._channels is None else self._channels.close_code
        reason = None if self._channels is None else self._channels.close_reason
        if code == _TOO_BIG:
            return f"The server at {self._shown} takes no messages of that size and closed the connection"
        told = f" ({reason})" if reason else ""
        return f"The connection to {self._shown} was lost{told}"

    def _look(self, channel: str, parts: Sequence[memoryview]) -> bool:
        """Take note of what concerns the bridge itself; whether the kernel's process is over."""
        if channel == "iopub":
            header = unpack_header(bytes(parts[0])).msg_type
            if header == "shutdown_reply":
                return True
            if header != "status":
                return False
            if not self._is_heard and self._is_ours(parts):
                self._is_heard = True
                self._welcome()
            return _told(parts).execution_state in _OVER
        if channel == "control" and self._is_ours(parts):
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


#: Those whose thread runs, to be ended before Python exits: a daemon thread would leave a kernel behind.
_open: set[Bridge] = set()


@atexit.register
def _close_all() -> None:
    bridges = list(_open)
    for bridge in bridges:
        bridge.end()
    for bridge in bridges:
        bridge.close()
