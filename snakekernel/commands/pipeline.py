"""``pipeline``: several operations in one message, later ones using the results of earlier ones.

Rules: steps run in order, in the request's session; an interrupt ends the pipeline, and so does a failing
step unless ``stop_on_error`` is false; what was completed is reported. ``{"$step": n}`` is the object that
step n made. A step is any operation but another pipeline.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from ..wire.errors import (
    Cancelled,
    DeadlineExceeded,
    Interrupted,
    InvalidRequest,
    SnakeError,
    UnknownOperation,
)
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Seconds
from .command import Command
from .failures import content_of
from .interrupts import Interrupts, stopped
from .reading import to_request
from .resolving import NO_RESULT
from .scope import Scope

_OF_THE_WHOLE: Final = frozenset({"session_id", "call_id", "epoch", "lease", "callback_call"})
#: A step without these is a call as it stands, and most are.
_TELLING: Final = _OF_THE_WHOLE | {"op"}
#: What ends a pipeline in any case.
_STOPS: Final = (Interrupted, Cancelled, DeadlineExceeded)


class Request(BaseRequest, frozen=True, kw_only=True):
    """Each step is the content of a ``call``, or of the operation that its ``op`` names.

    deadline: seconds from receipt, after which it is stopped; those of a step count from there, too.
    """

    steps: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=10_000)]
    stop_on_error: bool = True
    deadline: Seconds | None = None


class Reply(BaseReply, kw_only=True):
    """One reply content per step, in order; ``steps_completed`` counts those that went well."""

    pipeline_results: list[dict[str, Any]]
    steps_completed: int


async def run(request: Request, scope: Scope) -> Reply:
    """Run the steps; on an error that ends the pipeline, raise it with what was completed."""
    if request.deadline is not None:
        with scope.limited(request.deadline):
            return await run(msgspec.structs.replace(request, deadline=None), scope)
    #: A reply, or the content of an error reply, per step.
    results: list[Any] = []
    completed = 0
    clock, epoch = scope.runtime.clock, scope.runtime.epoch
    call, interrupts = scope.runtime.table["call"], scope.interrupts
    scope.steps_follow = True
    for index, step in enumerate(request.steps):
        scope.produced = None
        produced: Any = NO_RESULT
        try:
            if interrupts.reason is not None:
                _check_goes_on(interrupts)
            command, content = (call, step) if _TELLING.isdisjoint(step) else _command_of(step, scope)
            # What an earlier step called did not make what this one stores.
            scope.op, scope.label = command.op, None
            reply = await command.run(to_request(content, command.request), scope)
            reply.timestamp, reply.epoch = clock(), epoch
            results.append(reply)
            completed += 1
            produced = scope.produced
        except SnakeError as error:
            at = f"$.steps[{index}]"
            error.at = at if error.at is None else at + error.at.removeprefix("$")
            failed = content_of(error)
            if request.stop_on_error or isinstance(error, _STOPS):
                error.message = f"Pipeline failed at step {index}: {error.message}"
                error.reply = {
                    **error.reply,
                    "step": index,
                    "step_result": failed,
                    "completed_steps": results,
                }
                raise
            results.append(failed)
        scope.results.append(produced)
    scope.steps_follow = False
    try:
        scope.check_all_buffers_used()
    except InvalidRequest as error:
        error.reply = {"completed_steps": results}
        raise
    return Reply(pipeline_results=results, steps_completed=completed)


def _check_goes_on(interrupts: Interrupts) -> None:
    """Raise where the pipeline was cancelled or its time is over, though the step before took no notice."""
    if interrupts.reason is not None and interrupts.reason != "interrupted":
        raise stopped(interrupts.reason, "pipeline")


def _command_of(step: dict[str, Any], scope: Scope) -> tuple[Command, dict[str, Any]]:
    """The command of a step, and what it is asked."""
    op = step.get("op", "call")
    command = scope.runtime.table.get(op) if isinstance(op, str) else None
    if command is None:
        raise UnknownOperation(f"There is no operation {op!r} here.", at="$.op")
    if op == "pipeline":
        raise InvalidRequest("A step of a pipeline cannot be a pipeline.", at="$.op")
    if not (command.names_session or _OF_THE_WHOLE.isdisjoint(step)):
        name = next(name for name in step if name in _OF_THE_WHOLE)
        raise InvalidRequest(f"{name} belongs to the pipeline, not to a step.", at=f"$.{name}")
    if "op" in step:
        step = {key: value for key, value in step.items() if key != "op"}
    return command, step


COMMAND = Command(
    op="pipeline",
    request=Request,
    reply=Reply,
    run=run,
    summary="Run several operations in one round trip, by references to earlier results.",
    creates_session=True,
)
