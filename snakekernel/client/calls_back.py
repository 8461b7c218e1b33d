"""How the blocking client runs its functions when the kernel calls them.

Rules: the thread that waits for a call's result runs what that call calls back, one at a time; what else is
called, by others, later, or while that thread is busy, runs on threads of a small pool. While functions are
lent and nobody waits on the client, a thread of this module reads what comes (``_listen_on``); it leaves the
reading to whoever waits.
"""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from ..errors import ReplyTimeout
from .future import Future
from .lending import Called, Functions
from .link import Link
from .message import Message, Received
from .payload import Finish, whole
from .unwanted import unwanted
from .waiting import Turns

if TYPE_CHECKING:
    from .client import Client

#: In the place of a reply where a future's thread is to do something else.
_WOKEN: Final = Received(b"", b"", (), 0)
#: Seconds for which the listener leaves the reading to others.
_REST: Final = 0.05
#: Seconds after which idle threads end.
_IDLE: Final = 5.0


class _Waiting(Future):
    """A call's result, whose thread runs what the call calls back."""

    __slots__ = ("_called", "is_running")

    def __init__(self, turns: Turns, op: str, finish: Finish, number: int) -> None:
        super().__init__(turns, op, finish, number)
        self._called: Called | None = None
        self.is_running = False

    def _receive(self, came: Received | BaseException) -> None:
        if self._came is None or self._came is _WOKEN:
            self._came = came
        self._turns.came(self)

    def note(self, called: Called) -> bool:
        """Have its thread run this; False where that is busy. The link's lock is held."""
        if self.is_running or self._called is not None or self._came is not None:
            return False
        self._called = called
        self._came = _WOKEN
        self._turns.came(self)
        return True

    def take(self) -> Called | None:
        """What is to be run; the link's lock is held."""
        if self._came is _WOKEN:
            self._came = None
        called, self._called = self._called, None
        self.is_running = called is not None
        return called


class _Listening(Future):
    """Nothing that ever comes, for the thread that reads while nobody waits."""

    __slots__ = ()
    yields = True

    def _receive(self, came: Received | BaseException) -> None:
        # A loss is told once: it must not be missed because its thread is just stepping down.
        if self._came is None or self._came is _WOKEN:
            self._came = came
        self._turns.came(self)

    def step_down(self) -> None:
        """Leave the reading to others. On any thread."""
        with self._turns.link.lock:
            self._receive(_WOKEN)


class ThreadFunctions(Functions):
    """The functions that the blocking client lends."""

    def __init__(self, client: Client, link: Link, turns: Turns) -> None:
        super().__init__(client, link)
        self._turns = turns
        self._waiting: dict[int, _Waiting] = {}
        self._pool = _Pool()
        self._listener: threading.Thread | None = None
        self._wake = threading.Event()
        self._is_closed = False

    # -- waiting for calls that call back ----------------------------------------------------------

    def call(self, message: Message, op: str, finish: Finish, timeout: float | None) -> Any:
        """As ``Turns.call``, and run meanwhile what the call calls back."""
        turns, link, number = self._turns, self.link, message.number
        deadline = None if timeout is None else time.monotonic() + timeout
        future = _Waiting(turns, op, finish, number)
        turns.check()
        unsent: Message | None = message
        self._waiting[number] = future
        try:
            while True:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not turns.wait(future, left, unsent):
                    raise ReplyTimeout(f"No reply to {op!r} within {timeout} s; it was asked to stop.")
                unsent = None
                if future._came is not _WOKEN:
                    break
                with link.lock:
                    called = future.take()
                if called is None:
                    continue
                called.read()
                error = called.run()
                if error is not None:
                    # Ctrl-C, say: the kernel knows, and so does whoever waits here.
                    raise error
                future.is_running = False
        finally:
            self._waiting.pop(number, None)
            with link.lock:
                called = future.take()
            if called is not None:
                # The call is given up, or left a thread behind that calls.
                self._pool.run(called)
            if future._came is None:
                unwanted(link, number)
        assert future._came is not None
        return turns.finish(future._came, finish)

    def _called(self, called: Called, number: int) -> None:
        waiting = self._waiting.get(number)
        if waiting is None or not waiting.note(called):
            self._pool.run(called)

    # -- listening while nobody waits --------------------------------------------------------------

    def _begin(self) -> None:
        with self._lock:
            if self._listener is None and not self._is_closed:
                future = _Listening(self._turns, "listen", whole, 0)
                self._listen(future._receive)
                thread = threading.Thread(
                    target=self._listen_on, args=(future,), name="snakekernel-listener", daemon=True
                )
                self._listener = thread
                thread.start()

    def _listen_on(self, future: _Listening) -> None:
        idle_since: float | None = None
        while not self._is_closed:
            # Whoever called last may call again at once, and reads by itself then.
            self._wake.wait(_REST)
            if self._is_closed:
                return
            self._turns.wait(future, 1.0)
            came = future._came
            if isinstance(came, BaseException):
                with self._lock:
                    self.clear()
                    self._listener = None
                return
            with self.link.lock:
                if future._came is _WOKEN:
                    future._came = None
            self.tidy()
            if self.any:
                idle_since = None
            elif idle_since is None:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > _IDLE:
                with self._lock:
                    if not self.any:
                        self._listener = None
                        return

    def close(self) -> None:
        """End the threads; the link is closed already. Idempotent."""
        if self.link.is_foreign():
            return
        self._is_closed = True
        self._wake.set()
        self._pool.close()
        listener = self._listener
        if listener is not None and listener is not threading.current_thread():
            listener.join()
        self.clear()


class _Pool:
    """Threads that run functions; each ends when it had nothing to do for a while."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Called | None] = SimpleQueue()
        self._idle = 0
        # A signal handler may call while its thread does.
        self._lock = threading.RLock()
        self._threads: set[threading.Thread] = set()
        self._is_closed = False

    def run(self, called: Called) -> None:
        """Run a call soon. On any thread."""
        with self._lock:
            if self._is_closed:
                return
            if self._idle > 0:
                self._idle -= 1
            else:
                thread = threading.Thread(target=self._run, name="snakekernel-callback", daemon=True)
                self._threads.add(thread)
                thread.start()
            self._work.put(called)

    def _run(self) -> None:
        while True:
            try:
                called = self._work.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    # One may have been promised to this thread.
                    if self._work.qsize() or self._idle <= 0:
                        continue
                    self._idle -= 1
                    self._threads.discard(threading.current_thread())
                    return
            if called is None:
                return
            called.read()
            called.run()
            del called
            with self._lock:
                if self._is_closed:
                    return
                self._idle += 1

    def close(self) -> None:
        """End the threads that have nothing to do; one that runs a function ends with it."""
        with self._lock:
            self._is_closed = True
            threads, idle = list(self._threads), self._idle
            for _ in threads:
                self._work.put(None)
        if idle:
            for thread in threads:
                if thread is not threading.current_thread():
                    thread.join(timeout=1.0)
