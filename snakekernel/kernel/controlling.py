"""Requests on control: served on its thread, beside whatever the main thread does, and without any status.

Rules: a request that only waits does so in a task of its own, for control serves one message at a time and
cancelling is one; what may take long goes to the inspector's thread.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from ..commands.dispatch import Outcome, Run
from ..commands.outcomes import Packed
from ..commands.suspending import Moving, Suspended
from ..wire.frame import BadFrame
from .awaiting import awaited
from .incoming import Incoming
from .outgoing import RequesterOf, frames_to, send_on_control
from .serving import admitted

if TYPE_CHECKING:
    from .kernel import SnakeKernel


class Controlling:
    """Serves a kernel's requests on control; ``serve`` is called on control's loop."""

    def __init__(self, kernel: SnakeKernel) -> None:
        self._kernel = kernel
        #: Of requests that wait for something.
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, incoming: Incoming) -> None:
        """Serve a request."""
        kernel = self._kernel
        try:
            tell = partial(kernel.reports.publish, incoming.parent())
            requester = RequesterOf(kernel, incoming, "control")
            run = Run(admitted(kernel, incoming), kernel.runtime, "control", tell=tell, requester=requester)
        except BadFrame as error:
            kernel.dropped(error)
            return
        step = run.resume()
        if isinstance(step, Outcome):
            self._reply(incoming, run, run.pack(step))
        elif isinstance(step, Moving):
            kernel.inspector.submit(run, partial(self._reply, incoming, run))
        else:
            task = asyncio.get_running_loop().create_task(self._finish(incoming, run, step))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _finish(self, incoming: Incoming, run: Run, step: Suspended | Outcome) -> None:
        while not isinstance(step, Outcome):
            step = await awaited(run, step.awaitable)
        self._reply(incoming, run, run.pack(step))

    def _reply(self, incoming: Incoming, run: Run, packed: Packed) -> None:
        kernel = self._kernel
        send_on_control(kernel, frames_to(kernel, incoming, run.frame.session, run.reply_type, packed))
        kernel.expiry.arm()
