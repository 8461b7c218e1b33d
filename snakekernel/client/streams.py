"""Iterating what runs in the kernel: its items come one by one, in order, no further ahead than the credit.

Rules: what comes is only noted, under the link's lock, and decoded by whoever takes it. The kernel holds a
stream for this client while the keeper renews its lease. A stream that nobody refers to any more is closed by
its finalizer, which may have broken into anything: so nothing of the connection refers to the stream itself.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from ..errors import KernelLost, ReplyTimeout, SnakeError
from ..wire.frame import check_buffers, pack_json, unpack_object
from ..wire.names import request_type
from .events import events_of
from .feed import Feed
from .future import Future, read_reply
from .hearing import PATIENCE, Outputs, send_heard, stop_hearing
from .keeper import LEASE, Keeper
from .lanes import Lane
from .link import Link
from .message import Message, Received
from .payload import whole
from .requests import Requests
from .unwanted import stop

if TYPE_CHECKING:
    from .waiting import Turns

#: Sends a message; the slot gets its reply.
Send = Callable[[Message, Callable[[Received | BaseException], None]], object]
_NOTHING: Final = object()


class Chunk(NamedTuple):
    """Items that were pulled of a stored iterator.

    done: it has no more. failure: what it raised after these items, or None.
    """

    items: list[Any]
    done: bool
    failure: SnakeError | None


class _Reader:
    """One stream as its reader sees it: what both clients' have in common."""

    def __init__(
        self,
        owner: Requests,
        send: Send,
        message: Message,
        lane: Lane | None,
        credit: int,
        timeout: float | None,
        outputs: Outputs | None = None,
        begin: Send | None = None,
    ) -> None:
        self._is_over = True
        self._owner = owner
        self._link: Link = owner._link
        self._keeper: Keeper = owner._keeper
        self._send = send
        self._timeout = timeout
        self._credit = credit
        #: Items taken that the kernel was not told of.
        self._taken = 0
        self._number = message.number
        self._id: str = self._link.id_of(message.number)
        events = events_of(self._link)
        self._feed = Feed(events, message.number, self._keeper, lane, outputs)
        if lane is not None:
            lane.carry(message.number)
        events.streams[message.number] = self._feed.take
        self._keeper.hold()
        try:
            (begin or send)(message, self._feed.finish)
        except BaseException as error:
            self._feed.finish(error)
            raise
        self._is_over = False

    @property
    def msg_id(self) -> str:
        """The id of its request, by which ``cancel`` stops the producer wherever it is."""
        return self._id

    @property
    def closed(self) -> bool:
        """Whether it has ended, by itself or by ``close``; no more items come."""
        return self._is_over

    def _next(self) -> Any:
        """An item that is there, else _NOTHING; raises what the stream ended with, or StopIteration."""
        feed = self._feed
        # Asked first: all items come before it.
        end = feed.end
        try:
            received = feed.items.popleft()
        except IndexError:
            if end is None and not self._is_over:
                return _NOTHING
            was_over, self._is_over = self._is_over, True
            if was_over or end is None:
                raise StopIteration from None
            self._end(end)
            raise StopIteration from None
        self._taken += 1
        if self._taken * 2 >= self._credit and end is None:
            granted, self._taken = self._taken, 0
            self._tell({"credit": granted})
        if received.metadata != b"{}":
            check_buffers(unpack_object(received.metadata), received.buffers, required=False)
        content = unpack_object(received.content)
        return self._owner._result(content["item"], received.buffers, None)

    def _end(self, end: Received | BaseException) -> None:
        if isinstance(end, BaseException):
            raise end
        content = read_reply(end)
        self._link.learn(content, end.generation)

    def _deafen(self) -> None:
        """What the producer puts out from here on is not waited for."""
        outputs, self._feed.outputs = self._feed.outputs, None
        if outputs is not None:
            stop_hearing(self._link, self._number)
            outputs.end()

    def _tell(self, fields: dict[str, Any]) -> None:
        content = pack_json({"msg_id": self._id, "lease": LEASE, **fields})
        with suppress(KernelLost):
            # Whoever takes the next item is told.
            self._send(self._link.message(request_type("credit"), content, channel="control"), _ignore)

    def _give_up(self) -> bool:
        """Take no more and tell the kernel; whether it still has to answer."""
        if self._is_over:
            return False
        self._is_over = True
        self._deafen()
        self._feed.abandon()
        if self._feed.end is not None:
            return False
        self._tell({"close": True})
        return True

    @contextmanager
    def _stopped_by_errors(self) -> Iterator[None]:
        """What a function that listens raises ends the stream: its producer is cancelled."""
        try:
            yield
        except Exception:
            if self._give_up():
                stop(self._link, self._number)
            raise

    def __del__(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._feed.abandon()
            if self._feed.end is None:
                content = pack_json({"msg_id": self._id, "close": True})
                self._keeper.say("credit", content)

    def __repr__(self) -> str:
        state = "closed" if self._is_over else "open"
        return f"<snakekernel {type(self).__name__}, {state}>"


def _ignore(answer: Received | BaseException) -> None:
    """A slot for replies that tell nothing."""


class Stream(_Reader):
    """An iterator over what a call in the kernel gives, item by item; made by ``Client.stream``.

    Leaving the loop early closes it, and so does the end of its ``with`` block. Threads may share one: each
    item goes to one of them.
    """

    def __init__(
        self,
        owner: Requests,
        turns: Turns,
        message: Message,
        lane: Lane | None,
        credit: int,
        timeout: float | None,
        outputs: Outputs | None = None,
    ) -> None:
        self._turns = turns
        self._lock = threading.RLock()
        begin = None if outputs is None else partial(send_heard, turns, outputs)
        super().__init__(owner, turns.send, message, lane, credit, timeout, outputs, begin)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """The next item.

        Raises:
            ReplyTimeout: none came in time; it can be asked for again. KernelLost: the kernel ended.
            SnakeError: what the producer raised, in its place; the stream has ended then.
        """
        with self._lock:
            while True:
                if self._feed.outputs is not None:
                    with self._stopped_by_errors():
                        self._hand_over(self._feed.outputs)
                item = self._next()
                if item is not _NOTHING:
                    return item
                if self._link.unread:
                    self._turns.look()
                if not self._feed.has_come and not self._wait(self._timeout):
                    raise ReplyTimeout(f"No item came within {self._timeout} s; the stream goes on.")

    def _hand_over(self, outputs: Outputs) -> None:
        """Call who listens for all that has come, and at the end for what is still to come."""
        while True:
            for call in outputs.calls():
                call()
            if self._feed.misses_output and self._wait(PATIENCE):
                continue
            if self._feed.end is not None and not self._feed.items:
                self._deafen()
            return

    def _wait(self, timeout: float | None) -> bool:
        feed, arrival = self._feed, Future(self._turns, "stream", whole, self._number)
        feed.waiting.append(arrival._receive)
        try:
            return (feed.has_come and not feed.misses_output) or self._turns.wait(arrival, timeout)
        finally:
            feed.waiting.remove(arrival._receive)

    def close(self) -> None:
        """Have the producer closed, and wait until it is: at its next ``yield``. Idempotent.

        Items that were not taken are gone, and what its clean-up may raise is not told.
        """
        if self._give_up():
            while self._feed.end is None and self._wait(self._timeout):
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class AsyncStream(_Reader):
    """As ``Stream``, for ``async for`` and ``async with``; made by ``AsyncClient.stream``."""

    #: Sends the request, where its output must be sure to be heard first.
    _sending: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """The next item; raises as ``Stream``'s does."""
        while True:
            if self._feed.outputs is not None:
                with self._stopped_by_errors():
                    await self._hand_over(self._feed.outputs)
            try:
                item = self._next()
            except StopIteration:
                raise StopAsyncIteration from None
            if item is not _NOTHING:
                return item
            try:
                async with asyncio.timeout(self._timeout):
                    await self._wait()
            except TimeoutError:
                raise ReplyTimeout(f"No item came within {self._timeout} s; the stream goes on.") from None

    async def _hand_over(self, outputs: Outputs) -> None:
        while True:
            for call in outputs.calls():
                made = call()
                if inspect.isawaitable(made):
                    await made
            if self._feed.misses_output:
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await self._wait()
                    continue
            if self._feed.end is not None and not self._feed.items:
                self._deafen()
            return

    async def _wait(self) -> None:
        feed, arrival = self._feed, asyncio.get_running_loop().create_future()

        def wake(came: Received | BaseException) -> None:
            if not arrival.done():
                arrival.set_result(None)

        feed.waiting.append(wake)
        try:
            if not feed.has_come or feed.misses_output:
                await arrival
        finally:
            feed.waiting.remove(wake)

    async def aclose(self) -> None:
        """As ``Stream.close``."""
        if self._sending is not None:
            # The kernel cannot close what it does not know yet.
            await asyncio.wait([self._sending])
        if self._give_up():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    while self._feed.end is None:
                        await self._wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
