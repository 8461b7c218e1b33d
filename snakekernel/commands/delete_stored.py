"""``delete_stored``: forget a stored object."""

from __future__ import annotations

from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """Forget ``id`` in the namespace named, never in the one underneath."""

    id: Name


class Reply(BaseReply, kw_only=True):
    """A message for a person."""

    message: str


async def run(request: Request, scope: Scope) -> Reply:
    """Delete; the object's own ``__del__`` runs on the main thread."""
    scope.runtime.store.delete(scope.space, request.id, writer=scope.writer, at="$.id")
    return Reply(message=f"Object {request.id!r} deleted")


COMMAND = Command(
    op="delete_stored", request=Request, reply=Reply, run=run, summary="Forget a stored object.", control=True
)
