"""``execute_program``: run a stored DSPy program; translated into a ``call`` of it."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from ...commands.command import Command
from ...commands.scope import Scope
from ...wire.model import Name
from ...wire.model import Reply as BaseReply
from ...wire.model import Request as BaseRequest
from .describe import fields_in, plain_fields
from .programs import ROOT, paths, program_entry


class Request(BaseRequest, frozen=True, kw_only=True):
    """``inputs`` are the program's input fields, in the data grammar."""

    program_id: Name
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)


class Reply(BaseReply, kw_only=True):
    """``outputs``: the prediction's fields, or ``{"result": <description>}`` where there is none."""

    outputs: dict[str, Any]


async def run(request: Request, scope: Scope) -> Reply:
    """Call the program; the outputs are whole, whatever a description would cut."""
    program_entry(scope, request.program_id, at="$.program_id")
    with paths({"$.kwargs": "$.inputs", "$.target": "$.program_id"}):
        call = {"target": ["stored", request.program_id], "kwargs": request.inputs, "returns": "none"}
        await scope.perform("call", call)
    made = scope.produced
    dspy = sys.modules[ROOT]
    if not isinstance(made, dspy.Prediction):
        return Reply(outputs={"result": scope.result(made, "auto")})
    text = scope.describer().text
    return Reply(outputs=plain_fields(fields_in(made), lambda value: text(value)[0], scope.runtime.limits))


COMMAND = Command(
    op="execute_program",
    request=Request,
    reply=Reply,
    run=run,
    summary="Run a stored DSPy program.",
    creates_session=True,
)
