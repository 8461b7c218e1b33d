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
from collections.abc import AsyncIterator
from concurrent.futures import Future

from ..errors import KernelLost, ReplyTimeout, SnakeError, WorkerLost
from .connection import Connection
from .websocket_address import Address
from .websocket_life import Life
from .websocket_server import Server
from .websocket_sockets import Place

#: Seconds before a lost websocket is opened again: the first time, and at most.
_AGAIN, _AT_MOST = 0.1, 5.0
#: Seconds for which whoever closes a client waits until a kernel that it started has ended, and one that was
#: never connected for a kernel that the server may start yet; the thread goes on.
_ENDING, _GIVEN_UP = 30.0, 1.0


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
        #: What a loss is: that of a pool's session, or of any other kernel.
        self.loss: type[KernelLost] = KernelLost if address.session is None else WorkerLost
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
            patience = self._patience()
            self.end()
            self._thread.join(patience)

    async def aclose(self) -> None:
        """As ``close``, for an event loop."""
        if os.getpid() == self._pid:
            patience = self._patience()
            self.end()
            await asyncio.wait([asyncio.wrap_future(self.closed)], timeout=patience)
            if self.closed.done():
                self._thread.join(1)

    def _patience(self) -> float:
        is_connected = self.opened.done() and self.opened.exception() is None
        return _ENDING if is_connected else _GIVEN_UP

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
            # Where there is none, nothing is waited for when the client is closed.
            await server.find()
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
                await Life(self.connection, server, kernel_id, self._is_open, self._lost).live()
                pause = _AGAIN
            except (KernelLost, TimeoutError) as error:
                if not self.opened.done():
                    raise
                self._why = str(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _AT_MOST)

    def _is_open(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def _lost(self, why: str) -> None:
        self._why = why


#: Those whose thread runs, to be ended before Python exits: a daemon thread would leave a kernel behind.
_open: set[Bridge] = set()


@atexit.register
def _close_all() -> None:
    bridges = list(_open)
    for bridge in bridges:
        bridge.end()
    for bridge in bridges:
        bridge._thread.join(_ENDING)
