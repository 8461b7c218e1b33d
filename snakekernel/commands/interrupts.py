"""Stops of one request: delivered only while user code runs, remembered otherwise.

Rules: ``request`` is called on the thread that runs the request, by a signal handler. Where user code runs
(the ``with`` block is entered) it raises KeyboardInterrupt there; while the request awaits, it cancels what
is awaited; anywhere else it is remembered and raised before the next piece of user code. So our own lines,
and a reply that is half sent, are never interrupted. On other threads than the main one no signal handler
runs: there ``ThreadInterrupts`` is asked from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Final, Literal

from ..inspection import striking
from ..wire.errors import Cancelled, DeadlineExceeded, Interrupted, SnakeError

#: Why a request is stopped; the codes of the errors that say so.
Reason = Literal["interrupted", "cancelled", "deadline"]

_ERRORS: Final[dict[Reason, tuple[type[SnakeError], str, str | None]]] = {
    "interrupted": (Interrupted, "The {what} was interrupted.", "KeyboardInterrupt"),
    "cancelled": (Cancelled, "The {what} was cancelled.", None),
    "deadline": (DeadlineExceeded, "The {what} was stopped at its deadline.", None),
}


def stopped(
    reason: Reason, what: str = "request", *, at: str | None = None, traceback: list[str] | None = None
) -> SnakeError:
    """The error of what was stopped; ``what`` is "request" or "call"."""
    kind, message, ename = _ERRORS[reason]
    return kind(message.format(what=what), at=at, ename=ename, traceback=traceback)


class Interrupts:
    """The state of one request that runs on the main thread, where alone its methods are called."""

    __slots__ = ("_armed", "_held", "_pending", "came", "cancel", "reason")

    def __init__(self) -> None:
        self._armed = False
        #: Whether our own lines run within user code.
        self._held = False
        self._pending = False
        #: Why the request was last asked to stop; None where it never was.
        self.reason: Reason | None = None
        #: When the request came, by ``time.monotonic()``, where it had to wait and may have a deadline.
        self.came: float | None = None
        #: Cancels what the request awaits, while it awaits something; callable from any thread.
        self.cancel: Callable[[], object] | None = None

    def __enter__(self) -> None:
        # Armed first: an interrupt between the two lines must not be lost.
        self._armed = True
        if self._pending:
            self._pending = self._armed = False
            raise KeyboardInterrupt

    def __exit__(self, *exc_info: object) -> Literal[False]:
        self._armed = False
        return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Our own lines within user code, on its thread: an interrupt strikes after them."""
        was_armed = self.hold()
        try:
            yield
        finally:
            if self.let(was_armed):
                self._pending = self._armed = False
                raise KeyboardInterrupt

    @property
    def holds_thread(self) -> bool:
        """Whether the request has the thread: user code of it runs, or it does not await anything."""
        return self._armed or self.cancel is None

    def hold(self) -> bool:
        """Have what comes wait until ``let``, which takes what this returns."""
        was_armed = self._armed
        # In this order: what strikes between the two is still one of user code.
        self._held |= was_armed
        self._armed = False
        return was_armed

    def let(self, was_armed: bool) -> bool:
        """The end of ``hold``; whether something came that is to strike now."""
        self._armed = was_armed
        if was_armed:
            self._held = False
        return was_armed and self._pending

    def disarm(self) -> None:
        """User code is over, even if an interrupt struck while the block was left."""
        self._armed = self._held = False

    def request(self, reason: Reason = "interrupted") -> None:
        """A stop came; code that swallowed an earlier one gets this one too."""
        self.reason = reason
        if self._armed:
            raise KeyboardInterrupt
        if self.cancel is not None and not self._held:
            self.cancel()
        else:
            self._pending = True


class _Strike(KeyboardInterrupt):
    """Raised in another thread by ``ThreadInterrupts``, which makes a class of its own of it each time."""

    #: Whether the thread got it: it is made an exception there, when it is delivered or caught.
    is_delivered: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        type(self).is_delivered = True


class ThreadInterrupts(Interrupts):
    """The state of a request that runs on another thread than the main one; ``request`` on any thread.

    It raises by an asynchronous exception, which the interpreter delivers between two instructions, whenever
    that is: it is set only while user code runs, and taken back when user code is left. One that was not
    delivered by then is remembered. The lock makes these exclude each other.
    """

    __slots__ = ("_lock", "_outer", "_strike", "_thread", "wake")

    def __init__(self) -> None:
        super().__init__()
        striking.prepare()
        #: Entered again where a collection of garbage runs user code within it.
        self._lock = threading.RLock()
        self._thread = threading.get_ident()
        #: The exception that may be under way.
        self._strike: type[_Strike] | None = None
        #: The request whose code runs this one's.
        self._outer: ThreadInterrupts | None = None
        #: Ends a wait of ours within user code, which no exception reaches before it ends.
        self.wake: Callable[[], object] | None = None

    def __enter__(self) -> None:
        outer = entered.get(self._thread)
        if outer is not self:
            self._outer = outer
            entered[self._thread] = self
        with self._lock:
            self._armed = not self._pending
            pending, self._pending = self._pending, False
        if pending:
            raise KeyboardInterrupt

    def __exit__(self, *exc_info: object) -> Literal[False]:
        with self._lock:
            self._armed = False
            self._pending |= self._take_back()
        self._leave()
        return False

    def _leave(self) -> None:
        if entered.get(self._thread) is self:
            if self._outer is None:
                del entered[self._thread]
            else:
                entered[self._thread] = self._outer
        self._outer = None

    def hold(self) -> bool:
        """See ``Interrupts.hold``; what is under way is remembered with what comes."""
        with self._lock:
            was_armed = super().hold()
            self._pending |= self._take_back()
        return was_armed

    def let(self, was_armed: bool) -> bool:
        """See ``Interrupts.let``."""
        with self._lock:
            return super().let(was_armed)

    def disarm(self) -> None:
        """See ``Interrupts.disarm``; nothing strikes any more when this returns."""
        with self._lock:
            super().disarm()
            self._take_back()
        self._leave()

    def _take_back(self) -> bool:
        """On its thread, under the lock: whether an exception was under way, which is none any more."""
        strike, self._strike = self._strike, None
        if strike is None or strike.is_delivered:
            return False
        try:
            # It comes, if C code did not swallow it.
            striking.let_come()
        except KeyboardInterrupt:
            return True
        return False

    def request(self, reason: Reason = "interrupted") -> None:
        """See ``Interrupts.request``; raises nothing here."""
        with self._lock:
            self.reason = reason
            if self._armed:
                self._strike = type("KeyboardInterrupt", (_Strike,), {})
                striking.strike(self._thread, self._strike)
                if self.wake is not None:
                    self.wake()
            elif self.cancel is not None and not self._held:
                self.cancel()
            else:
                self._pending = True


#: By thread, the request whose code runs there, on other threads than the main one.
entered: Final[dict[int, ThreadInterrupts]] = {}
