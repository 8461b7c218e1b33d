"""``inspect``: what an object is, within a budget of time and size."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .. import inspection
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """A page of ``limit`` children from ``offset``; ``budget`` bounds user code, in seconds."""

    target: RawTarget
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 50
    budget: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None


class Reply(BaseReply, kw_only=True):
    """``inspection``: see the protocol reference for its fields."""

    inspection: dict[str, Any]


async def run(request: Request, scope: Scope) -> Reply:
    """Resolve and inspect; on control nothing of the object's own code runs."""
    obj = scope.resolve(scope.target(request.target))
    seconds = request.budget
    budget = None if seconds is None else inspection.Budget(seconds=seconds)
    page = {"offset": request.offset, "limit": request.limit}
    found = scope.invoke(scope.describer(budget).inspect, (obj,), page, at="$.target", trusted=True)
    scope.produced = found
    return Reply(inspection=found)


COMMAND = Command(
    op="inspect",
    request=Request,
    reply=Reply,
    run=run,
    summary="Describe any object: signature, docstring, attributes, shape, children.",
    control=True,
)
