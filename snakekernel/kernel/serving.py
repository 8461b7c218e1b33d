"""One request of ours on the main thread or a subshell's: from an admitted message to its one reply.

Rules: ``begin`` runs the request as far as it goes without awaiting, which is most often to its end; ``end``
replies and puts back what ``begin`` changed. Whoever calls them holds the order of the shell channel.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

# The C functions under signal's, whose conversions to enums a small call feels; typeshed leaves them out.
from _signal import getsignal  # type: ignore[import-not-found]
from _signal import signal as swap_handler
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..commands.dispatch import Outcome, Run
from ..commands.interrupts import Interrupts, ThreadInterrupts, entered
from ..commands.suspending import Suspended
from ..wire.frame import Frame
from ..wire.names import Door
from .awaiting import ALONE, awaited
from .incoming import Incoming
from .outgoing import RequesterOf, frames_to

if TYPE_CHECKING:
    from .kernel import SnakeKernel

_SIGINT: Final = int(signal.SIGINT)
_INLINE: Final = "matplotlib_inline.backend_inline"

#: Seconds from which on two system calls more make no difference.
_LONG: Final = 0.001
_MAIN: Final = threading.main_thread().ident

T = TypeVar("T")

#: Sends the frames of a reply.
Send = Callable[[list[Any]], object]


def admitted(kernel: SnakeKernel, incoming: Incoming) -> Frame:
    """Verify a request's signature; raises BadFrame where it is wrong or was seen before."""
    kernel.envelope.admit(incoming.signed)
    header, signed = incoming.header, incoming.signed
    return Frame(
        header["msg_type"],
        header["msg_id"],
        signed[4],
        signed[3],
        [memoryview(part) for part in incoming.buffers],
        str(header.get("session", "")),
        str(header.get("username", "")),
    )


class InterruptsOfRequests:
    """Gives interrupts to the request that runs on the main thread.

    Its handler stays installed, since changing handlers costs two system calls: between requests it ignores
    interrupts, as stock does there. Where user code has put another handler in its place, it takes that one's
    for as long as a request runs.
    """

    def __init__(self) -> None:
        self._current: Interrupts | None = None
        #: Of requests that await beside others.
        self.awaiting: set[Interrupts] = set()
        self._handler = self._struck

    def install(self) -> None:
        """Take the place of a handler that ignores interrupts."""
        if signal.getsignal(_SIGINT) is signal.SIG_IGN:
            swap_handler(_SIGINT, self._handler)

    def catch(self, interrupts: Interrupts) -> Any:
        """Give interrupts to a request; returns what ``release`` puts back."""
        saved = self.hold()
        before, self._current = self._current, interrupts
        # A request within another one's code: what is meant for that one waits.
        was_armed = before is not None and before.hold()
        return saved, before, was_armed

    def hold(self) -> Any:
        """No user code runs: what handler it may have left must not strike. Returns that handler."""
        saved = getsignal(_SIGINT)
        if saved is not self._handler:
            swap_handler(_SIGINT, self._handler)
        return saved

    def held(self) -> AbstractContextManager[None]:
        """Our own lines within user code, on any thread: an interrupt of the request strikes after them."""
        thread = threading.get_ident()
        current = self._current if thread == _MAIN else entered.get(thread)
        return nullcontext() if current is None else current.held()

    def after(self, work: Callable[..., T], *args: Any) -> T:
        """Do something that must not be broken into; an interrupt of a cell's strikes after it."""
        if self._current is not None or entered:
            with self.held():
                return self._after_cell(work, *args)
        return self._after_cell(work, *args)

    def _after_cell(self, work: Callable[..., T], *args: Any) -> T:
        saved = getsignal(_SIGINT)
        if saved is self._handler or not callable(saved) or threading.get_ident() != _MAIN:
            return work(*args)
        struck: list[Any] = []
        swap_handler(_SIGINT, lambda signum, frame: struck.append(frame))
        try:
            return work(*args)
        finally:
            swap_handler(_SIGINT, saved)
            if struck:
                saved(_SIGINT, struck[0])

    def release(self, caught: Any, *, was_long: bool) -> None:
        """The request is over."""
        saved, before, was_armed = caught
        self._current = before
        if before is not None and before.let(was_armed):
            # The loop is one that its code runs, and hands it on.
            asyncio.get_running_loop().call_soon(before.request, before.reason)
        # Long ones may have loaded a library that changed the handler where Python does not see it.
        if was_long or getsignal(_SIGINT) is not saved:
            swap_handler(_SIGINT, saved)

    def over(self) -> None:
        """The reply of the request goes out: who sees it may interrupt those that await."""
        self._current = None

    def _struck(self, signum: int, frame: Any) -> None:
        current = self._current
        if current is None or not current.holds_thread:
            for interrupts in self.awaiting - {current}:
                interrupts.request()
        if current is not None:
            current.request()


class _Piece:
    """A piece of a request's code that runs between others': it gets the interrupts."""

    __slots__ = ("_caught", "_interrupts", "_owner")

    def __init__(self, owner: InterruptsOfRequests, interrupts: Interrupts) -> None:
        self._owner = owner
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._caught = self._owner.catch(self._interrupts)

    def __exit__(self, *exc_info: object) -> None:
        # As what ran may have been long, and what it stands in may have a handler of its own.
        self._owner.release(self._caught, was_long=True)


class Serving:
    """A request under way. Making one verifies it; raises BadFrame.

    Attributes:
        run: the request's run through the dispatcher. is_over: whether its reply is sent, or being sent.
        requester: reaches who asked, beside the reply.
        on_end: told how it ended, on its thread; for who wants it stopped.
    """

    __slots__ = (
        "_activity",
        "_caught",
        "_incoming",
        "_kernel",
        "_on_main",
        "_piece",
        "_send",
        "is_over",
        "on_end",
        "requester",
        "run",
    )

    def __init__(self, kernel: SnakeKernel, incoming: Incoming, door: Door, send: Send) -> None:
        self._kernel = kernel
        self._incoming = incoming
        self._send = send
        self.is_over = False
        frame, self.requester = admitted(kernel, incoming), RequesterOf(kernel, incoming, door)
        self._on_main = threading.get_ident() == _MAIN
        interrupts = Interrupts() if self._on_main else ThreadInterrupts()
        self.run = Run(frame, kernel.runtime, door, interrupts=interrupts, requester=self.requester)
        self.on_end: Callable[[Outcome], object] | None = None
        #: Where it goes on beside others.
        self._piece: _Piece | None = None

    def begin(self) -> Suspended | Outcome:
        """Run until the request ends or awaits something."""
        kernel, parent = self._kernel, self._incoming.parent()
        self._activity = kernel.activities.begin(parent, self)
        if self._on_main:
            self._caught = kernel.interrupts.catch(self.run.interrupts)
        try:
            if kernel.parents.of_cells:
                kernel.parents.set_here(self._incoming.identities, parent)
            else:
                kernel.set_parent(self._incoming.identities, parent, channel="shell")
        except BaseException:  # it tells sys.stdout, and user code may have put anything there
            kernel.log.warning("sys.stdout or sys.stderr was replaced by what cannot be told its request")
        return self.run.resume()

    def detach(self) -> None:
        """It awaits on the main thread, and others are served meanwhile: only its own code is its own."""
        interrupts = self._kernel.interrupts
        interrupts.release(self._caught, was_long=True)
        # Off the lane interrupts are ignored between requests.
        interrupts.install()
        interrupts.awaiting.add(self.run.interrupts)
        self._piece = _Piece(interrupts, self.run.interrupts)

    async def finish(self, step: Suspended | Outcome) -> None:
        """Await what the request awaits, on to its end, and reply."""
        piece = self._piece or ALONE
        try:
            while not isinstance(step, Outcome):
                step = await awaited(self.run, step.awaitable, piece)
        except BaseException as error:
            self.end(self.run.fail(error))
            raise
        self.end(step)

    def end(self, outcome: Outcome) -> None:
        """Reply."""
        kernel = self._kernel
        self.is_over = True
        self.run.interrupts.disarm()
        if self._piece is not None:
            kernel.interrupts.awaiting.discard(self.run.interrupts)
            self._caught = kernel.interrupts.catch(self.run.interrupts)
        if self._on_main:
            kernel.interrupts.hold()
        try:
            if kernel.is_forked:
                # The call forked and its child came back to us: one reply is the parent's to send.
                os._exit(0)
            if kernel.reports.kept:
                kernel.reports.finish(self._incoming.header)
            _flush_output(kernel)
            try:
                frames = self._frames(outcome)
            except Exception as error:
                # A buffer of a plugin's that is none, say.
                frames = self._frames(self.run.fail(error))
            if self._on_main and kernel.interrupts.awaiting:
                kernel.interrupts.over()
            self._send(frames)
        finally:
            kernel.activities.end(self._activity)
            if self.on_end is not None:
                self.on_end(outcome)
            if self._on_main:
                was_long = monotonic() - self._activity.started > _LONG
                kernel.interrupts.release(self._caught, was_long=was_long)
            kernel.expiry.arm()
            if kernel.watches.is_on:
                kernel.watching.ended()

    def _frames(self, outcome: Outcome) -> list[Any]:
        packed = self.run.pack(outcome, output=self._activity.outputs)
        run = self.run
        return frames_to(self._kernel, self._incoming, run.frame.session, run.reply_type, packed)


def _flush_output(kernel: SnakeKernel) -> None:
    inline = sys.modules.get(_INLINE)
    if inline is not None:
        try:
            # Cells flush their figures in post_execute, which our requests never fire.
            inline.flush_figures()
        except Exception:
            kernel.log.exception("Figures could not be shown")
    for name in ("stdout", "stderr"):
        try:
            stream = getattr(sys, name, None)
            # A flush waits for the iopub thread, which costs more than a small call.
            if stream is not None and getattr(stream, "_flush_pending", True):
                stream.flush()
        except BaseException:  # a stream that user code put there may raise anything
            continue
