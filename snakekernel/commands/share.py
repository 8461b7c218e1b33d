"""``share``: let another session, or all, reach a stored object. The object is shared, not copied."""

from __future__ import annotations

from typing import Any

from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """Also store ``id`` in the session ``to``, or kernel-wide where ``to`` is null."""

    id: Name
    to: Name | None


class Reply(BaseReply, kw_only=True):
    """A message for a person."""

    message: str


async def run(request: Request, scope: Scope) -> Reply:
    """Put the same object into another namespace."""
    runtime = scope.runtime
    obj = scope.entry(request.id).obj
    given: dict[str, Any] = {"writer": scope.writer, "now": scope.now, "by": scope.maker, "at": "$.to"}
    if request.to is None:
        runtime.store.put(None, request.id, obj, **given)
        return Reply(message=f"Object {request.id!r} is now kernel-wide")
    session = runtime.sessions.lease(request.to, now=scope.now, create=False, at="$.to")
    try:
        runtime.store.put(session.space, request.id, obj, **given)
    finally:
        runtime.release(session)
    return Reply(message=f"Object {request.id!r} is now in session {request.to!r}")


COMMAND = Command(
    op="share",
    request=Request,
    reply=Reply,
    run=run,
    summary="Share an object with a session or kernel-wide.",
)
