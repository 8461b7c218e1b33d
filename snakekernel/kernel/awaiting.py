"""Awaiting user code on the kernel's loop: its exceptions do not reach the loop, and interrupts reach it.

Rules: an asyncio task lets SystemExit and KeyboardInterrupt out of the loop, which ends the kernel: here they
are caught inside the task. An interrupt raises KeyboardInterrupt in the awaited code where that holds the
thread, and cancels it where it is suspended.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from ..commands.dispatch import Outcome, Run
from ..commands.interrupts import Interrupts
from ..commands.suspending import Suspended

#: Entered around each piece of a request's code that runs between others'.
Piece = AbstractContextManager[Any]
ALONE: Final[Piece] = nullcontext()


async def awaited(run: Run, awaitable: Any, piece: Piece = ALONE) -> Suspended | Outcome:
    """Await what a request awaits, and go on with it."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(_caught(awaitable, run.interrupts, piece))
    run.interrupts.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
    try:
        value, error = await task
    except asyncio.CancelledError as cancelled:
        # Cancelled before its first step.
        value, error = None, cancelled
    finally:
        run.interrupts.cancel = None
    with piece:
        return run.resume(value) if error is None else run.throw(error)


async def _caught(awaitable: Any, interrupts: Interrupts, piece: Piece) -> tuple[Any, BaseException | None]:
    try:
        return await _stepwise(awaitable, interrupts, piece), None
    except BaseException as error:  # user code may raise anything; the loop must not see it
        # Nor an interrupt, which may have struck while the code was being left.
        interrupts.disarm()
        return None, error


@types.coroutine
def _stepwise(awaitable: Any, interrupts: Interrupts, piece: Piece) -> Generator[Any, Any, Any]:
    """``await awaitable``, with interrupts delivered while its own code runs."""
    steps = awaitable.__await__() if hasattr(awaitable, "__await__") else awaitable
    sent: Any = None
    thrown: BaseException | None = None
    while True:
        try:
            with piece, interrupts:
                if thrown is not None:
                    # An iterator that cannot be thrown into is left where it is, as `await` does.
                    waited = steps.throw(thrown) if hasattr(steps, "throw") else _raise(thrown)
                else:
                    waited = steps.send(sent) if hasattr(steps, "send") else next(steps)
        except StopIteration as stop:
            return stop.value
        sent = thrown = None
        try:
            sent = yield waited
        except BaseException as error:  # a cancellation, or what the awaited future raised
            thrown = error


def _raise(error: BaseException) -> Any:
    raise error
