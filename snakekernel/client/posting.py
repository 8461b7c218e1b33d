"""How the async client sends requests, and what becomes of their replies.

Rules: used on the client's loop only. A reply that nobody awaits any more has its request stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from ..errors import KernelLost, ReplyTimeout
from .future import read_reply
from .hearing import Outputs, heard, welcomed
from .link import Link
from .message import Message, Received, Slot
from .payload import Finish
from .shield import Shield
from .unwanted import unwanted


class Post:
    """Sends for a client and all its views.

    The first request of a turn of the loop goes at once, those that follow in the same turn go together.
    """

    def __init__(self, link: Link, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._loop = loop
        self._descriptors: list[int] = []
        for descriptor in link.descriptors():
            self._read_when_ready(descriptor)
        self._sent_in_this_turn = False
        #: Of the requests that futures of ``submit`` stand for.
        self.numbers: WeakKeyDictionary[asyncio.Future[Any], int] = WeakKeyDictionary()

    def send(self, message: Message) -> asyncio.Future[Received]:
        """A future of the reply; raises KernelLost where it cannot be sent."""
        future: asyncio.Future[Received] = self._loop.create_future()
        self.give(message, partial(settle, future))
        return future

    def give(self, message: Message, slot: Slot) -> None:
        """As ``send``, with a slot that gets the reply."""
        if self._sent_in_this_turn:
            self._link.send_later(message, slot)
            return
        with Shield():
            self._link.send(message, slot)
        self._sent_in_this_turn = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._sent_in_this_turn = False
        self._link.flush()

    def listen(self, outputs: Outputs, number: int, ready: asyncio.Future[Received]) -> bool:
        """Have a request's output heard, from before it is sent; see ``Listening.add``."""
        link = self._link
        with Shield(), link.lock:
            if link.listening is None:
                self._read_when_ready(link.listen().door.descriptor)
            return outputs.listen(link.listen(), number, partial(settle, ready))

    def _read_when_ready(self, descriptor: int) -> None:
        self._descriptors.append(descriptor)
        self._loop.add_reader(descriptor, self._read, descriptor)

    def _read(self, descriptor: int) -> None:
        with Shield():
            self._link.read((descriptor,))

    def close(self) -> None:
        """Read no more. Idempotent."""
        while self._descriptors:
            self._loop.remove_reader(self._descriptors.pop())


async def give_later(
    link: Link, post: Post, message: Message, slot: Slot, ready: asyncio.Future[Received]
) -> None:
    try:
        await welcomed(link, ready)
        post.give(message, slot)
    except (KernelLost, ReplyTimeout) as error:
        # Whoever takes the next item is told.
        slot(error)


def settle(future: asyncio.Future[Received], came: Received | BaseException) -> None:
    if future.done():
        return
    if isinstance(came, BaseException):
        future.set_exception(came)
        # Read here, so that a reply nobody awaits any more is no warning at exit.
        future.exception()
    else:
        future.set_result(came)


async def finished(
    link: Link, number: int, op: str, reply: asyncio.Future[Received], finish: Finish, timeout: float | None
) -> Any:
    try:
        if timeout is None:
            received = await reply
        else:
            async with asyncio.timeout(timeout):
                received = await reply
    except TimeoutError:
        unwanted(link, number)
        raise ReplyTimeout(f"No reply to {op!r} within {timeout} s; it was asked to stop.") from None
    except asyncio.CancelledError:
        unwanted(link, number)
        raise
    return result_of(link, received, finish)


def listened(
    link: Link,
    post: Post,
    message: Message,
    op: str,
    finish: Finish,
    outputs: Outputs,
    timeout: float | None,
) -> Coroutine[Any, Any, Any]:
    """The result of a request whose output is heard; it is sent at once where that can be.

    So requests go out in the order they were made.
    """
    ready: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
    reply = post.send(message) if post.listen(outputs, message.number, ready) else None

    async def begin() -> asyncio.Future[Received]:
        if reply is not None:
            return reply
        await welcomed(link, ready)
        return post.send(message)

    async def result() -> Any:
        received = await heard(link, message.number, op, begin, outputs, timeout)
        return result_of(link, received, finish)

    return result()


def result_of(link: Link, received: Received, finish: Finish) -> Any:
    content = read_reply(received)
    link.learn(content, received.generation)
    return finish(content, received.buffers)
