"""Stopping one request wherever it is: by ``cancel``, or at its deadline, on the control thread.

Rules: a request that waits is taken out of its queue and answered at once, also while the main thread is
stuck; whoever takes it out owns its reply. One that runs on the main thread is reached by a signal of our
own, whose handler looks whom it is for: an interrupt (SIGINT) would strike whatever runs by then. One on a
subshell's thread is reached by an asynchronous exception (``ThreadInterrupts``). What is said of a request is
what became of it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..commands.dispatch import Outcome, Run
from ..commands.interrupts import Interrupts, Reason, ThreadInterrupts, stopped
from ..commands.runtime import State
from ..inspection.timed import takes_for_real
from ..wire.errors import Cancelled, SnakeError
from ..wire.frame import BadFrame, unpack_object
from ..wire.names import Door
from .incoming import Incoming
from .outgoing import RequesterOf, frames_to, send_on_shell
from .serving import Serving, admitted

if TYPE_CHECKING:
    from .kernel import SnakeKernel

#: Seconds to wait for a request to stop before the answer is that it was asked to.
_PATIENCE: Final = 0.5
#: Seconds after which a signal that nobody took is sent again, and at most between two of them.
_AGAIN: Final = 0.01
_SELDOM: Final = 1.0
#: Seconds between looks for a request that ``cancel`` may have overtaken.
_LOOKS: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.2)
_DEADLINE: Final = b'"deadline"'
_CALL_ID: Final = b'"call_id"'
#: JSON may spell any letter so.
_ESCAPED: Final = b"\\u"
_MAIN: Final = threading.main_thread()


def _key(incoming: Incoming) -> bytes:
    """What no other message has: its signature, and its header where nothing is signed."""
    return incoming.signed[0] + incoming.signed[1]


def names_deadline(incoming: Incoming) -> bool:
    """Whether a request may have a deadline, by a glance."""
    return _DEADLINE in incoming.signed[4]


def _field(incoming: Incoming, name: str) -> Any:
    try:
        return unpack_object(incoming.signed[4]).get(name)
    except SnakeError:
        # What cannot be read is refused at its turn.
        return None


def _names(incoming: Incoming, call_id: str | None) -> bool:
    content = incoming.signed[4]
    named = _CALL_ID in content or _ESCAPED in content
    return named and bool(_field(incoming, "call_id") == call_id)


class _Wanted:
    """The request that a client wants stopped: one of its own."""

    def __init__(self, msg_id: str | None, call_id: str | None, sender: str) -> None:
        self._msg_id = msg_id
        self._call_id = call_id
        self._sender = sender

    def waits(self, incoming: Incoming) -> bool:
        """Whether it is this one, which waits."""
        header = incoming.header
        if header.get("session") != self._sender:
            return False
        if self._msg_id is not None:
            return bool(header["msg_id"] == self._msg_id)
        return _names(incoming, self._call_id)

    def runs(self, run: Run) -> bool:
        """Whether it is this one, which runs."""
        if run.frame.session != self._sender:
            return False
        return run.frame.msg_id == self._msg_id if self._msg_id is not None else run.call_id == self._call_id


class Deadline:
    """Has a request stopped after some seconds, unless that is called off. Made on any thread."""

    def __init__(self, loop: Any, seconds: float, function: Callable[[], object]) -> None:
        self._loop = loop
        self._at = monotonic() + seconds
        self._function: Callable[[], object] | None = function
        self._handle: Any = None
        loop.add_callback(self._begin)

    def _begin(self) -> None:
        if self._function is not None:
            self._handle = self._loop.call_later(max(0.0, self._at - monotonic()), self._strike)

    def _strike(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()

    def call_off(self) -> None:
        """It is over; on any thread. What it would stop is let go of."""
        if self._function is not None:
            self._function = None
            self._loop.add_callback(self._end)

    def _end(self) -> None:
        if self._handle is not None:
            self._loop.remove_timeout(self._handle)


class Stopping:
    """Stops requests of one kernel."""

    def __init__(self, kernel: SnakeKernel) -> None:
        self._kernel = kernel
        #: Requests on their way to a subshell's thread, or ipykernel's own way to the main one.
        self._waiting: dict[bytes, Incoming] = {}
        #: Those of them that were taken out: their messages come to that thread all the same.
        self._taken: set[bytes] = set()
        self._lock = threading.Lock()
        #: When those came that wait and have a deadline, and what watches it; most often there are none.
        self.due: dict[bytes, tuple[float, Deadline]] = {}
        self._asked: deque[tuple[Interrupts, Reason]] = deque()
        self._signal: int | None = None
        self._handler = self._struck

    def install(self) -> None:
        """On the main thread: take a signal that nobody uses, where there are such."""
        first, last = getattr(signal, "SIGRTMIN", None), getattr(signal, "SIGRTMAX", None)
        if first is None or last is None or threading.current_thread() is not _MAIN:
            return
        for number in range(int(last), int(first), -1):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._handler)
                self._signal = number
                takes_for_real(Stopping._struck.__code__)
                return

    # -- what runs -----------------------------------------------------------------------------------

    def stop(self, interrupts: Interrupts, reason: Reason) -> None:
        """Have a request stop that runs; on any thread. One that is over is not touched."""
        if isinstance(interrupts, ThreadInterrupts):
            interrupts.request(reason)
            return
        self._asked.append((interrupts, reason))
        self._knock()
        loop = self._kernel.control_loop
        loop.add_callback(loop.call_later, _AGAIN, self._knock_again, 2 * _AGAIN)

    def _knock(self) -> None:
        number = self._signal
        # User code may have put another handler in its place, or the one that ends the process.
        if number is not None and signal.getsignal(number) == self._handler:
            signal.pthread_kill(_MAIN.ident or 0, number)
        elif self._kernel.main_loop is not None:
            # Between two callbacks: that stops what awaits.
            self._kernel.main_loop.call_soon_threadsafe(self._deliver)

    def _knock_again(self, pause: float) -> None:
        """Of a signal that comes as native code is about to wait nobody hears before the wait is over."""
        if self._asked:
            self._knock()
            self._kernel.control_loop.call_later(pause, self._knock_again, min(2 * pause, _SELDOM))

    def _struck(self, signum: int, frame: Any) -> None:
        self._deliver()

    def _deliver(self) -> None:
        """On the main thread: hand out what was asked; raises where it is for the code that runs now."""
        struck = False
        while self._asked:
            interrupts, reason = self._asked.popleft()
            try:
                interrupts.request(reason)
            except KeyboardInterrupt:
                struck = True
        if struck:
            raise KeyboardInterrupt

    def after(self, interrupts: Interrupts, seconds: float) -> Callable[[], None]:
        """Have a request stop at its deadline; what is returned calls that off."""
        loop = self._kernel.control_loop
        return Deadline(loop, seconds, lambda: self.stop(interrupts, "deadline")).call_off

    # -- what waits ----------------------------------------------------------------------------------

    def watch(self, incoming: Incoming) -> None:
        """A request that waits for its turn may have a deadline."""
        came, key = monotonic(), _key(incoming)
        seconds = _field(incoming, "deadline")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < 1e9:
            return
        over = Deadline(self._kernel.control_loop, seconds, lambda: self._expired(incoming))
        self.due[key] = came, over

    def came(self, incoming: Incoming) -> float | None:
        """When a request came whose turn it is, where it had to wait and has a deadline."""
        due = self.due.pop(_key(incoming), None)
        if due is None:
            return None
        came, over = due
        over.call_off()
        return came

    def waits(self, incoming: Incoming) -> None:
        """A request is on its way to another thread, by which ``begins`` is asked."""
        with self._lock:
            self._waiting[_key(incoming)] = incoming
        if names_deadline(incoming):
            self.watch(incoming)

    def begins(self, incoming: Incoming) -> bool:
        """Whether a request that comes to its thread is still to be served."""
        key = _key(incoming)
        with self._lock:
            self._waiting.pop(key, None)
            if key not in self._taken:
                return True
            self._taken.discard(key)
            return False

    def _take(self, incoming: Incoming) -> bool:
        """Take a request out that waits; whoever does answers it."""
        lane = self._kernel.lane
        if lane is not None and lane.queue.take(incoming):
            return True
        key = _key(incoming)
        with self._lock:
            if self._waiting.pop(key, None) is None:
                return False
            self._taken.add(key)
            return True

    def _all_waiting(self) -> list[Incoming]:
        lane = self._kernel.lane
        waiting = [] if lane is None else lane.queue.requests()
        with self._lock:
            waiting.extend(self._waiting.values())
        return waiting

    def _find_waiting(self, wanted: _Wanted) -> Incoming | None:
        return next((one for one in self._all_waiting() if wanted.waits(one)), None)

    def has_waiting(self, call_id: str) -> bool:
        """Whether a request with this call id, of any client, waits for its turn."""
        return any(_names(one, call_id) for one in self._all_waiting())

    def _expired(self, incoming: Incoming) -> None:
        self.due.pop(_key(incoming), None)
        if self._take(incoming):
            self._answer(incoming, "deadline")

    def _answer(self, incoming: Incoming, reason: Reason) -> str | None:
        """Answer a request that never begins; returns the code of its reply, None where it is no request."""
        kernel = self._kernel
        try:
            frame = admitted(kernel, incoming)
        except BadFrame as error:
            kernel.dropped(error)
            return None
        door: Door = "shell" if incoming.subshell_id is None else "subshell"
        run = Run(frame, kernel.runtime, door, requester=RequesterOf(kernel, incoming, door))
        run.interrupts.reason = reason
        step = run.resume()
        while not isinstance(step, Outcome):
            # Only a repeated call id, whose first request still runs, comes so far.
            if hasattr(step.awaitable, "close"):
                step.awaitable.close()
            step = run.throw(stopped(reason))
        send_on_shell(kernel, frames_to(kernel, incoming, frame.session, run.reply_type, run.pack(step)))
        kernel.expiry.arm()
        return _code_of(step)

    # -- cancel --------------------------------------------------------------------------------------

    def cancel(
        self, msg_id: str | None, call_id: str | None, sender: str
    ) -> State | Coroutine[Any, Any, State]:
        """Stop a client's own request; what became of it, or a coroutine that finds out."""
        if msg_id is not None and self._kernel.inspector.cancel(msg_id, sender):
            return "stopped"
        return self._cancelled(_Wanted(msg_id, call_id, sender))

    async def _cancelled(self, wanted: _Wanted) -> State:
        for pause in (*_LOOKS, 0.0):
            # What runs first: of one call id it is the first, and what waits its repetition.
            serving = self._find_running(wanted)
            if serving is not None:
                return await self._stopped(serving)
            waiting = self._find_waiting(wanted)
            if waiting is not None and self._take(waiting):
                self.came(waiting)
                return "stopped" if self._answer(waiting, "cancelled") == Cancelled.code else "over"
            # It may be on its way between two places, or still be read: the sockets are two.
            await asyncio.sleep(pause)
        return "unknown"

    def _find_running(self, wanted: _Wanted) -> Serving | None:
        found = self._kernel.activities.running()
        return next((one for one in found if isinstance(one, Serving) and wanted.runs(one.run)), None)

    async def _stopped(self, serving: Serving) -> State:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[Outcome] = loop.create_future()
        before = serving.on_end

        def settle(outcome: Outcome) -> None:
            if not over.done():
                over.set_result(outcome)

        def on_end(outcome: Outcome) -> None:
            if before is not None:
                # Cancelled twice: both are told.
                before(outcome)
            with suppress(RuntimeError):
                # Raised where the loop is closed: nobody waits.
                loop.call_soon_threadsafe(settle, outcome)

        serving.on_end = on_end
        if serving not in self._kernel.activities.running():
            return "over"
        self.stop(serving.run.interrupts, "cancelled")
        try:
            async with asyncio.timeout(_PATIENCE):
                outcome = await over
        except TimeoutError:
            return "asked"
        return "stopped" if _code_of(outcome) == Cancelled.code else "over"


def _code_of(outcome: Outcome) -> str | None:
    content = outcome.content
    return content.get("code") if isinstance(content, dict) else None
