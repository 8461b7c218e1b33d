"""Threads of the kernel's own, and what one has another do."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

#: How the names of our own threads begin, which belong to no request.
OWN: Final = "snakekernel"


def start(target: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread that a debugger leaves alone, as it does ipykernel's: it passes breakpoints."""
    thread = threading.Thread(target=target, name=f"{OWN} {name}", daemon=True)
    for mark in ("pydev_do_not_trace", "is_pydev_daemon_thread"):
        setattr(thread, mark, True)
    thread.start()
    return thread


def lives_with(thread: threading.Thread, loop: asyncio.AbstractEventLoop) -> None:
    """Have a thread tell whether it is alive by the loop that it runs from its start to its end.

    Before Python 3.13 an interrupt that strikes in ``is_alive`` marks a running thread as ended, for good.
    """
    process = os.getpid()

    def is_alive() -> bool:
        # A child that user code forks has none of its parent's threads.
        return not loop.is_closed() and os.getpid() == process

    thread.is_alive = is_alive  # type: ignore[method-assign]


def on_main(loop: asyncio.AbstractEventLoop | None, function: Callable[[], T]) -> T:
    """What a function gives on the main thread, whose ``loop`` it is; before that runs, on this one."""
    if threading.current_thread() is threading.main_thread() or loop is None:
        return function()
    return on_loop(loop, function)


def on_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], T], timeout: float | None = None) -> T:
    """What a function gives on another thread, whose ``loop`` it is.

    Raises what the function raises, TimeoutError where it takes longer, and RuntimeError where the loop is
    closed.
    """
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # handed to the thread that asked
            future.set_exception(error)

    loop.call_soon_threadsafe(work)
    return future.result(timeout)
