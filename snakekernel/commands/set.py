"""``set``: assign an attribute or item below a stored object, or a variable of the notebook."""

from __future__ import annotations

from typing import Any

from ..objects.target import assign
from ..wire.errors import InvalidRequest
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """Assign ``value``, data of the grammar, to ``target``, a path below ``stored`` or ``user``."""

    target: RawTarget
    value: Any


class Reply(BaseReply, kw_only=True):
    """A message for a person."""

    message: str


async def run(request: Request, scope: Scope) -> Reply:
    """Resolve all but the last step, then assign."""
    target = scope.target(request.target)
    if target.root == "import" or (target.root == "step" and not target.steps):
        raise InvalidRequest("set assigns below stored or user, or a part of a step's result.", at="$.target")
    scope.runtime.policy.walk(target, "$.target")
    value = scope.decode(request.value, at="$.value")
    scope.check_all_buffers_used()
    if target.steps:
        owner = scope.owner_of(target)
        scope.invoke(
            assign, (owner, target.steps[-1], value), {"at": "$.target"}, at="$.target", trusted=True
        )
    elif target.root == "stored":
        scope.put(target.name, value, at="$.target")
    else:
        scope.runtime.user_namespace()[target.name] = value
    return Reply(message=f"{target} set")


COMMAND = Command(
    op="set", request=Request, reply=Reply, run=run, summary="Assign an attribute, item or notebook variable."
)
