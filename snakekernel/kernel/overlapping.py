"""Requests that go on beside others on the main thread: calls sent with ``concurrent`` that await something.

Rules: such a request holds the queue until it awaits and no longer. From there on it is a task with a context
of its own, so that its output stays its own and what it sets is seen by nobody else. Between its pieces of
code others run; each piece takes the interrupts for itself (``Serving.detach``).
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING

from ..commands.suspending import Suspended
from .serving import Serving

if TYPE_CHECKING:
    from .kernel import SnakeKernel


class Overlapping:
    """The requests under way beside the queue; used on the main thread."""

    def __init__(self, kernel: SnakeKernel) -> None:
        self._kernel = kernel
        self._tasks: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    async def serve(self, serving: Serving) -> None:
        """Serve a request where ipykernel's own code brought it; it may go on after this."""
        step = serving.begin()
        if isinstance(step, Suspended) and step.concurrent:
            self.go_on(serving, step, asyncio.get_running_loop(), copy_context())
        else:
            await serving.finish(step)

    def go_on(
        self, serving: Serving, step: Suspended, loop: asyncio.AbstractEventLoop, context: Context
    ) -> None:
        """Go on with a request that awaits.

        Args:
            context: its own.
        """
        serving.detach()
        task = loop.create_task(self._finished(serving, step), context=context)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ran, serving))

    async def _finished(self, serving: Serving, step: Suspended) -> None:
        try:
            await serving.finish(step)
        except BaseException:  # it is answered; out of a task an interrupt would end the kernel
            self._kernel.log.exception("A request failed in the kernel")

    def _ran(self, serving: Serving, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not serving.is_over:
            # User code cancelled all tasks that it found.
            serving.end(serving.run.fail(asyncio.CancelledError()))
