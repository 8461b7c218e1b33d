"""How threads wait for replies: the turns that they take in reading the sockets.

Rules: a client has no thread of its own. One of the threads that wait reads the sockets for all (the leader);
when it has its own reply it wakes another to lead. What comes in is only noted under the link's lock; it is
decoded by whoever asks for the result, and callbacks run after the lock was left. A signal handler may break
in and raise anywhere: the lead is a lock that knows its thread, and no sleep relies on being ended.
"""

from __future__ import annotations

import threading
import time
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ..errors import ReplyTimeout
from .future import SETTLED, Future, call_back, read_reply
from .link import GONE, Link
from .message import Message, Received, Slot
from .payload import Finish
from .shield import Shield
from .sleeper import Pipe, Sleeper
from .unwanted import stop, unwanted
from .watch import EVERY, Watch

if TYPE_CHECKING:
    from .hearing import Outputs
    from .launch import Launch

#: Seconds after which one who sleeps looks whether the lead is free: an exception of a signal handler may
#: have come just before the wake-up.
_AT_MOST: Final = 1.0


class Wait:
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

    def __init__(self, link: Link, launch: Launch | None = None) -> None:
        self.link = link
        self._pipe = Pipe()
        #: Who leads holds it. A lock that knows its thread: a handler that breaks in must know it as well.
        self._leading = threading.RLock()
        self._is_leading: Callable[[], bool] = self._leading._is_owned  # type: ignore[attr-defined]
        self._leader: Future | None = None
        self._waiting: dict[Wait, None] = {}
        self._to_call: deque[Future] = deque()
        self._sleeper = self._new_sleeper()
        self._watch = None
        if launch is not None:
            sleeper = self._sleeper
            self._watch = Watch(launch.manager, link.lock, sleeper.add, sleeper.remove, launch.stderr)
            link.inquire = self._watch.inquire

    def _new_sleeper(self) -> Sleeper:
        return Sleeper((*self.link.descriptors(), self._pipe.descriptor))

    # -- sending and receiving ---------------------------------------------------------------------

    def request(self, message: Message, op: str, finish: Finish) -> Future:
        """Send a request; raises KernelLost where it cannot be sent."""
        future = Future(self, op, finish, message.number)
        self.send(message, future._receive)
        return future

    def send(self, message: Message, slot: Slot) -> None:
        """Send a message, whose slot gets its reply; raises KernelLost where it cannot be sent."""
        if self._watch is not None:
            self._watch.check()
        try:
            with Shield():
                self.link.send(message, slot)
        except BaseException:
            # An interrupt that came while it was sent: its sender will not know of it.
            unwanted(self.link, message.number)
            raise
        if self._to_call:
            self._run_callbacks()

    def check(self) -> None:
        """Raise KernelLost where the kernel's process is known to have ended."""
        if self._watch is not None:
            self._watch.check()

    def call(self, message: Message, op: str, finish: Finish, timeout: float | None) -> Any:
        """Send a request and wait for its result; where it cannot be waited for, it is cancelled."""
        if self._watch is not None:
            self._watch.check()
        future = Future(self, op, finish, message.number)
        try:
            if not self.wait(future, timeout, message):
                raise ReplyTimeout(f"No reply to {op!r} within {timeout} s; it was asked to stop.")
        finally:
            if future._came is None:
                unwanted(self.link, message.number)
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
        self.link.learn(content, came.generation)
        return finish(content, came.buffers)

    def settled(
        self, future: Future, result: tuple[Any, BaseException | None]
    ) -> tuple[Any, BaseException | None]:
        """The future's result for all who ask: this one, or that of a thread that was quicker."""
        with self.link.lock:
            if future._result is None:
                future._result = result
                if not isinstance(future._came, BaseException):
                    future._came = SETTLED
            return future._result

    def listen(self, outputs: Outputs, number: int, ready: Callable[[Any], None]) -> bool:
        """Have a request's output heard, from before it is sent; see ``Listening.add``."""
        link = self.link
        link.check_free()
        with Shield(), link.lock:
            if link.listening is None:
                self._sleeper.add(link.listen().door.descriptor)
                # Who sleeps on the others is to sleep on this one too.
                self._pipe.wake()
            return outputs.listen(link.listen(), number, ready)

    def look(self) -> None:
        """Read what has come, without waiting."""
        self.link.check_process()
        self.link.pump()
        self._run_callbacks()

    def give_up(self, future: Future, reason: BaseException) -> bool:
        """End a future with this reason and cancel its request, unless its reply came; whether it did not."""
        with self.link.lock:
            self.link.forget(future._number)
            if future._came is not None:
                return False
            future._receive(reason)
        stop(self.link, future._number)
        self._run_callbacks()
        return True

    def settle(self, future: Future) -> None:
        """End a future of ours that no request stands behind."""
        with self.link.lock:
            future._receive(SETTLED)

    def note_callback(self, future: Future, function: Callable[[Future], object]) -> bool:
        """Whether the callback is to be called later, because nothing has come yet."""
        with self.link.lock:
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
                call_back(function, future)

    # -- waiting -----------------------------------------------------------------------------------

    def wait(self, future: Future, timeout: float | None, message: Message | None = None) -> bool:
        """Wait until a future has its reply, for so many seconds at most; whether it has.

        Its ``message``, if any, is sent first. Once it is out little is done before sleeping: the thread of
        zmq that carries it may need this very core.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if message is None:
            # Sending one checks it.
            self.link.check_process()
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
                    self.link.send(message, future._receive)
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
        link = self.link
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
            if (watch := self._watch) is None:
                ready = sleeper.sleep(left)
            else:
                ready = sleeper.sleep(EVERY if left is None or left > EVERY else left)
                if not ready:
                    watch.look()
            # From here on it is awake: what it reads itself needs no wake-up.
            self._leader = None
            # Asked for now: a signal handler may have closed the client.
            if self._pipe.descriptor in ready:
                self._pipe.drain()
            if watch is not None and (ended := watch.descriptor) in ready:
                link.pump()
                if watch.ended(ended):
                    link.fail(GONE)

    def _follow(self, future: Future, deadline: float | None) -> None:
        """Sleep until the future has its reply, its time is over, or the lead may be free."""
        wait = Wait(future)
        try:
            self._waiting[wait] = None
            future._sleeping.append(wait)
            if (leader := self._leader) is not None and leader.yields:
                leader.step_down()
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
        if self.link.is_foreign():
            # After a fork the leader is no thread of this process.
            return
        # The leader is awake now; it must be gone before its descriptors are anybody else's. A signal
        # handler that broke into our own lead does not wait for it.
        with self._leading:
            self._pipe.close()
            if self._watch is not None:
                self._watch.close()
        self._run_callbacks()
