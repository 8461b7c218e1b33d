"""What the policy of a pool asks for is done here, and what comes of it is told to the policy.

Rules: an event is told as soon as it is known, and its actions are done in their order, before anything else
happens on the loop. What takes time is a task that the pool waits for before it is closed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from ..errors import KernelLost, PoolClosed, PoolFull, QueueTimeout, SnakeError
from .counting import Counts
from .events import (
    Action,
    CallAsked,
    Done,
    EndSession,
    Event,
    Gone,
    Grant,
    Measured,
    Refusal,
    Refuse,
    SessionClosed,
    Start,
    Started,
    Stop,
    Tick,
    Unreachable,
)
from .freeing import Freeing
from .kernels import PoolKernels
from .member import Member
from .options import PoolOptions
from .policy import Policy
from .session import FOR_EVER, OpenSession, seconds
from .status_files import StatusFile

_NEVER: Final = float("inf")
#: Seconds that the start of a kernel waits for checkouts, and for what their owners do next.
_CHECKOUT: Final = 0.1
_CHECKED_OUT: Final = 0.005
#: Seconds after the end of a call within which the policy looks what is due.
_LATE: Final = 1.0
#: Seconds after which a kernel that could not be ended is ended again.
_AGAIN: Final = 1.0
#: Kernels that are stopped for these reasons are not asked first.
_KILLED: Final = frozenset({"failed", "memory"})


def _nothing() -> None:
    """Nothing is to be ended."""


class Performing(PoolOptions):
    """The kernels, sessions and tickets of a pool, and the actions upon them."""

    _kernels: PoolKernels
    _freeing: Freeing
    #: Set whenever a kernel or the pool's state has changed.
    _changed: asyncio.Event

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._policy = Policy(self.settings())
        #: What it has done so far.
        self.counts: Counts = Counts()
        self._file: StatusFile | None = None
        #: When it was opened, by the monotonic clock.
        self.opened: float | None = None
        self.drains_on_sigterm = False
        #: Where its metrics are served, and what ends that.
        self.metrics_url: str | None = None
        self._end_metrics: Callable[[], None] = _nothing
        self._end_signals: list[Callable[[], None]] = []
        #: "new", "open", "draining", "closing", "closed".
        self._state = "new"
        self._members: dict[int, Member] = {}
        self._sessions: dict[str, OpenSession] = {}
        self._tickets = itertools.count(1)
        #: The sessions that tickets ask for.
        self._asked: dict[int, tuple[str, Mapping[str, int] | None]] = {}
        #: Of tickets that wait, and what those got that had not begun to.
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._given: dict[int, Any] = {}
        self._refused: dict[int, SnakeError] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tick_at = _NEVER
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starts: dict[int, asyncio.Task[None]] = {}
        #: Sessions that are being opened in their kernels.
        self._opening: set[asyncio.Future[Any]] = set()
        self._why_not_started = ""
        self._perform = {
            Start: self._start,
            Stop: self._stop,
            Grant: self._grant,
            Refuse: self._refuse,
            EndSession: self._end_session,
        }

    @property
    def policy(self) -> Policy:
        """Who decides, to be looked at only."""
        return self._policy

    @property
    def state(self) -> str:
        """new, open, draining, closing or closed."""
        return self._state

    def member(self, number: int) -> Member | None:
        """The kernel of this number of the policy's, or None where it is gone."""
        return self._members.get(number)

    # -- the policy --------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        now = monotonic()
        self._do(event, self._policy.handle(event, now), now)

    def _do(self, event: Event, actions: list[Action], now: float) -> None:
        told = self.counts.told
        told(event, now)
        for action in actions:
            told(action, now)
            self._perform[type(action)](action)  # type: ignore[operator]
        tick = self._policy.next_tick()
        if tick is not None and tick < self._tick_at:
            self._wake_at(tick)
        if self._file is not None:
            self._file.changed()

    # The same for a call that finds a kernel free, and its end: each small call feels every step.

    def _ask(self, event: CallAsked) -> Member | None:
        """Ask for a kernel; None where the call waits for one, or is refused."""
        now = monotonic()
        actions = self._policy.handle(event, now)
        if len(actions) == 1 and type(grant := actions[0]) is Grant and grant.ticket == event.ticket:
            self.counts.began(event.ticket, now)
            return self._members[grant.kernel]
        self._do(event, actions, now)
        given: Member | None = self._given.pop(event.ticket, None)
        return given

    def _ended(self, ticket: int) -> None:
        now = monotonic()
        event = Done(ticket)
        actions = self._policy.handle(event, now)
        if actions:
            self._do(event, actions, now)
            return
        self.counts.ended(ticket, now)
        # Its kernel is idle from now on; that it is stopped for that is no matter of a second.
        if self._tick_at > now + _LATE:
            self._wake_at(now + _LATE)
        if self._file is not None:
            self._file.changed()

    def _wake_at(self, tick: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._tick_at = tick
        self._timer = asyncio.get_running_loop().call_later(max(0.0, tick - monotonic()), self._tick)

    def _tick(self) -> None:
        self._timer, self._tick_at = None, _NEVER
        self._tell(Tick())

    def _check_open(self) -> None:
        if self._state == "new":
            raise RuntimeError("This pool is not open: enter it with `async with`.")
        if self._state != "open":
            raise PoolClosed(f"The pool {self.name!r} is {self._state}; nothing was sent.")

    def _note(self, level: int, event: str, text: str, member: Member | None = None, **more: Any) -> None:
        """Log something, with what programs that read logs want to know of it as the record's ``snake``."""
        if self.log.isEnabledFor(level):
            fields = {"event": event, "pool": self.name, **more}
            if member is not None:
                fields.update(kernel=member.number, kernel_id=member.kernel_id, pid=member.pid)
            self.log.log(level, "%s", text, extra={"snake": fields})

    # -- tickets -----------------------------------------------------------------------------------

    def _deadline(self, timeout: float | None) -> float | None:
        if timeout is None:
            timeout = self.queue_timeout
            if timeout is None:
                return None
        return monotonic() + seconds("queue_timeout", timeout)

    async def _granted(self, ticket: int) -> Any:
        """What a ticket gets that got nothing at once; its waiting can be cancelled."""
        if (refused := self._refused.pop(ticket, None)) is not None:
            raise refused
        waiting = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            return await waiting
        except asyncio.CancelledError:
            # Also where it was given a kernel meanwhile.
            self._waiting.pop(ticket, None)
            self._tell(Done(ticket))
            raise

    def _grant(self, action: Grant) -> None:
        ticket = action.ticket
        given: Any = self._members[action.kernel]
        asked = self._asked.get(ticket)
        if asked is not None:
            session, quota = asked
            given = self._open_session(session, quota, given) if action.is_new else self._sessions[session]
        waiting = self._waiting.pop(ticket, None)
        if waiting is None:
            self._given[ticket] = given
        elif not waiting.done():
            waiting.set_result(given)

    def _refuse(self, action: Refuse) -> None:
        error = self._refusal(action.reason)
        waiting = self._waiting.pop(action.ticket, None)
        if waiting is None:
            self._refused[action.ticket] = error
        elif not waiting.done():
            waiting.set_exception(error)

    def _refusal(self, reason: Refusal) -> SnakeError:
        if reason == "full":
            return PoolFull(
                f"{self.queue_limit} calls and checkouts wait for the pool {self.name!r} already; "
                "nothing was sent."
            )
        if reason == "sessions":
            return PoolFull(f"The pool {self.name!r} has {self.max_sessions} sessions already; close some.")
        if reason == "late":
            return QueueTimeout(f"No kernel of the pool {self.name!r} was free in time; nothing was sent.")
        if reason == "failed":
            return KernelLost.unsent(
                f"Kernels of the pool {self.name!r} do not start; nothing was sent. {self._why_not_started}"
            )
        return PoolClosed(f"The pool {self.name!r} takes nothing any more; nothing was sent.")

    # -- sessions ----------------------------------------------------------------------------------

    def _open_session(self, session_id: str, quota: Mapping[str, int] | None, member: Member) -> OpenSession:
        opened: asyncio.Future[Any]
        try:
            # Sent at once; a task, for whoever asked first may be cancelled, and others wait for it too.
            opening = member.client.create_session(session_id, ttl=FOR_EVER, quota=quota)
            opened = asyncio.ensure_future(opening)
        except Exception as error:
            # KernelLost, for one; whoever waits for the session is told.
            opened = asyncio.get_running_loop().create_future()
            opened.set_exception(error)
        self._opening.add(opened)
        opened.add_done_callback(self._opening.discard)
        found = self._sessions[session_id] = OpenSession(session_id, member, opened)
        opened.add_done_callback(lambda over: self._session_opened(found))
        return found

    def _session_opened(self, found: OpenSession) -> None:
        is_open = not found.opened.cancelled() and found.opened.exception() is None
        if not is_open and self._sessions.get(found.id) is found:
            del self._sessions[found.id]
            self._tell(SessionClosed(found.id))

    def _end_session(self, action: EndSession) -> None:
        found = self._sessions.pop(action.session, None)
        if found is not None:
            text = f"Session {action.session!r} of pool {self.name} ended: {action.reason}"
            self._note(logging.INFO, "session_ended", text, session=action.session, reason=action.reason)
            self._forget(found)

    def _forget(self, found: OpenSession) -> None:
        """A session is over. What is held of it stays dead, though its kernel may go on."""
        found.is_over = True
        kernel = self._policy.fleet.kernels.get(found.member.number)
        goes_on = kernel is not None and kernel.state == "sessions"
        for handle in found.handles:
            handle.lose(goes_on)
        if goes_on:
            self._spawn(self._close_in_kernel(found))

    async def _close_in_kernel(self, found: OpenSession) -> None:
        with suppress(SnakeError):
            await found.member.client.close_session(found.id)

    # -- kernels -----------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _start(self, action: Start) -> None:
        member = Member(action.kernel, self._kernels, self._out_of_reach, self.stop_timeout)
        self._members[action.kernel] = member
        self._starts[action.kernel] = self._spawn(self._start_member(member))

    async def _start_member(self, member: Member) -> None:
        member.has_begun = True
        try:
            if member.is_unwanted:
                raise asyncio.CancelledError
            if self._opening:
                # To make a process holds the loop for a while: a checkout under way comes first.
                await asyncio.wait(self._opening, timeout=_CHECKOUT)
                await asyncio.sleep(_CHECKED_OUT)
            await member.start(self.start_timeout, self.preload)
        except asyncio.CancelledError:
            # It is to be stopped.
            await self._stop_member(member, now=True)
        except Exception as error:
            # KernelLost, or whatever a provisioner raises: it is to be ended in any case.
            self._why_not_started = str(error)
            self._note(logging.WARNING, "start_failed", f"Pool {self.name}: {error}", member)
            await self._stop_member(member, now=True)
        else:
            if member.is_unwanted:
                # Something below has lost the cancellation.
                await self._stop_member(member, now=True)
                return
            del self._starts[member.number]
            self._note(logging.INFO, "kernel_started", f"Pool {self.name} has {member!r}", member)
            self._tell(Started(member.number))
            self._changed.set()

    def _stop(self, action: Stop) -> None:
        member = self._members[action.kernel]
        start = self._starts.get(action.kernel)
        if start is not None:
            # It ends what it has begun; where that is under way, it is left to.
            if not member.is_ending:
                member.is_unwanted = True
                # A task that is cancelled before its first step would never take one.
                if member.has_begun:
                    start.cancel()
            return
        text = f"Pool {self.name} stops {member!r}: {action.reason}"
        self._note(logging.INFO, "kernel_stopping", text, member, reason=action.reason)
        self._spawn(self._stop_member(member, now=action.reason in _KILLED))

    async def _stop_member(self, member: Member, *, now: bool) -> None:
        while True:
            try:
                await member.end(now=now)
                break
            except Exception:
                # Whatever it is: as long as the kernel may run, nobody else gets its sessions.
                self.log.exception("Pool %s cannot end %r; it tries again", self.name, member)
                now = True
                await asyncio.sleep(_AGAIN)
        text = f"Pool {self.name} is rid of {member!r}, which ended with status {member.status}"
        self._note(logging.INFO, "kernel_ended", text, member, status=member.status)
        self._gone(member)

    def _gone(self, member: Member) -> None:
        del self._members[member.number]
        self._starts.pop(member.number, None)
        self._tell(Gone(member.number))
        self._changed.set()

    def _out_of_reach(self, member: Member) -> None:
        """A kernel that nobody asked to end cannot be used any more."""
        text = f"Pool {self.name} lost {member!r}: {member.why}.{member.how_it_ended()}"
        self._note(logging.WARNING, "kernel_lost", text, member, reason=member.why)
        self._tell(Unreachable(member.number))

    def _stuck(self, member: Member) -> None:
        """A kernel did not stop a call that was given up."""
        member.break_off(f"a call that was cancelled did not stop within {self.cancel_timeout:g} s")
        self._out_of_reach(member)

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(self.measure_every)
            for member in list(self._members.values()):
                if member.began is None:
                    continue
                try:
                    memory = await member.measure()
                except Exception:
                    # Whatever a provisioner raises: the others are measured all the same.
                    self.log.warning("Pool %s cannot measure %r", self.name, member, exc_info=True)
                    continue
                if memory is not None:
                    self._tell(Measured(member.number, memory))
