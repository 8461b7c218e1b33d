"""Results that are iterated: each item goes to the caller as a message of its own, before the one reply.

Rules: never more items than the caller granted; where it granted none the request waits as one that awaits,
so that the thread serves on. Items are described one by one, as results are. A producer that this very call
made is closed when the stream ends early, one that was there before keeps its place. An asynchronous producer
is iterated within one task, for its code may keep what belongs to a task from one item to the next.
"""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ..objects.static import type_name
from ..wire.errors import InvalidRequest, SnakeError, Unsupported
from ..wire.model import Item
from ..wire.names import ITEM
from .flow import Flow
from .scope import Scope

T = TypeVar("T")

#: Items that may be granted at once.
MOST_CREDIT: Final = 100_000
#: Stands for the next item of what has no more.
END: Final = object()


class Stream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``credit``: how many items may be under way before the caller grants more."""

    credit: Annotated[int, msgspec.Meta(ge=1, le=MOST_CREDIT)]


async def run(
    options: Stream, result: Any, scope: Scope, returns: str, *, is_made: bool, concurrent: bool
) -> tuple[int, bool]:
    """Send the items of a result; returns how many, and whether the caller closed the stream.

    Args:
        is_made: whether the request made the result, rather than found it.
        concurrent: whether the main shell serves others while this waits.

    Raises:
        InvalidRequest: it cannot be iterated. SnakeError: the producer raised, or an item cannot be sent;
        ``reply`` then says how many ``items`` were.
    """
    if scope.requester is None:
        raise Unsupported("Items cannot be sent by this way.", at="$.stream")
    key, held = (scope.sender, scope.writer), ("stream", scope.writer)
    flow = scope.runtime.flows.begin(key, options.credit)
    scope.hold(held, flow.lose)
    sender = _Sender(flow, scope, returns, concurrent)
    try:
        if has_method(result, "__aiter__"):
            await _send_async(result, sender, is_made)
        elif has_method(result, "__iter__") or has_method(result, "__getitem__"):
            await _send_sync(result, sender, is_made)
        else:
            raise InvalidRequest(f"A {type_name(result)} cannot be iterated.", at="$.stream")
    except SnakeError as error:
        error.reply = {**error.reply, "items": flow.sent}
        raise
    finally:
        scope.runtime.flows.end(key)
        scope.runtime.leases.drop(scope.sender, held)
        scope.buffers = []
    return flow.sent, flow.is_closed


def has_method(obj: Any, method: str) -> bool:
    """Whether an object's class has a method; runs none of its code."""
    return any(method in vars(cls) for cls in type.__getattribute__(type(obj), "__mro__"))


class _Sender:
    """Sends the items of one stream."""

    __slots__ = ("_concurrent", "_has_contexts", "_returns", "flow", "scope")

    def __init__(self, flow: Flow, scope: Scope, returns: str, concurrent: bool) -> None:
        self.flow = flow
        self.scope = scope
        self._returns = returns
        self._concurrent = concurrent
        self._has_contexts = scope.session is not None and bool(scope.session.frameworks)

    def invoke(self, function: Callable[..., T], *args: Any) -> T:
        """Run a piece of the producer in the session's contexts, which no other request is to see."""
        if not self._has_contexts:
            return self.scope.invoke(function, args)
        with self.scope.session_contexts():
            return self.scope.invoke(function, args)

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Let others run until something has come."""
        return await self.scope.wait(awaitable, concurrent=self._concurrent)

    def send(self, item: Any) -> None:
        """Describe an item and send it; raises SnakeError where it cannot be described."""
        scope, flow = self.scope, self.flow
        scope.buffers = []
        message = Item(seq=flow.sent, item=scope.result(item, self._returns))
        assert scope.requester is not None
        scope.requester.send(ITEM, message, scope.buffers)
        flow.sent += 1


async def _send_sync(iterable: Any, sender: _Sender, is_made: bool) -> None:
    flow, invoke = sender.flow, sender.invoke
    # Asked before its first step: a generator that runs was somebody's before.
    is_made = is_made and _is_fresh(iterable)
    iterator = invoke(iter, iterable)
    closes = (is_made or iterator is not iterable) and has_method(iterator, "close")
    try:
        while True:
            if not flow.may_go_on:
                await sender.wait(flow.ready())
            if flow.is_closed:
                break
            item = invoke(next, iterator, END)
            if item is END:
                return
            if flow.is_closed:
                break
            sender.send(item)
            # Not kept while the next is made.
            del item
    except BaseException:
        if closes:
            # What the stream ended with is told, not what its clean-up adds.
            with suppress(SnakeError):
                invoke(_close, iterator)
        raise
    if closes:
        invoke(_close, iterator)


def _close(iterator: Any) -> None:
    iterator.close()


async def _send_async(source: Any, sender: _Sender, is_made: bool) -> None:
    failure = await sender.wait(_Pump(sender, is_made and _is_fresh(source)).run(source))
    if failure is not None:
        raise failure


class _Pump:
    """Iterates an asynchronous producer, within the one task that awaits ``run``."""

    __slots__ = ("_asks", "_is_made", "_sender", "_struck")

    def __init__(self, sender: _Sender, is_made: bool) -> None:
        self._sender = sender
        self._is_made = is_made
        #: Whether the task waits for the producer; nothing else of it is broken off when the reader closes.
        self._asks = False
        self._struck = False

    async def run(self, source: Any) -> SnakeError | None:
        """Send its items; returns why one cannot be sent. What the producer raises is raised."""
        with self._sender.scope.session_contexts():
            return await self._run(source)

    async def _run(self, source: Any) -> SnakeError | None:
        flow = self._sender.flow
        iterator = aiter(source)
        self._is_made = self._is_made or iterator is not source
        closes = self._is_made and has_method(iterator, "aclose")
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        flow.on_close = partial(self._strike_soon, loop, task)
        failure = None
        try:
            while failure is None:
                if not flow.may_go_on:
                    await flow.ready()
                if flow.is_closed:
                    break
                item = await self._next(iterator, task)
                if item is END:
                    return None
                if flow.is_closed:
                    break
                failure = self._sent(item)
                del item
        except BaseException:
            if closes:
                with suppress(Exception):
                    await iterator.aclose()
            raise
        if closes:
            await iterator.aclose()
        return failure

    async def _next(self, iterator: Any, task: asyncio.Task[Any]) -> Any:
        self._asks = True
        try:
            return await anext(iterator, END)
        except asyncio.CancelledError:
            if self._struck and task.cancelling() == 1:
                return None
            raise
        finally:
            self._asks = False
            if self._struck:
                task.uncancel()

    def _sent(self, item: Any) -> SnakeError | None:
        with self._sender.scope.interrupts.held():
            try:
                self._sender.send(item)
            except SnakeError as error:
                return error
        return None

    def _strike_soon(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
        # Raised where a subshell's loop is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._strike, task)

    def _strike(self, task: asyncio.Task[Any]) -> None:
        # To be cancelled is the end of a generator; one that was there before is spared while it may be.
        if self._asks and (self._is_made or self._sender.flow.is_lost):
            self._struck = True
            task.cancel()


def _is_fresh(producer: Any) -> bool:
    """Whether a generator has not begun; other producers do not tell."""
    if isinstance(producer, types.GeneratorType):
        return inspect.getgeneratorstate(producer) == inspect.GEN_CREATED
    if isinstance(producer, types.AsyncGeneratorType):
        # Python 3.11 does not tell.
        return not getattr(producer, "ag_suspended", False)
    return True
