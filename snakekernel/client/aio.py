"""The async client: the blocking one's operations, each as an awaitable.

Rules: it belongs to the event loop it was opened on; any number of tasks of that loop may share it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from os import PathLike
from typing import IO, TYPE_CHECKING, Any

from ..errors import KernelLost, ReplyTimeout
from ..memory.exchange import FROM_BYTES
from ..wire.names import request_type
from .batch import AsyncBatch
from .calls_back_async import LoopFunctions
from .client import CONTROL_TIMEOUT
from .connection import find
from .future import read_reply
from .greeting import ASK_AFTER, check_identity, check_kernel_info, not_started, patience
from .hanging import AsyncHanging, OnHang
from .hearing import Outputs, stop_hearing
from .keeper import LoopKeeper
from .lanes import Spare
from .launch import Launch
from .link import Link
from .message import Channel, Message, Received, Slot
from .parallel import AsyncParallel
from .payload import Finish
from .posting import Post, finished, give_later, listened
from .record import AsyncRecord
from .streams import AsyncStream
from .unwanted import unwanted
from .watch import LoopWatch
from .websocket_link import bridge_to, bridged

if TYPE_CHECKING:
    from .websocket import Bridge


class AsyncClient(AsyncHanging, AsyncParallel):
    """An asyncio client of one kernel: ``async with AsyncClient.start() as snake: await snake.call(…)``."""

    _is_async = True
    _overlaps = True

    def __init__(self, open: Callable[[AsyncClient], Awaitable[None]]) -> None:
        self._open = open
        self._link: Link | None = None
        self._launch: Launch | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._post: Post | None = None
        self._watch: LoopWatch | None = None
        self._spare = Spare()
        self._bridge: Bridge | None = None

    # -- opening and closing -----------------------------------------------------------------------

    @classmethod
    def start(
        cls,
        kernel_name: str | None = None,
        *,
        transport: str | None = None,
        timeout: float = 60.0,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
        output: int | IO[Any] | None = None,
        shared_memory: int | None = FROM_BYTES,
        on_hang: OnHang = "tell",
        sandbox: bool | Mapping[str, Any] = False,
        durable: str | PathLike[str] | None = None,
        restore: bool = False,
        **manager_options: Any,
    ) -> AsyncClient:
        """As ``Client.start``; the kernel starts when the client is entered or awaited."""

        async def open(client: AsyncClient) -> None:
            launch = client._launch = Launch(
                kernel_name,
                transport,
                asynchronous=True,
                sandbox=sandbox,
                manager_options=manager_options,
            )
            await launch.manager.start_kernel(**launch.process_options(env, cwd, output, durable, restore))
            link = Link(find(launch.manager), shared_memory)
            client._attach(link)
            client._watch = LoopWatch(launch.manager, link, launch.stderr)
            client._on_hang = on_hang
            try:
                await client._greet(timeout, launch.manager.is_alive)
            except KernelLost as error:
                raise not_started(error) from None

        return cls(open)

    @classmethod
    def connect(
        cls,
        where: Any,
        *,
        timeout: float | None = None,
        shared_memory: int | None = FROM_BYTES,
        **server_options: Any,
    ) -> AsyncClient:
        """As ``Client.connect``; it connects when it is entered or awaited."""

        async def alive() -> bool:
            return True

        async def open(client: AsyncClient) -> None:
            bridge = client._bridge = bridge_to(where, **server_options)
            seconds = patience(timeout, bridge)
            if bridge is not None:
                await bridge.open(seconds)
            client._attach(Link(find(where), shared_memory) if bridge is None else bridged(bridge))
            await client._greet(seconds, alive)

        return cls(open)

    def _attach(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._post = Post(link, self._loop)
        self._keeper = LoopKeeper(link, self._loop, self._post.send)
        self._functions = link.functions = LoopFunctions(self, link, self._loop)

    async def _greet(self, timeout: float, is_alive: Callable[[], Awaitable[bool]]) -> None:
        assert self._loop is not None
        deadline = self._loop.time() + timeout
        reply = self._on_control(request_type("ping"))
        asked: asyncio.Future[Received] | None = None
        while True:
            left = deadline - self._loop.time()
            await asyncio.wait([reply], timeout=min(ASK_AFTER, max(left, 0)))
            if reply.done():
                received = reply.result()
                pong = read_reply(received)
                check_identity(pong)
                if self._link is not None:
                    self._link.learn(pong, received.generation)
                return
            if asked is not None and asked.done():
                check_kernel_info(read_reply(asked.result()))
            if not await is_alive():
                assert self._link is not None
                raise self._link.lost()
            if left <= 0:
                raise ReplyTimeout(f"No kernel answers within {timeout} s.")
            if asked is None:
                asked = self._on_control("kernel_info_request")

    async def _enter(self) -> AsyncClient:
        if self._link is not None:
            # ``async with await AsyncClient.start()``: it is open already.
            return self
        try:
            await self._open(self)
            return self
        except BaseException:
            # Whatever stops us, a cancellation included, no kernel is left behind.
            await self.close()
            raise

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self._enter().__await__()

    async def __aenter__(self) -> AsyncClient:
        return await self._enter()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection, and shut down a kernel that this client started. Idempotent."""
        try:
            if self._launch is None and self._link is not None:
                await self._close_spare()
        finally:
            await self._close()

    async def _close(self) -> None:
        link, self._link = self._link, None
        if link is not None and self._post is not None:
            self._post.close()
            self._keeper.close()
            link.close()
            self._functions.close()
        if self._watch is not None:
            self._watch.end()
        launch, self._launch = self._launch, None
        if launch is not None and launch.is_ours:
            # Shielded: whoever cancels the closing must not leave the kernel half shut down.
            await asyncio.shield(launch.aend())
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            await asyncio.shield(bridge.aclose())

    @property
    def manager(self) -> Any:
        """The kernel manager of a kernel that this client started, or None."""
        return None if self._launch is None else self._launch.manager

    @property
    def connection_file(self) -> str | None:
        """Path of the connection file of a kernel that this client started, or None."""
        return None if self._launch is None else str(self._launch.manager.connection_file)

    async def interrupt(self) -> None:
        """Interrupt what the kernel runs on its main thread."""
        if self._launch is not None:
            await self._launch.manager.interrupt_kernel()
        else:
            await asyncio.wait_for(self._on_control("interrupt_request"), CONTROL_TIMEOUT)

    @asynccontextmanager
    async def session(
        self,
        session_id: str | None = None,
        *,
        ttl: float | None = None,
        quota: Mapping[str, int] | None = None,
    ) -> AsyncIterator[AsyncClient]:
        """A view of this client in a session of its own, closed with the ``async with`` block."""
        opened: str = await self.create_session(session_id, ttl=ttl, quota=quota)
        try:
            yield self._in_session(opened)
        finally:
            try:
                await self.close_session(opened)
            except KernelLost:
                # The session went with its kernel.
                pass

    def batch(self, *, timeout: float | None = None, session_id: str | None = None) -> AsyncBatch:
        """Collect operations and send them together when the block ends.

        ``async with snake.batch() as batch: …``; steps are added without ``await``.

        Args:
            timeout: seconds to wait for all results; None waits as long as the kernel lives.
            session_id: the session whose namespace is used.
        """
        return AsyncBatch(self._in_session(session_id), timeout)

    def record(self, *, timeout: float | None = None, session_id: str | None = None) -> AsyncRecord:
        """As ``Client.record``: ``async with snake.record() as r: …``; within the block nothing is awaited.

        Args:
            timeout, session_id: as for ``batch``.
        """
        return AsyncRecord(self._in_session(session_id), timeout)

    # -- requests ----------------------------------------------------------------------------------

    def _submit(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        *,
        channel: Channel,
        timeout: float | None,
    ) -> Any:
        # Sent here, not in the coroutine, so that requests go out in the order they were made.
        if timeout is None and channel == "control":
            timeout = CONTROL_TIMEOUT
        return self._sent(op, content, buffers, finish, channel, timeout, keep=False)[1]

    def _sent(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        channel: Channel,
        timeout: float | None,
        *,
        keep: bool,
    ) -> tuple[int, Coroutine[Any, Any, Any]]:
        link, post = self._opened()
        message, lane = self._routed(op, content, buffers, channel, keep=keep)
        reply = post.send(message) if lane is None else lane.send(partial(post.send, message))
        return message.number, finished(link, message.number, op, reply, finish, timeout)

    def _begin(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        outputs: Outputs | None = None,
    ) -> asyncio.Future[Any]:
        if outputs is not None:
            return self._listened(op, content, buffers, finish, outputs, None)
        return self._cancellable(*self._sent(op, content, buffers, finish, "shell", None, keep=True))

    def _cancellable(self, number: int, finished: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        link, post = self._opened()
        future = asyncio.ensure_future(finished)
        post.numbers[future] = number
        # One that is cancelled before its first step runs nothing.
        future.add_done_callback(lambda over: unwanted(link, number) if over.cancelled() else None)
        return future

    def _streamed(
        self,
        content: bytes,
        buffers: Sequence[memoryview],
        credit: int,
        timeout: float | None,
        outputs: Outputs | None,
    ) -> AsyncStream:
        link, post = self._opened()
        message, lane = self._routed("call", content, buffers, keep=True)
        if outputs is None:
            return AsyncStream(self, post.give, message, lane, credit, timeout)
        sending: asyncio.Future[None] | None = None

        def begin(message: Message, slot: Slot) -> None:
            nonlocal sending
            ready: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
            if post.listen(outputs, message.number, ready):
                post.give(message, slot)
            else:
                sending = asyncio.ensure_future(give_later(link, post, message, slot, ready))

        stream = AsyncStream(self, post.give, message, lane, credit, timeout, outputs, begin)
        stream._sending = sending
        return stream

    def _listened(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        outputs: Outputs,
        timeout: float | None,
    ) -> asyncio.Future[Any]:
        link, post = self._opened()
        message, lane = self._routed(op, content, buffers, keep=True)

        def begin() -> asyncio.Future[Any]:
            result = listened(link, post, message, op, finish, outputs, timeout)
            future = self._cancellable(message.number, result)
            # One that is cancelled before its first step runs nothing.
            future.add_done_callback(lambda _: stop_hearing(link, message.number))
            return future

        return begin() if lane is None else lane.send(begin)

    def _number_of(self, future: Any) -> int:
        number: int | None = None
        if isinstance(future, AsyncStream) and future._link is self._link:
            number = future._number
        elif self._post is not None and isinstance(future, asyncio.Future):
            number = self._post.numbers.get(future)
        if number is None:
            raise TypeError(f"a call id, or a task or stream of this client, is needed, not {future!r}")
        return number

    def _on_control(self, msg_type: str) -> asyncio.Future[Received]:
        link, post = self._opened()
        return post.send(link.message(msg_type, b"{}", channel="control"))

    def _opened(self, *, is_checked: bool = True) -> tuple[Link, Post]:
        if self._link is None or self._post is None:
            raise KernelLost.unsent("This client is not open: enter it with `async with`, or await it.")
        if is_checked and self._watch is not None:
            self._watch.check()
        return self._link, self._post

    # -- assignment through proxies ----------------------------------------------------------------

    def _assign(self, path: tuple[Any, ...], value: Any) -> None:
        raise TypeError("an assignment cannot be awaited; use `await snake.set(…)` or `await snake.store(…)`")

    def _delete(self, path: tuple[Any, ...]) -> None:
        raise TypeError("del cannot be awaited; use `await snake.delete_stored(…)`")
