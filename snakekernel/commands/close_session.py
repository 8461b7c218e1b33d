"""``close_session``: end a session and forget its objects."""

from __future__ import annotations

from ..wire.errors import InvalidRequest
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``session_id`` names the session to end."""


class Reply(BaseReply, kw_only=True):
    """``stored_objects`` counts what was forgotten."""

    message: str
    session_id: str
    stored_objects: int


async def run(request: Request, scope: Scope) -> Reply:
    """Forget the session, then its objects."""
    if request.session_id is None:
        raise InvalidRequest("close_session names the session to end.", at="$.session_id")
    session = scope.runtime.sessions.close(request.session_id)
    count = scope.runtime.forget(session, writer=scope.writer)
    return Reply(message=f"Session {session.id!r} closed", session_id=session.id, stored_objects=count)


COMMAND = Command(
    op="close_session",
    request=Request,
    reply=Reply,
    run=run,
    summary="End a session and forget its objects.",
    names_session=True,
)
