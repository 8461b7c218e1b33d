"""Exceptions raised in another thread, between two of its instructions, and in no other.

Until Python 3.12 a thread that is about to begin carries the id of the one that starts it. An exception set
by that id strikes the new thread then: it dies before its first line, and ``Thread.start`` waits for ever
for it to begin. So a strike waits until what its thread starts has begun, and a start until what strikes its
thread has struck. Each says first what it is about to do and looks at the other's saying then, so that one
of the two waits whichever comes first, without a lock that a strike could leave closed.
"""

from __future__ import annotations

import _thread
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

#: Whether threads that are about to begin carry their starter's id.
_IS_SHARED: Final = sys.version_info < (3, 12)
#: Seconds between two looks at threads that are about to begin, and in all.
_PAUSE: Final = 0.0005
_PATIENCE: Final = 1.0
#: Enough for an exception under way to be raised.
_JUMPS: Final = 10

#: Starts and strikes under way: the thread that starts or is struck, and what tells two of its own apart.
_Mark = tuple[int, object]
_starts: Final[set[_Mark]] = set()
_strikes: Final[set[_Mark]] = set()

_stock_start: Final[Callable[..., int]] = _thread.start_new_thread


def prepare() -> None:
    """Have starts of threads be known from now on. To be called before user code runs that may be struck."""
    if _IS_SHARED and _thread.start_new_thread is not _start:
        os.register_at_fork(after_in_child=_forget)
        vars(_thread)["start_new_thread"] = vars(_thread)["start_new"] = _start
        vars(threading)["_start_new_thread"] = _start


def strike(thread: int, error: type[BaseException]) -> None:
    """Raise ``error`` in the thread of this id when it runs Python code next; waits for a second at most."""
    mark = (thread, object())
    until = time.monotonic() + _PATIENCE
    try:
        _strikes.add(mark)
        while _is_under_way(_starts, thread) and time.monotonic() < until:
            _strikes.discard(mark)
            time.sleep(_PAUSE)
            _strikes.add(mark)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
    finally:
        _strikes.discard(mark)


def let_come() -> None:
    """Have what was set for this thread, and was not raised yet, be raised here.

    It is not cleared by the C function that sets it: Python 3.11 believes for ever then that there is one,
    and hangs where code is traced.
    """
    for _ in range(_JUMPS):
        pass


def _forget() -> None:
    # The threads that would take their marks back are not in the child.
    _starts.clear()
    _strikes.clear()


def _is_under_way(marks: set[_Mark], thread: int) -> bool:
    # Copied by one C call: others add to them meanwhile.
    return any(one == thread for one, _ in list(marks))


def _start(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
) -> int:
    """``_thread.start_new_thread``."""
    if not callable(function):
        raise TypeError("first arg must be callable")
    here = _thread.get_ident()
    mark = (here, object())
    try:
        _starts.add(mark)
        while _is_under_way(_strikes, here):
            time.sleep(_PAUSE)
        return _stock_start(_begin, (mark, function, args, kwargs or {}))
    except BaseException:
        _starts.discard(mark)
        raise


def _begin(
    mark: _Mark, function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """The first lines of a new thread: it has an id of its own here."""
    _starts.discard(mark)
    function(*args, **kwargs)
