"""Run user code (a ``__repr__``, a ``__len__``) for a bounded time and survive whatever it raises.

Rules
- On the main thread the bound is ``SIGALRM`` by ``setitimer``: it ends Python code and blocking system
  calls (``time.sleep``). A handler and timer of the user's are put back, with the time that passed taken
  off; a timer due meanwhile fires at once afterwards, at most the bound late.
- On other threads, and where there is no ``setitimer``, a watchdog thread raises an asynchronous
  exception in the running thread. It is joined before the call returns, so no thread outlives a call.
- A real interrupt passes through; a ``KeyboardInterrupt`` that the code raises itself does not.

Limits, which no library can lift within one process: C code that holds the interpreter is stopped only
when it returns; off the main thread so is a blocking system call (``time.sleep(10)`` takes its ten
seconds); code that catches ``BaseException`` in an endless loop is stopped by nothing.
"""

from __future__ import annotations

import ctypes
import dis
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, Generic, TypeVar

from snakekernel.inspection import genuine

T = TypeVar("T")

#: Seconds after which the exception is raised again, for code that swallowed the first one.
_AGAIN: Final = 0.05

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
        self.inside = True
        self.fired = False
        self.over = threading.Event()


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


def _by_timer(code: Callable[[], T], seconds: float, bound: _Bound) -> T:
    home = sys._getframe()

    def expire(signum: int, frame: FrameType | None) -> None:
        # Raising in `home` itself could cut its clean-up short; there the code is over anyway.
        if bound.inside and frame is not home:
            raise bound.error

    handler = signal.getsignal(signal.SIGALRM)
    due, interval = signal.getitimer(signal.ITIMER_REAL)
    started = time.monotonic()
    try:
        signal.signal(signal.SIGALRM, expire)
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
        return code()
    finally:
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                bound.inside = False
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, handler)
                if due > 0:
                    signal.setitimer(
                        signal.ITIMER_REAL, max(due - (time.monotonic() - started), 1e-6), interval
                    )
                break
            except KeyboardInterrupt as error:  # arrived just now: finish putting things back first
                interrupt = error
        if interrupt is not None:
            raise interrupt


def _by_watchdog(code: Callable[[], T], seconds: float, bound: _Bound) -> T:
    thread = threading.get_ident()
    watchdog = threading.Thread(
        target=_watch, args=(bound, thread, seconds), name="snakekernel-watchdog", daemon=True
    )
    watchdog.start()
    try:
        try:
            return code()
        finally:
            _call_off(bound, watchdog, thread)
    except bound.error:
        # It may have struck inside the first clean-up; after this one the watchdog is surely gone.
        _call_off(bound, watchdog, thread)
        raise


def _watch(bound: _Bound, thread: int, seconds: float) -> None:
    pause = seconds
    while not bound.over.wait(pause):
        if bound.inside:
            bound.fired = True
            _raise_in(thread, bound.error)
        pause = _AGAIN


def _call_off(bound: _Bound, watchdog: threading.Thread, thread: int) -> None:
    bound.inside = False
    bound.over.set()
    watchdog.join()
    if bound.fired:
        _raise_in(thread, None)  # one that was set but not yet delivered


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )


def is_interrupt(error: BaseException) -> bool:
    """Whether this is a KeyboardInterrupt sent from outside rather than raised by the code itself.

    The interpreter delivers a real one between instructions; only ``raise KeyboardInterrupt`` leaves a
    traceback whose innermost instruction is a raise, outside the installed SIGINT handler. In doubt it
    is taken for real.
    """
    if type(error) is not KeyboardInterrupt:
        return False
    if genuine.is_kind(error.__context__, KeyboardInterrupt):
        return True  # the code caught a real one and raised another
    handler = getattr(signal.getsignal(signal.SIGINT), "__code__", None)
    where = error.__traceback__
    if where is None:
        return True
    while True:
        if where.tb_frame.f_code is handler:
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
