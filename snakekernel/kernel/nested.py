"""Requests that a client makes within a call of its function, run where that call waits.

Rules: each is served as any other, with its own parent, status, interrupts and exactly one reply, by control;
afterwards the request around it goes on as it was. What such a request awaits runs on a loop of its own, for
the loop of this thread, if it has one, waits for the call.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from ..commands.dispatch import Outcome
from ..commands.suspending import Suspended
from ..wire.frame import BadFrame
from .incoming import Incoming
from .outgoing import send_on_control
from .serving import Serving

if TYPE_CHECKING:
    from .kernel import SnakeKernel


def serve_here(kernel: SnakeKernel, incoming: Incoming) -> None:
    """Serve a request to its end on this thread."""
    serving = _admitted(kernel, incoming)
    if serving is None:
        return
    ident, parent = _parent_of(kernel)
    try:
        step = serving.begin()
        if isinstance(step, Outcome):
            serving.end(step)
        else:
            _run(serving, step)
    except Exception:
        kernel.log.exception("A request within a client's function failed in the kernel")
    finally:
        _put_back(kernel, ident, parent)


def serve_on_loop(
    kernel: SnakeKernel, incoming: Incoming, loop: asyncio.AbstractEventLoop
) -> asyncio.Task[None] | None:
    """Serve a request on this loop, which runs; returns the task that it goes on as where it awaits."""
    serving = _admitted(kernel, incoming)
    if serving is None:
        return None
    ident, parent = _parent_of(kernel)
    try:
        step = serving.begin()
        if isinstance(step, Outcome):
            serving.end(step)
            return None
        if threading.current_thread() is threading.main_thread():
            # Others run between its pieces, that which waits for the function among them.
            serving.detach()
        task = loop.create_task(_finished(kernel, serving, step))
        task.add_done_callback(partial(_ran, serving))
        return task
    finally:
        _put_back(kernel, ident, parent)


async def _finished(kernel: SnakeKernel, serving: Serving, step: Suspended) -> None:
    try:
        await serving.finish(step)
    except BaseException:  # it is answered; out of a task an interrupt would end the kernel
        kernel.log.exception("A request within a client's function failed in the kernel")


def _ran(serving: Serving, task: asyncio.Task[None]) -> None:
    if not serving.is_over:
        # User code cancelled all tasks that it found.
        serving.end(serving.run.fail(asyncio.CancelledError()))


def _parent_of(kernel: SnakeKernel) -> tuple[Any, Any]:
    """The request that runs here, as ipykernel knows it: its client's identity, its header."""
    return kernel._get_shell_context_var(kernel._shell_parent_ident), kernel.get_parent("shell")


def _put_back(kernel: SnakeKernel, ident: Any, parent: Any) -> None:
    if kernel.parents.of_cells:
        kernel.parents.set_here(ident, parent)
    else:
        kernel.set_parent(ident, parent, channel="shell")


def _admitted(kernel: SnakeKernel, incoming: Incoming) -> Serving | None:
    try:
        return Serving(kernel, incoming, "callback", partial(send_on_control, kernel))
    except BadFrame as error:
        kernel.dropped(error)
        return None


def _run(serving: Serving, step: Suspended) -> None:
    """Await on a loop of its own; the one that runs on this thread, if any, is set aside."""
    running = asyncio._get_running_loop()
    task = None
    if running is not None and sys.version_info >= (3, 12):
        # From 3.14 on a thread knows one task.
        task = asyncio.tasks._swap_current_task(running, None)
    asyncio._set_running_loop(None)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(serving.finish(step))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
        asyncio._set_running_loop(running)
        if running is not None and sys.version_info >= (3, 12):
            asyncio.tasks._swap_current_task(running, task)
