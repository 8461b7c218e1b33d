"""Functions that live in the clients: what stands for them here, and their calls.

Rules: a stand-in lives as long as anybody here refers to it, and its client holds it by its lease; after that
it raises. Each mention of a function in a request is given back once, by ``snake_callback_released``. A call
waits on its own thread for the client's answer, and serves meanwhile what the client asks from within the
function (``nested``). Finalizers only take note; the control thread does what is to be done.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..commands.interrupts import entered
from ..commands.requester import Requester
from ..commands.scope import Scope
from ..errors import CallbackLost
from ..values import PLAIN, Callback
from ..wire.frame import BadFrame, Frame, check_buffers, unpack_object
from ..wire.model import CallbackReleased, CallbackRequest
from ..wire.names import CALLBACK, CALLBACK_RELEASED, CALLBACK_REPLY
from .callback_calls import Awake, Call, Inbox, Item, Lent
from .callback_data import Arguments, mentions
from .callback_errors import raised_by
from .callback_functions import made
from .incoming import Incoming, split
from .nested import serve_here, serve_on_loop
from .serving import Serving, admitted

if TYPE_CHECKING:
    from .kernel import SnakeKernel

#: Seconds between two messages that tell what was let go.
_BATCH: Final = 0.05
_WITHIN: Final = b'"callback_call"'
_GONE: Final = "The client whose function {!r} is to be called is gone, or has let it go."


class _Within(msgspec.Struct):
    callback_call: str | None = None


_peek: Final = msgspec.json.Decoder(_Within).decode


class Callbacks:
    """The functions of all clients of a kernel."""

    def __init__(self, kernel: SnakeKernel, call_later: Callable[[float, Callable[[], None]], None]) -> None:
        self._kernel = kernel
        self._call_later = call_later
        #: Entered again where a collection of garbage runs user code within it.
        self._lock = threading.RLock()
        self._lent: dict[tuple[str, str], Lent] = {}
        self._calls: dict[str, Call] = {}
        self._numbers = itertools.count()
        self._collected: deque[Lent] = deque()
        self._is_armed = False
        #: Answers that came for no call, or for none that waits any more.
        self.ignored = 0

    # -- from requests to stand-ins ----------------------------------------------------------------

    def function(self, callback: Callback, scope: Scope) -> Callable[..., Any]:
        """See ``commands.callbacks.Callbacks``; the same stand-in for the same function, while it lives."""
        assert scope.requester is not None
        requester = scope.requester.lasting()
        with self._lock:
            lent = self._lent.get((scope.sender, callback.id))
            stand_in = None if lent is None or lent.stand_in is None else lent.stand_in()
            if lent is None or stand_in is None or lent.is_lost:
                lent = Lent(callback, scope.sender)
                stand_in = made(lent, self)
                lent.stand_in = self._watched(stand_in, lent)
                self._lent[lent.key] = lent
            lent.requester = requester
            lent.session_id = None if scope.session is None else scope.session.id
            scope.hold(("callback", callback.id), lambda: self._lost(lent))
        return stand_in

    def _watched(self, stand_in: Callable[..., Any], lent: Lent) -> weakref.ref[Any]:
        return weakref.ref(stand_in, lambda _: self._note(lent))

    def settle(self, frame: Frame, requester: Requester) -> None:
        """See ``commands.callbacks.Callbacks``."""
        untaken: list[str] = []
        for id, count in Counter(mentions(frame.content)).items():
            with self._lock:
                lent = self._lent.get((frame.session, id))
                if lent is not None:
                    lent.mentions += count
                else:
                    untaken += [id] * count
            if lent is not None and (lent.stand_in is None or lent.stand_in() is None):
                self._note(lent)
        if untaken:
            requester.send(CALLBACK_RELEASED, CallbackReleased(ids=untaken))

    # -- letting go --------------------------------------------------------------------------------

    def _note(self, lent: Lent) -> None:
        # In a finalizer, maybe: no lock, no I/O but what wakes a loop.
        self._collected.append(lent)
        if not self._is_armed:
            self._is_armed = True
            self._call_later(_BATCH, self._release)

    def _release(self) -> None:
        self._is_armed = False
        told: dict[int, tuple[Requester, list[str]]] = {}
        while self._collected:
            lent = self._collected.popleft()
            with self._lock:
                if self._lent.get(lent.key) is lent:
                    del self._lent[lent.key]
                    self._kernel.runtime.leases.drop(lent.sender, ("callback", lent.callback.id))
                count, lent.mentions = lent.mentions, 0
            if count and lent.requester is not None:
                ids = told.setdefault(id(lent.requester), (lent.requester, []))[1]
                ids += [lent.callback.id] * count
        for requester, ids in told.values():
            requester.send(CALLBACK_RELEASED, CallbackReleased(ids=ids))

    def close(self) -> None:
        """The kernel ends: calls under way do too."""
        with self._lock:
            lent = list(self._lent.values())
        for one in lent:
            self._lost(one)

    def _lost(self, lent: Lent) -> None:
        """The client's lease ran out, or the kernel ends."""
        lent.is_lost = True
        self._note(lent)
        for call in list(lent.calls):
            with suppress(RuntimeError):
                call.put(None)

    # -- calls -------------------------------------------------------------------------------------

    def call(self, lent: Lent, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a client's function and wait on this thread."""
        inbox: Inbox = SimpleQueue()
        end = _end_of(lent)
        with self._under_way(lent, inbox.put, args, kwargs, inbox) as call, _awake(inbox):
            while True:
                try:
                    item = inbox.get(timeout=None if end is None else max(0.0, end - monotonic()))
                except Empty:
                    raise _too_late(lent) from None
                if isinstance(item, Incoming):
                    with self._kernel.interrupts.held():
                        serve_here(self._kernel, item)
                    continue
                if isinstance(item, Awake):
                    continue
                return self._outcome(call, item)

    async def acall(self, lent: Lent, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a client's function and suspend until it has answered."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Frame | None] = loop.create_future()
        served: set[asyncio.Task[None]] = set()
        # What is asked within the function sees what this code has set for itself.
        context = copy_context()

        def take(item: Item) -> None:
            if isinstance(item, Incoming):
                task = serve_on_loop(self._kernel, item, loop)
                if task is not None:
                    served.add(task)
                    task.add_done_callback(served.discard)
            elif not answer.done():
                answer.set_result(item)

        def put(item: Item) -> None:
            loop.call_soon_threadsafe(take, item, context=context)

        with self._under_way(lent, put, args, kwargs) as call:
            end = _end_of(lent)
            try:
                async with asyncio.timeout(None if end is None else end - monotonic()):
                    item = await answer
            except TimeoutError:
                raise _too_late(lent) from None
            return self._outcome(call, item)

    @contextmanager
    def _under_way(
        self,
        lent: Lent,
        put: Callable[[Item], object],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inbox: Inbox | None = None,
    ) -> Iterator[Call]:
        serving = self._serving()
        call = Call(f"{self._kernel.runtime.epoch[:8]}-{next(self._numbers)}", lent, put, inbox)
        with self._kernel.interrupts.held():
            if self._kernel.is_forked:
                raise CallbackLost(
                    f"The function {lent.callback.name!r} cannot be called in a forked process."
                )
            requester: Requester | None = None if serving is None else serving.requester
            if requester is None or requester.sender != lent.sender:
                requester = lent.requester
            assert requester is not None
            given = Arguments(self._kernel.runtime, lent)
            content = CallbackRequest(
                id=lent.callback.id,
                callback_call=call.id,
                args=[given.encoded(arg) for arg in args],
                kwargs={name: given.encoded(arg) for name, arg in kwargs.items()},
                refs=given.kinds,
            )
            self._calls[call.id] = call
            lent.calls.add(call)
            try:
                # After it is known as under way, so that a loss is told to it.
                if lent.is_lost:
                    raise CallbackLost(_GONE.format(lent.callback.name))
                requester.send(CALLBACK, content, given.buffers)
            except BaseException:
                self._end(call)
                raise
        try:
            yield call
        finally:
            with self._kernel.interrupts.held():
                self._end(call)

    def _end(self, call: Call) -> None:
        with self._lock:
            self._calls.pop(call.id, None)
        call.lent.calls.discard(call)
        # Nothing comes from here on; requests whose turn did not come still get their replies.
        while call.inbox is not None and not call.inbox.empty():
            item = call.inbox.get()
            if isinstance(item, Incoming):
                self._refuse(item)

    def _refuse(self, incoming: Incoming) -> None:
        """Have a request within a call that is over answered as any that names no call."""
        self._kernel.control_loop.add_callback(self._kernel.controlling.serve, incoming)

    def _put(self, call_id: str, sender: str, item: Item) -> bool:
        """Give something to a call under way of this sender's; False where there is none."""
        with self._lock:
            call = self._calls.get(call_id)
            if call is None or call.lent.sender != sender:
                return False
            try:
                call.put(item)
            except RuntimeError:
                return False
            return True

    def _serving(self) -> Serving | None:
        """What serves the request that runs here, or that started this thread; None within a cell."""
        kernel = self._kernel
        try:
            activity = kernel.activities.find(kernel.get_parent("shell")["header"])
        except (KeyError, TypeError):
            return None
        return activity.serving if activity is not None and isinstance(activity.serving, Serving) else None

    def _outcome(self, call: Call, item: Frame | None) -> Any:
        lent, runtime = call.lent, self._kernel.runtime
        if item is None:
            raise CallbackLost(_GONE.format(lent.callback.name))
        with self._kernel.interrupts.held():
            content = unpack_object(item.content) if isinstance(item.content, bytes) else item.content
            if content.get("status") == "ok" and "result" in content:
                result = content["result"]
                if type(result) in PLAIN and not item.buffers:
                    return result
                session = None if lent.session_id is None else runtime.sessions.find(lent.session_id)
                scope = Scope(
                    runtime,
                    door="callback",
                    session=session,
                    sender=lent.sender,
                    received=item.buffers,
                    requester=lent.requester,
                )
                try:
                    check_buffers(_unpacked(item.metadata), item.buffers, required=runtime.buffers_bound)
                    return scope.decode(result, at="$.result")
                finally:
                    scope.end()
                    if scope.has_functions and lent.requester is not None:
                        self.settle(item, lent.requester)
        # Raised outside, for an interrupt that was held back may come first.
        raise raised_by(content)

    # -- what comes on control ---------------------------------------------------------------------

    def takes_at_once(self, msg: list[Any]) -> bool:
        """As ``takes``, before ipykernel has made a task of a message's turn; quick where no call waits."""
        if not self._calls:
            return False
        try:
            incoming = split(msg)
        except BadFrame:
            # Dropped, and counted, at its turn.
            return False
        return incoming is not None and self.takes(incoming)

    def takes(self, incoming: Incoming) -> bool:
        """Whether a message on control is for a call under way: its answer, or a request made within it."""
        if incoming.header["msg_type"] == CALLBACK_REPLY:
            self._answered(incoming)
            return True
        packed = incoming.signed[4]
        if _WITHIN not in packed:
            return False
        try:
            within = _peek(packed).callback_call
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return False
        # Whoever serves it verifies it.
        return within is not None and self._put(within, str(incoming.header.get("session", "")), incoming)

    def _answered(self, incoming: Incoming) -> None:
        try:
            frame = admitted(self._kernel, incoming)
        except BadFrame as error:
            self._kernel.dropped(error)
            return
        try:
            call_id = _peek(incoming.signed[4]).callback_call or ""
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            call_id = ""
        if not self._put(call_id, frame.session, frame):
            self.ignored += 1


def _end_of(lent: Lent) -> float | None:
    deadline = lent.callback.deadline
    return None if deadline is None else monotonic() + deadline


def _too_late(lent: Lent) -> TimeoutError:
    deadline, name = lent.callback.deadline, lent.callback.name
    return TimeoutError(f"The client's function {name!r} did not answer within {deadline} s.")


def _unpacked(metadata: bytes | dict[str, Any]) -> dict[str, Any]:
    return unpack_object(metadata) if isinstance(metadata, bytes) else metadata


@contextmanager
def _awake(inbox: Inbox) -> Iterator[None]:
    """Have the wait for an inbox end where the request on this thread is to be stopped."""
    current = entered.get(threading.get_ident())
    if current is None:
        # On the main thread a signal does.
        yield
        return
    before, current.wake = current.wake, partial(inbox.put, Awake())
    try:
        yield
    finally:
        current.wake = before
