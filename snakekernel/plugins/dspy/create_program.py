"""``create_program``: make a DSPy program from a signature; translated into a ``call`` of its class."""

from __future__ import annotations

from typing import Any

import msgspec

from ...commands.command import Command
from ...commands.scope import Scope
from ...wire.errors import InvalidRequest
from ...wire.model import Name, NewName
from ...wire.model import Reply as BaseReply
from ...wire.model import Request as BaseRequest
from .plugin import PLUGIN
from .programs import ROOT, paths
from .signature import SignatureSpec, build


class Request(BaseRequest, frozen=True, kw_only=True):
    """A program of the class ``module`` (one of DSPy's by name, another by its dotted path) under ``id``.

    signature: text, ``"question -> answer"``, or inputs and outputs field by field.
    tools: for agents: targets, or references to stored functions.
    options: further keyword arguments of the class, such as ``max_iters`` or ``temperature``.
    """

    id: NewName
    signature: str | SignatureSpec
    module: Name = "Predict"
    instructions: str | None = None
    tools: list[Any] | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)


class Reply(BaseReply, kw_only=True):
    """``result`` describes the program, as ``call`` does."""

    message: str
    program_id: str
    result: dict[str, Any] | None
    stored_as: str | None


async def run(request: Request, scope: Scope) -> Reply:
    """Build the signature, then call the class and store what it makes."""
    dspy = scope.invoke(PLUGIN.load, trusted=True)
    target = request.module if "." in request.module else f"{ROOT}.{request.module}"
    cls = scope.resolve(scope.target(target, at="$.module"), at="$.module")
    if not isinstance(cls, type) or not issubclass(cls, dspy.Module):
        raise InvalidRequest(f"{target} is no class of DSPy programs.", at="$.module")
    for name in ("signature", "tools"):
        if name in request.options:
            raise InvalidRequest(f"{name} is a field of its own.", at=f"$.options.{name}")
    # Handed over as results of steps, since a call's arguments are data and these are objects.
    mark = len(scope.results)
    kwargs = dict(request.options)
    try:
        described = (request.signature, request.instructions, dspy)
        scope.results.append(scope.invoke(build, described, {"at": "$.signature"}, trusted=True))
        kwargs["signature"] = {"$step": mark}
        if request.tools is not None:
            kwargs["tools"] = [{"$step": mark + 1 + index} for index in range(len(request.tools))]
            scope.results += [_tool(raw, scope, f"$.tools[{i}]") for i, raw in enumerate(request.tools)]
        with paths({"$.target": "$.module", "$.kwargs": "$.options"}):
            call = {"target": target, "kwargs": kwargs, "store_as": request.id, "returns": "preview"}
            reply: Any = await scope.perform("call", call)
    finally:
        del scope.results[mark:]
    return Reply(
        message=f"Program {request.id!r} created",
        program_id=request.id,
        result=reply.result,
        stored_as=reply.stored_as,
    )


def _tool(raw: Any, scope: Scope, at: str) -> Any:
    tool = scope.decode(raw, at=at) if isinstance(raw, dict) else None
    if tool is None:
        if not isinstance(raw, str | list) or not raw:
            raise InvalidRequest("A tool is a target or a reference to a stored function.", at=at)
        tool = scope.resolve(scope.target(raw, at=at), at=at)
    if not callable(tool):
        raise InvalidRequest(f"A {type(tool).__name__} cannot be called, so it is no tool.", at=at)
    return tool


COMMAND = Command(
    op="create_program",
    request=Request,
    reply=Reply,
    run=run,
    summary="Make a DSPy program from a signature and store it.",
    creates_session=True,
)
