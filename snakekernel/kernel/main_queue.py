"""What waits for the main thread: requests of ours and stock messages, in the order they came.

Rules: a stock message first goes to the channel thread, where ipykernel's own code routes it; until that is
done its place in the queue is kept, and nothing behind it passes. One of ours runs when its turn comes and no
earlier request still runs or awaits: at once, in the loop's callback, without a task or a lock. Comm messages
pass one that waits, as they pass a waiting cell in stock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..commands.dispatch import Outcome
from ..commands.suspending import Suspended
from ..wire.frame import BadFrame
from .incoming import Incoming
from .serving import Send, Serving
from .stopping import names_deadline

if TYPE_CHECKING:
    from .kernel import SnakeKernel

#: Requests served before the loop's other callbacks get their turn.
_BURST: Final = 16


class Place:
    """The place of a stock message in the queue: open until it is routed, then its frames, or none."""

    __slots__ = ("is_comm", "msg", "routed")

    def __init__(self, *, is_comm: bool = False) -> None:
        self.is_comm = is_comm
        self.routed = False
        self.msg: list[Any] | None = None

    def fill(self, msg: list[Any] | None) -> None:
        self.msg, self.routed = msg, True


class MainQueue:
    """The main thread's queue, used there but for ``put``, ``requests`` and ``take``, which are any thread's.

    Args:
        kernel: whose requests these are. loop: the main thread's.
        reply: sends the frames of a reply. busy: told before a request is served, and when the loop goes on.
        wake: has ``consume`` called soon.

    Attributes:
        is_serving: whether ``consume`` is under way.
    """

    def __init__(
        self,
        kernel: SnakeKernel,
        loop: asyncio.AbstractEventLoop,
        *,
        reply: Send,
        busy: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self._kernel = kernel
        self._overlapping = kernel.overlapping
        self._loop = loop
        self._reply = reply
        self._busy = busy
        self._wake = wake
        # All requests of the main shell see one context, as in stock.
        self._context = copy_context()
        self._places: deque[Incoming | Place] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self.is_serving = False

    def __bool__(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._places or self._running or self._overlapping)

    def put(self, entry: Incoming | Place) -> None:
        """The last in the queue."""
        if (
            (self._places or self.is_serving or self._running)
            and isinstance(entry, Incoming)
            and names_deadline(entry)
        ):
            self._kernel.stopping.watch(entry)
        self._places.append(entry)

    def requests(self) -> list[Incoming]:
        """Those of ours that wait; on any thread."""
        return [entry for entry in list(self._places) if isinstance(entry, Incoming)]

    def take(self, incoming: Incoming) -> bool:
        """Take a request out; False where it does not wait. On any thread: one call of C decides."""
        try:
            self._places.remove(incoming)
        except ValueError:
            return False
        return True

    def consume(self) -> None:
        """Serve what stands in the queue, as far as its turn has come."""
        if self.is_serving:
            # A request of ours runs a loop within the loop; what comes waits for its end.
            return
        self.is_serving = True
        try:
            for _ in range(_BURST):
                if not self._places or not self._next():
                    return
        finally:
            self.is_serving = False
            # Other callbacks may have their turn before the loop's next wait, and last: a GUI's loop does.
            if getattr(self._loop, "_ready", True):
                self._busy()
        self._wake()

    def _next(self) -> bool:
        """Serve the first in the queue; False where it must wait."""
        try:
            first = self._places[0]
        except IndexError:
            # It was taken out meanwhile.
            return False
        if isinstance(first, Incoming):
            if self._running:
                self._let_comms_pass()
                return False
            if not self._leaves(first):
                return True
            self._busy()
            awaits = self._context.run(self._serve, first)
            if awaits is None:
                return True
            serving, step = awaits
            if step.concurrent:
                self._overlapping.go_on(serving, step, self._loop, self._context.copy())
            else:
                # Outside of the context, which a task that starts at once enters again.
                self._run(self._locked(serving.finish(step)), serving)
            return True
        if not first.routed or not self._context_is_free():
            return False
        self._leaves(first)
        if first.msg is not None:
            self._run(self._kernel.shell_main(None, first.msg))
        return True

    def _leaves(self, first: Incoming | Place) -> bool:
        """Take out the first in the queue; False where another thread has taken it out."""
        try:
            if (leaves := self._places.popleft()) is first:
                return True
        except IndexError:
            return False
        self._places.appendleft(leaves)
        return False

    def _context_is_free(self) -> bool:
        """Whether a task can be started: not in a loop that a cell runs within the loop."""
        try:
            self._context.run(bool)
        except RuntimeError:
            return False
        return True

    def _let_comms_pass(self) -> None:
        if not self._context_is_free():
            return
        for waiting in list(self._places):
            if isinstance(waiting, Place) and waiting.is_comm and waiting.msg is not None:
                # Its place stays, empty.
                msg, waiting.msg = waiting.msg, None
                self._run(self._kernel.shell_main(None, msg))

    def _serve(self, incoming: Incoming) -> tuple[Serving, Suspended] | None:
        """Serve a request; what awaits is given back, to be gone on with."""
        kernel = self._kernel
        # Nothing else runs: where a handler that raises is left over, it must not strike between requests.
        kernel.interrupts.hold()
        try:
            serving = Serving(kernel, incoming, "shell", self._reply)
            if kernel.stopping.due:
                serving.run.interrupts.came = kernel.stopping.came(incoming)
            step = serving.begin()
            if not isinstance(step, Outcome):
                return serving, step
            serving.end(step)
        except BadFrame as error:
            kernel.dropped(error)
        except BaseException:  # a mistake of ours, or an interrupt; what stands behind is served all the same
            kernel.log.exception("A request failed in the kernel")
        return None

    def _run(self, work: Any, serving: Serving | None = None) -> None:
        task = self._loop.create_task(self._guarded(work), context=self._context)
        self._running.add(task)
        task.add_done_callback(partial(self._ran, serving))

    async def _locked(self, work: Any) -> None:
        # Comm messages look at this lock to know that a request is under way.
        async with self._kernel._main_asyncio_lock:
            await work

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except KeyboardInterrupt:
            # Between two lines of ipykernel's; out of a task it would end the kernel.
            self._kernel.log.error("KeyboardInterrupt caught in kernel.")
            if not self._kernel._main_asyncio_lock.locked():
                # It may have kept ipykernel from putting back the handler that raises nothing.
                self._kernel.interrupts.hold()
        except Exception:
            self._kernel.log.exception("A request failed in the kernel")

    def _ran(self, serving: Serving | None, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if serving is not None and not serving.is_over:
            # User code cancelled all tasks that it found.
            serving.end(serving.run.fail(asyncio.CancelledError()))
        self.consume()
