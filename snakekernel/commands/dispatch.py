"""From any frame to exactly one reply.

Rules: exceptions become error replies here and nowhere else. A request runs synchronously as far as it
can; where it needs an awaitable's result it hands the awaitable to its driver and is resumed, so that one
piece of code serves the main thread, subshells, control and the comm. Packing scrubs secrets and cannot
fail: a reply that has no JSON form becomes an error reply.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Final

import msgspec

from ..inspection.task import Task
from ..memory.exchange import SEGMENTS
from ..objects.secrets import Secrets
from ..wire.errors import (
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    SnakeError,
    UnknownOperation,
    Unserializable,
)
from ..wire.frame import Frame, check_buffers, pack_json, unpack_object
from ..wire.model import Reply, Request
from ..wire.names import PROTOCOL_VERSION, Door, op_of, reply_type, request_type
from .command import Command
from .failures import content_of, from_our_bug, from_user_code
from .interrupts import Interrupts, stopped
from .outcomes import Packed, Slot, digest_of, let_go
from .reading import to_request
from .requester import Requester
from .runtime import Runtime
from .scope import Scope
from .suspending import Failed, Suspended, move, suspend

_log: Final = logging.getLogger(__name__)

#: Where requests come in beside the shell's order.
_BESIDE: Final = ("control", "comm")


class Outcome(msgspec.Struct, frozen=True):
    """How a request ended: the reply, or an error reply's fields, still to be packed."""

    content: Reply | dict[str, Any]
    buffers: list[memoryview]


class Run:
    """One request under way.

    ``resume`` and ``throw`` go on until the request needs an awaitable (Suspended) or ended (Outcome);
    they never raise. ``pack`` then makes the bytes of the reply.

    Args:
        tell: told ``(done, total, text)`` of the progress of a task.
        requester: reaches who asked, beside the reply.

    Attributes:
        task: the request as one for the inspector's thread, once it is known to be one.
    """

    __slots__ = (
        "_door",
        "_replay",
        "_requester",
        "_slot",
        "_tell",
        "_work",
        "asked",
        "began",
        "call_id",
        "frame",
        "interrupts",
        "op",
        "reply_type",
        "runtime",
        "task",
    )

    def __init__(
        self,
        frame: Frame,
        runtime: Runtime,
        door: Door,
        *,
        interrupts: Interrupts | None = None,
        tell: Callable[[int, int, str], None] | None = None,
        requester: Requester | None = None,
    ) -> None:
        self.frame = frame
        self.runtime = runtime
        self.op = op_of(frame.msg_type)
        self.reply_type = reply_type(self.op)
        #: For the audit: what was asked, once that can be read, and when, by ``monotonic``.
        self.asked: Request | None = None
        self.began: float | None = None
        self._door = door
        self._tell = tell
        self._requester = requester
        self.task: Task | None = None
        self.interrupts = interrupts or Interrupts()
        #: The call id that this request is the first with, and where its outcome is kept.
        self.call_id: str | None = None
        self._slot: Slot | None = None
        self._replay: Packed | None = None
        self._work: Coroutine[Any, Any, Outcome] | None = None

    def resume(self, value: Any = None) -> Suspended | Outcome:
        """Start, or go on with the awaited result."""
        try:
            if self._work is None:
                self._work = self._serve()
            suspended: Suspended = self._work.send(value)
            return suspended
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        except BaseException as error:  # an interrupt between our own lines; the request still gets its reply
            self.interrupts.disarm()
            return self.fail(error)

    def throw(self, error: BaseException) -> Suspended | Outcome:
        """Go on with the exception that the awaitable raised."""
        return self.resume(Failed(error))

    def fail(self, error: BaseException) -> Outcome:
        """The outcome of a request that something outside its own code ended."""
        if isinstance(error, SnakeError):
            return Outcome(content_of(error), [])
        reason = self.interrupts.reason
        if isinstance(error, KeyboardInterrupt) and reason is not None:
            return Outcome(content_of(stopped(reason)), [])
        _log.error("Request %s failed in the kernel", self.frame.msg_type, exc_info=error)
        return Outcome(content_of(from_our_bug(error)), [])

    async def _serve(self) -> Outcome:
        runtime, frame = self.runtime, self.frame
        runtime.requests_handled += 1
        session = scope = None
        is_done = False
        if runtime.audit is not None:
            self.began = monotonic()
        try:
            command = self._command()
            request = self.asked = to_request(frame.content, command.request)
            if request.callback_call is not None and self._door != "callback":
                raise NotFound(
                    "No call of a function of this client's waits by that id; requests made within one go "
                    "on control while it runs.",
                    at="$.callback_call",
                )
            if request.epoch is not None and request.epoch != runtime.epoch:
                raise OutcomeUnknown(
                    "This is another kernel process than the one the request was meant for.", at="$.epoch"
                )
            # After the epoch: what another process was to be sent, this one cannot open.
            if frame.buffers or frame.metadata != b"{}":
                frame = self._receive()
            if request.call_id is not None and command.idempotent:
                concurrent = getattr(request, "concurrent", False)
                self._replay = await self._first_outcome(request.call_id, concurrent=concurrent)
                if self._replay is not None:
                    return Outcome({}, [])
            if self.interrupts.reason is not None:
                # Before it began.
                raise stopped(self.interrupts.reason)
            now = runtime.clock()
            runtime.expire(now)
            if request.session_id is not None and not command.names_session:
                # A panel that stays open keeps no session alive.
                renew = not (command.looks and self._door in _BESIDE)
                create = command.creates_session and runtime.auto_sessions
                session = runtime.sessions.lease(request.session_id, now=now, create=create, renew=renew)
            scope = Scope(
                runtime,
                door=self._door,
                session=session,
                writer=request.call_id or frame.msg_id,
                sender=frame.session,
                received=frame.buffers,
                interrupts=self.interrupts,
                op=command.op,
                client=frame.username,
                requester=self._requester,
                lease=request.lease,
            )
            if self._door in _BESIDE:
                scope.static = self._door == "control" or command.control
                if command.task and command.is_task(request):
                    self.task = Task(tell=self._tell)
                    scope.become(self.task)
                    moved = await move()
                    if isinstance(moved, Failed):
                        raise moved.error
            reply = await command.run(request, scope)
            if not isinstance(reply, Reply):
                raise TypeError(f"the command {command.op!r} gave no Reply but a {type(reply).__name__}")
            if scope.lossy:
                reply.lossy = True
            is_done = command.op != "pipeline"
            return Outcome(reply, scope.buffers)
        except SnakeError as error:
            # Only what an error reply holds of completed steps refers to buffers.
            kept = scope.buffers if scope is not None and "completed_steps" in error.reply else []
            return Outcome(content_of(error), kept)
        finally:
            # An interrupt that struck while user code was being left has left it armed.
            self.interrupts.disarm()
            if not is_done or (scope is not None and scope.has_functions):
                self._settle()
            if scope is not None:
                scope.end()
            if session is not None:
                runtime.release(session, renew=renew)

    def _settle(self) -> None:
        callbacks, requester = self.runtime.callbacks, self._requester
        if callbacks is not None and requester is not None:
            callbacks.settle(self.frame, requester)

    def _receive(self) -> Frame:
        """The request with its buffers, those in shared memory too. Raises InvalidRequest, LimitExceeded."""
        frame, metadata = self.frame, _metadata(self.frame)
        check_buffers(metadata, frame.buffers, required=self.runtime.buffers_bound)
        if SEGMENTS in metadata:
            buffers = self.runtime.attachments.receive(frame.session, metadata, frame.buffers)
            self.frame = frame = msgspec.structs.replace(frame, buffers=buffers)
        return frame

    async def _first_outcome(self, call_id: str, *, concurrent: bool) -> Packed | None:
        """The outcome of the first request of this id; None where that is this one.

        ``concurrent``: others are served on the main shell while it is waited for.
        """
        slot = Slot(self.op, digest_of(self.frame))
        # Noted before it is anybody's first: an interrupt may strike between any two lines, and whoever
        # waits for this one is told all the same.
        self.call_id, self._slot = call_id, slot
        first = self.runtime.outcomes.begin(call_id, slot)
        if first is slot:
            return None
        self.call_id = self._slot = None
        if not first.is_over:
            if self._door not in ("shell", "subshell"):
                raise OutcomeUnknown(f"Call {call_id!r} is still running; ask again later.", at="$.call_id")
            failed = await suspend(first.ended(), concurrent)
            if isinstance(failed, Failed):
                if isinstance(failed.error, SnakeError):
                    raise failed.error
                raise from_user_code(failed.error, reason=self.interrupts.reason)
        if first.packed is None:
            raise let_go(call_id)
        return first.packed

    def _command(self) -> Command:
        op, runtime = self.op, self.runtime
        if not self.frame.msg_type.endswith("_request"):
            raise UnknownOperation(f"{self.frame.msg_type!r} is no request of this protocol.", at="$header")
        command = runtime.table.get(op)
        if command is None:
            known = ", ".join(sorted(runtime.table))
            raise UnknownOperation(
                f"There is no operation {op!r} in protocol {PROTOCOL_VERSION} here. Served: {known}.",
                at="$header.msg_type",
            )
        door = self._door
        if door in _BESIDE and not (command.control or (door == "comm" and command.comm)):
            raise UnknownOperation(f"{op!r} is served on shell, not on {door}.", at="$header.msg_type")
        return command

    def pack(self, outcome: Outcome, *, output: int = 0) -> Packed:
        """The reply's bytes; ``output`` is how many iopub messages the request produced."""
        packed = self._replay or self._pack(outcome, output)
        if self.runtime.audit is not None:
            self.runtime.audit.request(self, outcome.content, packed)
        return packed

    @property
    def door(self) -> Door:
        """Where it came in."""
        return self._door

    @property
    def is_repeated(self) -> bool:
        """Whether it got the outcome of an earlier request."""
        return self._replay is not None

    def _pack(self, outcome: Outcome, output: int) -> Packed:
        try:
            packed = self._packed(outcome.content, outcome.buffers, output)
        except (TypeError, ValueError, AttributeError, OverflowError, RecursionError, MemoryError) as error:
            # Only a plugin's own reply can hold what JSON cannot; the caller still gets one.
            failure = Unserializable(f"The reply has no JSON form: {error}", fault="kernel")
            packed = self._packed(content_of(failure), [], output)
        if self._slot is not None and self.call_id is not None:
            self.runtime.outcomes.end(self.call_id, self._slot, packed)
            self._slot = None
        return packed

    def _packed(self, content: Reply | dict[str, Any], buffers: list[memoryview], output: int) -> Packed:
        runtime = self.runtime
        timestamp, epoch = runtime.clock(), runtime.epoch
        if isinstance(content, Reply):
            content.timestamp, content.epoch, content.output = timestamp, epoch, output
        else:
            told = {"timestamp": timestamp, "epoch": epoch, "output": output}
            content = {"lossy": False, **content, **told}
        packed = Packed(pack_json(content), buffers)
        return _scrubbed(packed, content, runtime.secrets) if runtime.secrets else packed


def _scrubbed(packed: Packed, content: Reply | dict[str, Any], secrets: Secrets) -> Packed:
    buffers = [secrets.scrub_buffer(buffer) for buffer in packed.buffers]
    changed = any(new is not old for new, old in zip(buffers, packed.buffers, strict=True))
    if not changed and secrets.scrub(packed.content) is packed.content:
        return packed
    if isinstance(content, Reply):
        content.lossy = True
    else:
        content["lossy"] = True
    return Packed(secrets.scrub(pack_json(content)), buffers)


def _metadata(frame: Frame) -> dict[str, Any]:
    if isinstance(frame.metadata, dict):
        return frame.metadata
    try:
        return unpack_object(frame.metadata)
    except SnakeError as error:
        error.at = "$metadata"
        raise


def frame_of_comm(data: Any, msg_id: str, buffers: list[memoryview]) -> tuple[Frame, Any]:
    """A comm message's data as a frame, and the id to answer under.

    Raises InvalidRequest where it is not ``{"op": …, "content": {…}, "id": …}``.
    """
    if not isinstance(data, dict):
        raise InvalidRequest("The comm's data must be an object with op, content and id.", at="$")
    op, content = data.get("op"), data.get("content", {})
    if not isinstance(op, str):
        raise InvalidRequest("The comm's data names no op.", at="$.op")
    if not isinstance(content, dict):
        raise InvalidRequest("The content must be an object.", at="$.content")
    return Frame(request_type(op), msg_id, content, {}, buffers), data.get("id")
