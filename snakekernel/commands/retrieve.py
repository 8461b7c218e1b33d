"""``retrieve``: a stored object, or a part of it, as a description with its value."""

from __future__ import annotations

from typing import Any

from ..objects.store import ANONYMOUS
from ..wire.errors import InvalidRequest
from ..wire.model import Name, Returns
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from .command import Command
from .results import REFERENCES, reference
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """Either ``id``, or a ``target`` below ``stored`` or ``user``."""

    id: Name | None = None
    target: RawTarget | None = None
    returns: Returns = "auto"


class Reply(BaseReply, kw_only=True):
    """``object`` is a description with its value, or a preview."""

    object: dict[str, Any] | None


async def run(request: Request, scope: Scope) -> Reply:
    """Find and describe."""
    if (request.id is None) == (request.target is None):
        raise InvalidRequest("Name the object by id or by target: one of the two.", at="$")
    if request.id is not None:
        obj = scope.entry(request.id).obj
    else:
        target = scope.target(request.target)
        if target.root == "import":
            raise InvalidRequest(
                "retrieve reads below stored or user; call reads other targets.", at="$.target"
            )
        obj = scope.resolve(target)
    scope.produced = obj
    if request.returns in REFERENCES and request.id is not None and not request.id.startswith(ANONYMOUS):
        return Reply(object=reference(scope, obj, request.returns, request.id))
    return Reply(object=scope.result(obj, request.returns))


COMMAND = Command(
    op="retrieve", request=Request, reply=Reply, run=run, summary="Get a stored object, or a part of it."
)
