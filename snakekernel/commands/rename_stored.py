"""``rename_stored``: give a stored object another name."""

from __future__ import annotations

from ..wire.model import Name, NewName
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``id`` becomes ``to``, which must be free."""

    id: Name
    to: NewName


class Reply(BaseReply, kw_only=True):
    """A message for a person."""

    message: str


async def run(request: Request, scope: Scope) -> Reply:
    """Rename within one namespace."""
    with scope.runtime.durable.renaming(scope.space, request.id, request.to):
        scope.runtime.store.rename(
            scope.space, request.id, request.to, writer=scope.writer, now=scope.now, by=scope.maker
        )
    return Reply(message=f"Object {request.id!r} is now {request.to!r}")


COMMAND = Command(
    op="rename_stored", request=Request, reply=Reply, run=run, summary="Rename a stored object.", control=True
)
