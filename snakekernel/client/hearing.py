"""Calls whose output and progress come to the caller while they run.

Rules: what comes is only noted under the link's lock; the caller's functions are called by whoever waits for
the call, one at a time and in order, the last before the result is given. The reply says how many messages
there are; iopub may lose some, so those that miss are waited for a while only.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import warnings
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from ..errors import OutputLost, ReplyTimeout
from ..reporting.shown import shown_here
from ..wire.model import Progress
from ..wire.names import PROGRESS
from .future import SETTLED, Future
from .link import Link
from .listening import Listening
from .message import Message, Received, Slot
from .output import Output, output_of, show
from .payload import Finish, whole
from .shield import Shield
from .unwanted import unwanted

if TYPE_CHECKING:
    from .waiting import Turns

#: Seconds until the kernel's iopub channel must have answered.
CONNECT_TIMEOUT: Final = 30.0
#: Seconds after which it is asked again.
KNOCK_AGAIN: Final = 0.1
#: Seconds after the reply, or the latest output, that what still misses is waited for.
PATIENCE: Final = 2.0

_SILENT: Final = f"The kernel's iopub channel did not answer within {CONNECT_TIMEOUT} s."

#: True for either has it shown here.
OnOutput = Callable[[Output], object] | Literal[True]
OnProgress = Callable[[int, int, str], object] | Literal[True]


class _Count(msgspec.Struct):
    output: int = 0


class Outputs:
    """What one request puts out, from its coming to its handing over.

    Args:
        on_output: gets each ``Output``. on_progress: gets ``(done, total, text)``; a total of 0 is unknown.
    """

    def __init__(self, on_output: OnOutput | None, on_progress: OnProgress | None) -> None:
        self._on_output = show if on_output is True else on_output
        self._shown = shown_here() if on_progress is True else None
        self._on_progress = self._shown if on_progress is True else on_progress
        self._came: deque[tuple[str, bytes]] = deque()
        self._count = 0
        #: How many messages there are, once the reply told.
        self._expected: int | None = None
        #: Called, under the link's lock, when something came.
        self.wake: Callable[[], object] = _nothing
        self._over: Callable[[], object] = _nothing

    def listen(self, listening: Listening, number: int, ready: Callable[[Any], None]) -> bool:
        """Hear what this request puts out; see ``Listening.add``. The link's lock is held."""
        self._over = partial(listening.remove, number)
        return listening.add(number, self, ready)

    def hear(self, msg_type: str, content: bytes) -> None:
        """See ``Ear``."""
        self._count += 1
        if (self._on_progress if msg_type == PROGRESS else self._on_output) is not None:
            self._came.append((msg_type, content))
        if self.is_whole:
            self._over()
        self.wake()

    def replied(self, came: Received | BaseException) -> None:
        """The reply came, or the reason why none comes; the link's lock is held."""
        self._expected = 0
        if isinstance(came, Received) and came.content:
            try:
                self._expected = msgspec.json.decode(came.content, type=_Count).output
            except msgspec.MsgspecError:
                # No reply of ours: whoever reads it is told.
                pass
        if self.is_whole:
            self._over()
        self.wake()

    def end(self, op: str | None = None) -> None:
        """Nothing more is handed over, also of what misses still, which is told where ``op`` is given."""
        lost = (self._expected or 0) - self._count
        self._expected = self._count
        if self._shown is not None:
            self._shown.close()
        if op is not None and lost > 0:
            total = lost + self._count
            text = f"{lost} of {total} messages that {op!r} put out were lost; its result is whole."
            warnings.warn(text, OutputLost, stacklevel=2)

    @property
    def is_whole(self) -> bool:
        """Whether all has come that there is."""
        return self._expected is not None and self._count >= self._expected

    @property
    def has_news(self) -> bool:
        """Whether something is to be handed over."""
        return bool(self._came)

    def calls(self) -> Iterator[Callable[[], object]]:
        """Calls of the caller's functions, one for each message that has come, in order."""
        while True:
            try:
                msg_type, content = self._came.popleft()
            except IndexError:
                return
            if msg_type == PROGRESS:
                if self._on_progress is not None:
                    told = msgspec.json.decode(content, type=Progress)
                    yield partial(self._on_progress, told.done, told.total, told.text)
            elif self._on_output is not None and (output := output_of(msg_type, content)) is not None:
                yield partial(self._on_output, output)


def _nothing() -> None:
    return


class HeardFuture(Future):
    """A future of a call whose output is heard: its functions are called by those who ask for its result."""

    __slots__ = ("_calling", "_news", "_outputs")

    def __init__(self, turns: Turns, op: str, finish: Finish, number: int, outputs: Outputs) -> None:
        super().__init__(turns, op, finish, number)
        self._outputs = outputs
        #: Held by who calls the functions: one at a time.
        self._calling = threading.RLock()
        #: Of threads that wait for the next message of any kind.
        self._news: list[Future] = []
        outputs.wake = self._tell

    def _receive(self, came: Received | BaseException) -> None:
        super()._receive(came)
        self._outputs.replied(came)

    def _tell(self) -> None:
        for news in tuple(self._news):
            news._receive(SETTLED)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As of any future; what the functions raise goes to whoever asks, and leaves the rest for later."""
        deadline = None if timeout is None else time.monotonic() + timeout
        until: float | None = None
        while True:
            with self._calling:
                for call in self._outputs.calls():
                    call()
                    until = None
            if self._outputs.is_whole:
                break
            if self._came is not None:
                until = until or time.monotonic() + PATIENCE
            left = min((end - time.monotonic() for end in (deadline, until) if end is not None), default=None)
            if not self._wait(left):
                if self._came is None:
                    raise ReplyTimeout(f"No reply to {self._op!r} within {timeout} s; it may still run.")
                stop_hearing(self._turns.link, self._number)
                break
        self._outputs.end(self._op)
        return super().exception()

    def _wait(self, seconds: float | None) -> bool:
        """Wait until something came that was not handed over, or nothing more is to come."""
        news = Future(self._turns, self._op, whole, self._number)
        self._news.append(news)
        try:
            # Asked after it was added: what comes from here on wakes it.
            if self._outputs.has_news or self._outputs.is_whole:
                return True
            return self._turns.wait(news, None if seconds is None else max(0.0, seconds))
        finally:
            self._news.remove(news)


def outputs_of(on_output: OnOutput | None, on_progress: OnProgress | None) -> Outputs | None:
    """For whom a request's output is to be heard; None where nobody listens."""
    return None if on_output is None and on_progress is None else Outputs(on_output, on_progress)


def begin_heard(turns: Turns, message: Message, op: str, finish: Finish, outputs: Outputs) -> HeardFuture:
    """Send a request, once its output is sure to be heard; raises as ``send_heard``."""
    future = HeardFuture(turns, op, finish, message.number, outputs)
    send_heard(turns, outputs, message, future._receive)
    return future


def send_heard(turns: Turns, outputs: Outputs, message: Message, slot: Slot) -> None:
    """Send a request, whose slot gets its reply, once its output is sure to be heard.

    Raises KernelLost where it cannot be sent, ReplyTimeout where the kernel's iopub channel is silent.
    """
    ready = Future(turns, "listen", whole, message.number)
    try:
        if not turns.listen(outputs, message.number, ready._receive):
            deadline = time.monotonic() + CONNECT_TIMEOUT
            while not turns.wait(ready, KNOCK_AGAIN):
                if time.monotonic() >= deadline:
                    raise ReplyTimeout(_SILENT)
                ask_again(turns.link)
            if isinstance(ready._came, BaseException):
                raise ready._came
        turns.send(message, slot)
    except BaseException:
        stop_hearing(turns.link, message.number)
        raise


async def heard(
    link: Link,
    number: int,
    op: str,
    begin: Callable[[], Awaitable[asyncio.Future[Received]]],
    outputs: Outputs,
    timeout: float | None,
) -> Received:
    """The reply to a request, once its output was handed over; awaits what functions return.

    Args:
        begin: sends the request when it may be sent; gives the future of its reply.
    """
    news = asyncio.Event()
    outputs.wake = news.set
    try:
        async with asyncio.timeout(timeout) as limit:
            reply = await begin()
            reply.add_done_callback(partial(_replied, link, outputs))
            await _handed_over(outputs, news, reply)
            outputs.end(op)
            return reply.result()
    except BaseException as error:
        give_up(link, number)
        outputs.end()
        if isinstance(error, TimeoutError) and limit.expired():
            raise ReplyTimeout(f"No reply to {op!r} within {timeout} s; it was asked to stop.") from None
        raise


async def welcomed(link: Link, ready: asyncio.Future[Received]) -> None:
    """Wait until a request may be sent; raises ReplyTimeout where the kernel's iopub channel is silent."""
    deadline = time.monotonic() + CONNECT_TIMEOUT
    while not (await asyncio.wait([ready], timeout=KNOCK_AGAIN))[0]:
        if time.monotonic() >= deadline:
            raise ReplyTimeout(_SILENT)
        ask_again(link)
    ready.result()


def _replied(link: Link, outputs: Outputs, reply: asyncio.Future[Received]) -> None:
    if not reply.cancelled():
        with link.lock:
            outputs.replied(reply.exception() or reply.result())


async def _handed_over(outputs: Outputs, news: asyncio.Event, reply: asyncio.Future[Received]) -> None:
    until: float | None = None
    while True:
        news.clear()
        for call in outputs.calls():
            made = call()
            if inspect.isawaitable(made):
                await made
            until = None
        if outputs.is_whole:
            return
        if reply.done() and until is None:
            until = asyncio.get_running_loop().time() + PATIENCE
        try:
            async with asyncio.timeout_at(until) as patience:
                await news.wait()
        except TimeoutError:
            if patience.expired():
                return
            raise


def ask_again(link: Link) -> None:
    """See ``Listening.ask_again``."""
    if link.listening is not None:
        with Shield(), link.lock:
            link.listening.ask_again()


def give_up(link: Link, number: int) -> None:
    """Nobody waits for this request any more, nor for what it puts out: it is stopped if it runs."""
    stop_hearing(link, number)
    unwanted(link, number)


def stop_hearing(link: Link, number: int) -> None:
    """Nobody waits for what this request puts out any more."""
    if link.listening is not None and not link.is_foreign():
        with Shield(), link.lock:
            link.listening.remove(number)
