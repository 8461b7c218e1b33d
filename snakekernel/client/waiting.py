"""How threads wait for replies: futures, and the turns that threads take in reading the sockets.

Rules: a client has no thread of its own. One of the threads that wait reads the sockets for all (the leader);
when it has its own reply it wakes another to lead. What comes in is only noted under the link's lock; it is
decoded by whoever asks for the result, and callbacks run after the lock was left. A signal handler may break
in and raise anywhere: the lead is a lock that knows its thread, and no sleep relies on being ended.
"""

from __future__ import annotations

import logging
import threading
import time
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Final

from ..errors import ReplyTimeout, from_reply
from ..wire.frame import check_buffers, unpack_object
from .link import GONE, Link
from .message import Message, Received
from .payload import Finish
from .shield import Shield
from .sleeper import Pipe, Sleeper
from .watch import Watch

_log: Final = logging.getLogger(__name__)
#: Seconds after which one who sleeps looks whether the lead is free: an exception of a signal handler may
#: have come just before the wake-up.
_AT_MOST: Final = 1.0
#: In place of a reply that was made a result, so that it is not kept twice.
_SETTLED: Final = Received(b"", b"", (), 0)


def read_reply(received: Received) -> dict[str, Any]:
    """The content of a reply; raises the exception that an error reply stands for."""
    if received.metadata != b"{}":
        check_buffers(unpack_object(received.metadata), received.buffers, required=False)
    content = unpack_object(received.content)
    if content.get("status") != "ok":
        error = from_reply(content)
        error.buffers = received.buffers
        raise error
    return content


class Future:
    """The result of a call that is under way: as ``concurrent.futures.Future``, but for what follows.

    No thread stands behind it. Replies are read while some thread waits on the client, sends a request
    through it, or asks ``done()``. ``concurrent.futures.wait`` and ``as_completed`` know nothing of that and
    do not work with it. To have many results, ask one after the other: each wait reads what came for all.
    """

    __slots__ = ("_callbacks", "_came", "_finish", "_number", "_op", "_result", "_sleeping", "_turns")

    def __init__(self, turns: Turns, op: str, finish: Finish, number: int) -> None:
        self._turns = turns
        self._op = op
        self._finish = finish
        self._number = number
        #: What came, until somebody asks for the result: then ``_result`` makes it a value or an exception.
        self._came: Received | BaseException | None = None
        self._result: tuple[Any, BaseException | None] | None = None
        #: Of threads that wait for it while another leads; most calls never have one.
        self._sleeping: list[_Wait] = []
        self._callbacks: list[Callable[[Future], object]] | None = None

    def _receive(self, came: Received | BaseException) -> None:
        # The link's lock is held.
        if self._came is None:
            self._came = came
        self._turns.came(self)

    def _has_come(self) -> bool:
        return self._came is not None

    def _settle(self) -> tuple[Any, BaseException | None]:
        # In this order: what is settled has its result.
        came, result = self._came, self._result
        if result is None:
            assert came is not None
            try:
                result = self._turns.finish(came, self._finish), None
            except Exception as error:
                result = None, error
            result = self._turns.settled(self, result)
        return result

    def result(self, timeout: float | None = None) -> Any:
        """The result, or the exception that the call ended with.

        Args:
            timeout: seconds to wait; None waits as long as the kernel lives. The future can be asked again.

        Raises:
            ReplyTimeout: nothing came in time. CancelledError: it was cancelled.
            KernelLost: the kernel ended, or the client was closed.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._settle()[0]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception that the call ended with, or None; waits like ``result``, and raises ReplyTimeout and
        CancelledError like it."""
        if self._came is None and not self._turns.wait(self, timeout):
            raise ReplyTimeout(f"No reply to {self._op!r} within {timeout} s; it may still run.")
        error = self._settle()[1]
        if isinstance(error, CancelledError):
            raise error
        return error

    def done(self) -> bool:
        """Whether the result is there, or it was cancelled; reads what has come."""
        if self._came is None:
            self._turns.look()
        return self._came is not None

    def running(self) -> bool:
        """Whether the reply is still to come: it may run, or wait for its turn in the kernel."""
        return not self.done()

    def cancel(self) -> bool:
        """Give the result up; False if it is there already.

        The request was sent when the future was made and nothing takes it back: the kernel runs it all the
        same. ``interrupt()`` of the client stops what runs.
        """
        if self.done():
            return False
        return self._turns.give_up(self, CancelledError(f"The result of this {self._op!r} was given up."))

    def cancelled(self) -> bool:
        """Whether ``cancel`` gave it up."""
        return isinstance(self._came, CancelledError)

    def add_done_callback(self, function: Callable[[Future], object]) -> None:
        """Call ``function(future)`` when it is done; at once if it is.

        It is called in the thread that reads the reply, which may be any that uses the client, and not before
        one does. What it raises is logged.
        """
        if self._turns.note_callback(self, function):
            return
        _call_back(function, self)

    def __repr__(self) -> str:
        state = "pending" if self._came is None else "cancelled" if self.cancelled() else "done"
        return f"<snakekernel {self._op} {state}>"


def _call_back(function: Callable[[Future], object], future: Future) -> None:
    try:
        function(future)
    except Exception:
        _log.exception("A callback of %r failed", future)


class _Wait:
    """One thread that waits for a future while another leads.

    A plain lock: what is in Python, as ``threading.Event``, an exception of a signal handler leaves locked.
    """

    __slots__ = ("_asleep", "future")

    def __init__(self, future: Future) -> None:
        self.future = future
        self._asleep = allocate_lock()
        self._asleep.acquire()

    def sleep(self, seconds: float) -> None:
        self._asleep.acquire(True, seconds)

    def wake(self) -> None:
        """Its reply is there, or the lead is left to it."""
        with suppress(RuntimeError):
            # Raised where it is awake already.
            self._asleep.release()


class Turns:
    """Who reads the sockets of a link, and who waits. One for a client and all its views."""

    def __init__(self, link: Link, manager: Any = None) -> None:
        self._link = link
        self._pipe = Pipe()
        #: Who leads holds it. A lock that knows its thread: a handler that breaks in must know it as well.
        self._leading = threading.RLock()
        self._is_leading: Callable[[], bool] = self._leading._is_owned  # type: ignore[attr-defined]
        self._leader: Future | None = None
        self._waiting: dict[_Wait, None] = {}
        self._to_call: deque[Future] = deque()
        self._sleeper = self._new_sleeper()
        self._watch = None
        if manager is not None:
            self._watch = Watch(manager, link.lock, self._sleeper.add, self._sleeper.remove)

    def _new_sleeper(self) -> Sleeper:
        return Sleeper((*self._link.descriptors(), self._pipe.descriptor))

    # -- sending and receiving ---------------------------------------------------------------------

    def request(self, message: Message, op: str, finish: Finish) -> Future:
        """Send a request; raises KernelLost where it cannot be sent."""
        if self._watch is not None:
            self._watch.check()
        future = Future(self, op, finish, message.number)
        with Shield():
            self._link.send(message, future._receive)
        if self._to_call:
            self._run_callbacks()
        return future

    def call(self, message: Message, op: str, finish: Finish, timeout: float | None) -> Any:
        """Send a request and wait for its result; where it cannot be waited for, it is given up."""
        if self._watch is not None:
            self._watch.check()
        future = Future(self, op, finish, message.number)
        try:
            if not self.wait(future, timeout, message):
                raise ReplyTimeout(f"No reply to {op!r} within {timeout} s; it may still run.")
        finally:
            if future._came is None:
                self._link.forget(message.number)
        assert future._came is not None
        return self.finish(future._came, finish)

    def came(self, future: Future) -> None:
        """A future has its reply; the link's lock is held."""
        for sleeping in list(future._sleeping):
            sleeping.wake()
        if future is self._leader:
            # The leader sleeps on descriptors; another thread's send has read its reply.
            self._pipe.wake()
        if future._callbacks is not None:
            self._to_call.append(future)

    def finish(self, came: Received | BaseException, finish: Finish) -> Any:
        """The result that a reply stands for; raises where it stands for an exception."""
        if isinstance(came, BaseException):
            raise came
        content = read_reply(came)
        self._link.learn(content, came.generation)
        return finish(content, came.buffers)

    def settled(
        self, future: Future, result: tuple[Any, BaseException | None]
    ) -> tuple[Any, BaseException | None]:
        """The future's result for all who ask: this one, or that of a thread that was quicker."""
        with self._link.lock:
            if future._result is None:
                future._result = result
                if not isinstance(future._came, BaseException):
                    future._came = _SETTLED
            return future._result

    def look(self) -> None:
        """Read what has come, without waiting."""
        self._link.check_process()
        self._link.pump()
        self._run_callbacks()

    def give_up(self, future: Future, reason: BaseException) -> bool:
        """End a future with this reason, unless its reply came; whether it did not."""
        with self._link.lock:
            self._link.forget(future._number)
            if future._came is not None:
                return False
            future._receive(reason)
        self._run_callbacks()
        return True

    def note_callback(self, future: Future, function: Callable[[Future], object]) -> bool:
        """Whether the callback is to be called later, because nothing has come yet."""
        with self._link.lock:
            if future._came is not None:
                return False
            if future._callbacks is None:
                future._callbacks = []
            future._callbacks.append(function)
            return True

    def _run_callbacks(self) -> None:
        while self._to_call:
            try:
                future = self._to_call.popleft()
            except IndexError:
                # Another thread was quicker.
                return
            callbacks, future._callbacks = future._callbacks, None
            for function in callbacks or ():
                _call_back(function, future)

    # -- waiting -----------------------------------------------------------------------------------

    def wait(self, future: Future, timeout: float | None, message: Message | None = None) -> bool:
        """Wait until a future has its reply, for so many seconds at most; whether it has.

        Its ``message``, if any, is sent first. Once it is out little is done before sleeping: the thread of
        zmq that carries it may need this very core.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if message is None:
            # Sending one checks it.
            self._link.check_process()
        try:
            while True:
                if not self._lead_if_free(future, deadline, message) and future._came is None:
                    self._follow(future, deadline)
                message = None
                if self._to_call:
                    self._run_callbacks()
                if future._came is not None:
                    return True
                if deadline is not None and time.monotonic() >= deadline:
                    return False
        finally:
            if self._waiting:
                with Shield():
                    self._promote()

    def _lead_if_free(self, future: Future, deadline: float | None, message: Message | None) -> bool:
        # Of a signal handler that broke into our own lead: it leads within.
        within = self._is_leading()
        try:
            with Shield():
                leads = within or self._leading.acquire(blocking=False)
                if message is not None:
                    self._link.send(message, future._receive)
            if leads:
                self._lead(future, deadline, self._new_sleeper() if within else self._sleeper)
            return leads
        finally:
            if within:
                self._pipe.wake()
            else:
                try:
                    if self._is_leading():
                        with Shield():
                            self._leave()
                finally:
                    # Whatever broke in, the lead is not kept.
                    if self._is_leading():
                        self._leave()

    def _leave(self) -> None:
        self._leader = None
        self._leading.release()
        if self._waiting:
            self._promote()

    def _lead(self, future: Future, deadline: float | None, sleeper: Sleeper) -> None:
        """Read for all until the future has its reply, its time is over, or callbacks are to be called."""
        link = self._link
        ready: Collection[int] = ()
        while True:
            if ready or link.unread:
                with Shield():
                    link.read(ready, future._has_come)
                    if future._came is not None and sleeper is self._sleeper:
                        # Within the same shield, for a shield is not free.
                        self._leave()
                        return
            self._leader = future
            if future._came is not None or self._to_call:
                return
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            # Whoever used the sockets has read what was there: the descriptors tell of all that comes now.
            ready = sleeper.sleep(left)
            # From here on it is awake: what it reads itself needs no wake-up.
            self._leader = None
            # Asked for now: a signal handler may have closed the client.
            if self._pipe.descriptor in ready:
                self._pipe.drain()
            if self._watch is not None and (ended := self._watch.descriptor) in ready:
                link.pump()
                if self._watch.ended(ended):
                    link.fail(GONE)

    def _follow(self, future: Future, deadline: float | None) -> None:
        """Sleep until the future has its reply, its time is over, or the lead may be free."""
        wait = _Wait(future)
        try:
            self._waiting[wait] = None
            future._sleeping.append(wait)
            # Whoever leads now sees it when it ends; whoever ended before has left the lead free.
            if future._came is None and not self._is_free():
                left = _AT_MOST if deadline is None else deadline - time.monotonic()
                wait.sleep(max(0.0, min(left, _AT_MOST)))
        finally:
            self._waiting.pop(wait, None)
            with suppress(ValueError):
                future._sleeping.remove(wait)

    def _is_free(self) -> bool:
        try:
            return self._leading.acquire(blocking=False)
        finally:
            if self._is_leading():
                self._leading.release()

    def _promote(self) -> None:
        # The latest first: an earlier one may be of a thread that waits within a signal handler.
        for other in reversed(list(self._waiting)):
            if other.future._came is None:
                # Once only, for it may be what an exception left behind.
                self._waiting.pop(other, None)
                other.wake()
                return

    def close(self) -> None:
        """Wake the leader and close what it sleeps on; the link is closed already. Idempotent."""
        if self._link.is_foreign():
            # After a fork the leader is no thread of this process.
            return
        # The leader is awake now; it must be gone before its descriptors are anybody else's. A signal
        # handler that broke into our own lead does not wait for it.
        with self._leading:
            self._pipe.close()
            if self._watch is not None:
                self._watch.close()
        self._run_callbacks()
