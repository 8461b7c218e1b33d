"""``inspect``: what an object is, within a budget of time and size."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .. import inspection
from ..objects.provenance import history_of, made_by
from ..objects.target import Target
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from ..wire.path import Attr, Item
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """A page of ``limit`` children from ``offset``; ``budget`` bounds user code, in seconds.

    run_code: on control and the comm, run the object's own code too (its repr), as a task. On shell it runs.
    """

    target: RawTarget
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 50
    budget: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None
    run_code: bool = False


class Reply(BaseReply, kw_only=True):
    """``inspection``: see the protocol reference for its fields."""

    inspection: dict[str, Any]


async def run(request: Request, scope: Scope) -> Reply:
    """Resolve and inspect; on control nothing of the object's own code runs unless it is asked for."""
    target = scope.target(request.target)
    obj = scope.resolve(target)
    seconds = request.budget
    budget = None if seconds is None else inspection.Budget(seconds=seconds)
    page = {"offset": request.offset, "limit": request.limit, "name": last_name(target)}
    found = scope.invoke(scope.describer(budget).inspect, (obj,), page, at="$.target", trusted=True)
    found["stored"] = _stored(target, scope) if target.root == "stored" else None
    scope.task.check()
    scope.produced = found
    return Reply(inspection=found)


def last_name(target: Target) -> str | None:
    """What the object goes by where it lies."""
    last = target.steps[-1] if target.steps else target.name
    name = last.name if isinstance(last, Attr) else last.key if isinstance(last, Item) else last
    return name if type(name) is str else None


def _stored(target: Target, scope: Scope) -> dict[str, Any] | None:
    """What the store knows of a target that is a stored name."""
    found = None if target.steps else scope.runtime.store.look(scope.space, target.name, now=scope.now)
    if found is None:
        return None
    entry, space = found
    entry.size = inspection.estimate(entry.obj)
    return {
        "name": entry.name,
        "session_id": None if space is None else space[0],
        "created": entry.created,
        "last_used": entry.used,
        "size": entry.size,
        "expires_at": entry.expires_at,
        "made_by": made_by(entry.by),
        "history": history_of(entry),
    }


COMMAND = Command(
    op="inspect",
    request=Request,
    reply=Reply,
    run=run,
    summary="Describe any object: signature, docstring, attributes, shape, children.",
    control=True,
    looks=True,
    task=lambda request: request.run_code,
)
