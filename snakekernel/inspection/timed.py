"""Run user code (a ``__repr__``, a ``__len__``) for a bounded time and survive whatever it raises.

Rules
- On the main thread the bound is ``SIGALRM`` by ``setitimer``: it ends Python code and blocking system
  calls (``time.sleep``). A handler and timer of the user's are put back, with the time that passed taken
  off; a timer due meanwhile fires at once afterwards, at most the bound late.
- On other threads, and where there is no ``setitimer``, a watchdog thread raises an asynchronous
  exception in the running thread. It ends before the call returns, so no thread outlives a call.
- ``hurry`` ends the time of what runs so on another thread; on the main thread an interrupt does.
- A real interrupt passes through; a ``KeyboardInterrupt`` that the code raises itself does not.

Limits, which no library can lift within one process: C code that holds the interpreter is stopped only
when it returns; off the main thread so is a blocking system call (``time.sleep(10)`` takes its ten
seconds); code that catches ``BaseException`` in an endless loop is stopped by nothing.
"""

from __future__ import annotations

import _thread
import dis
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, Final, Generic, TypeVar

from snakekernel.inspection import genuine, striking

T = TypeVar("T")

#: Seconds after which the exception is raised again, for code that swallowed the first one.
_AGAIN: Final = 0.05

#: Code of signal handlers, beside that of SIGINT's, that raise KeyboardInterrupt.
_HANDLERS: Final[set[CodeType]] = set()

_RAISE: Final = dis.opmap["RAISE_VARARGS"]


class TimedOut(BaseException):
    """Raised inside code whose time is over. Not an ``Exception``, which user code commonly swallows."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of the code.

    ``value`` counts if ``ok``; ``error`` is ``"ValueError: text"`` of what it raised (a text, because an
    exception's traceback would keep the user's objects alive) or ``None`` if its time was over.
    """

    ok: bool
    value: T | None = None
    error: str | None = None

    @property
    def timed_out(self) -> bool:
        return not self.ok and self.error is None


class _Bound:
    """One running call: the exception that is its own, and whether user code is still inside."""

    def __init__(self) -> None:
        # A class of its own per call, so that a nested call never takes the outer one's end for its own.
        self.error: type[TimedOut] = type("TimedOut", (TimedOut,), {})
        self.inside = False


def attempt(code: Callable[[], T], seconds: float) -> Outcome[T]:
    """Run ``code()`` for at most ``seconds``; never raises what it raised.

    Raises:
        KeyboardInterrupt: a real one, sent by the user to this process.
        TimedOut: of an enclosing ``attempt``.
    """
    if seconds <= 0:
        return Outcome(ok=False)
    bound = _Bound()
    by_timer = (
        threading.current_thread() is threading.main_thread()
        and hasattr(signal, "setitimer")
        and signal.getsignal(signal.SIGALRM) is not None  # None: set by C code, could not be put back
    )
    try:
        run = _by_timer if by_timer else _by_watchdog
        return Outcome(ok=True, value=run(code, seconds, bound))
    except bound.error:
        return Outcome(ok=False)
    except TimedOut:
        raise
    except BaseException as error:  # user code may raise SystemExit, GeneratorExit or worse from a repr
        if is_interrupt(error):
            raise
        return Outcome(ok=False, error=summary(error))


class _Expiry:
    """The SIGALRM handler of one call made in the frame ``home``."""

    def __init__(self, bound: _Bound, home: FrameType) -> None:
        self.bound = bound
        self.home = home

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        # Raising in `home` itself could cut its clean-up short; there the code is over anyway.
        if self.bound.inside and frame is not self.home:
            raise self.bound.error


def _by_timer(code: Callable[[], T], seconds: float, bound: _Bound) -> T:
    handler = signal.getsignal(signal.SIGALRM)
    due, interval = signal.getitimer(signal.ITIMER_REAL)
    started = time.monotonic()
    if type(handler) is _Expiry and due > 0:
        seconds = min(seconds, due)  # the enclosing call's timer rests until this one returns
    try:
        signal.signal(signal.SIGALRM, _Expiry(bound, sys._getframe()))
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
        bound.inside = True
        return code()
    finally:
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                bound.inside = False
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, handler)
                if due > 0:
                    left = max(due - (time.monotonic() - started), 1e-6)
                    signal.setitimer(signal.ITIMER_REAL, left, interval)
                break
            except KeyboardInterrupt as error:  # arrived just now: finish putting things back first
                interrupt = error
        if interrupt is not None:
            raise interrupt


class _Watchdog:
    """Raises the bound's exception in the thread that made it, until called off.

    The exception may strike between any two instructions of that thread, so its end of this is written to
    be repeated: no ``with``, no ``threading`` objects (whose own code a strike would leave half done), only
    single calls of bare locks.
    """

    def __init__(self, bound: _Bound) -> None:
        self.bound = bound
        self.thread = _thread.get_ident()
        self.over = _thread.allocate_lock()  # released to wake the watchdog before its time
        self.gone = _thread.allocate_lock()  # released by the watchdog when it ends
        self.begun = self.ended = self.fired = self.off = False
        self.over.acquire()
        self.gone.acquire()

    def begin(self, seconds: float) -> None:
        striking.prepare()
        _running[id(self)] = self
        _thread.start_new_thread(self._watch, (seconds,))

    def _watch(self, seconds: float) -> None:
        self.begun = True
        while True:
            self.over.acquire(True, seconds)
            if self.off:
                break
            if self.bound.inside:
                self.fired = True
                striking.strike(self.thread, self.bound.error)
            seconds = _AGAIN
        self.ended = True
        self.gone.release()

    def call_off(self) -> None:
        """Return when the watchdog is gone and nothing it raised is under way. May be called again."""
        self.bound.inside = False
        self.off = True
        _running.pop(id(self), None)
        self.wake()
        # One that begins after this finds that it is off.
        while self.begun and not self.ended:
            self.gone.acquire(True, _AGAIN)
        if self.fired:
            striking.let_come()

    def wake(self) -> None:
        """Have the watchdog look now."""
        try:
            self.over.release()
        except RuntimeError:  # released before
            pass


#: The watchdogs on duty, by their ids.
_running: Final[dict[int, _Watchdog]] = {}


def hurry(thread: int) -> None:
    """End the time of all that ``attempt`` runs on another thread than the main one now."""
    for watchdog in list(_running.values()):
        if watchdog.thread == thread:
            watchdog.wake()


def _by_watchdog(code: Callable[[], T], seconds: float, bound: _Bound) -> T:
    watchdog = _Watchdog(bound)
    try:
        watchdog.begin(seconds)
        bound.inside = True
        return code()
    finally:
        struck: BaseException | None = None
        while True:
            try:
                # After this assignment one more strike may be on its way, and one of an enclosing call.
                bound.inside = False
                watchdog.call_off()
                break
            except BaseException as error:
                struck = error
        if struck is not None:
            try:
                raise struck
            finally:
                # Or it and this frame would hold each other, and the code's objects.
                del struck


def takes_for_real(handler: CodeType) -> None:
    """What this handler of another signal raises is sent from outside, too."""
    _HANDLERS.add(handler)


def is_interrupt(error: BaseException) -> bool:
    """Whether this is a KeyboardInterrupt sent from outside rather than raised by the code itself.

    The interpreter delivers a real one between instructions; only ``raise KeyboardInterrupt`` leaves a
    traceback whose innermost instruction is a raise, outside the installed SIGINT handler and those that
    ``takes_for_real`` named. In doubt it
    is taken for real.
    """
    if not genuine.is_kind(error, KeyboardInterrupt):
        return False
    if genuine.is_kind(error.__context__, KeyboardInterrupt):
        return True  # the code caught a real one and raised another
    handlers = {*_HANDLERS, getattr(signal.getsignal(signal.SIGINT), "__code__", None)}
    where = error.__traceback__
    if where is None:
        return True
    while True:
        if where.tb_frame.f_code in handlers:
            return True
        if where.tb_next is None:
            break
        where = where.tb_next
    return where.tb_frame.f_code.co_code[where.tb_lasti] != _RAISE


def summary(error: BaseException, limit: int = 200) -> str:
    """``"ValueError: text"`` of an exception without calling its ``__str__``."""
    name = genuine.type_name(type(error))
    arguments: tuple[Any, ...] = BaseException.__dict__["args"].__get__(error)
    said = next((a for a in arguments if genuine.is_kind(a, str)), None)
    if said is None:
        return name
    text = genuine.clean(str.__getitem__(said, slice(0, limit)))
    return f"{name}: {text}" if text else name
