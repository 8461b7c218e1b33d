"""``list_sessions``: the sessions there are."""

from __future__ import annotations

from typing import Any

from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``session_id``, where given, asks for that one alone."""


class Reply(BaseReply, kw_only=True):
    """Each with ``session_id``, ``created``, ``last_used``, ``expires_at``, ``ttl``, ``stored_objects``,
    ``quota`` and ``use``: ``objects``, ``bytes``, ``calls``, ``concurrent``; null where there is no quota.
    """

    sessions: list[dict[str, Any]]
    count: int


async def run(request: Request, scope: Scope) -> Reply:
    """List; reading renews nothing."""
    sessions = [
        {
            "session_id": session.id,
            "created": session.created,
            "last_used": session.used,
            "expires_at": session.expires_at,
            "ttl": session.ttl,
            "stored_objects": scope.runtime.store.counts(session.space),
            "quota": None if session.account is None else session.account.quota.bounds(),
            "use": None if session.account is None else session.account.use(),
        }
        for session in scope.runtime.sessions.sessions()
        if request.session_id in (None, session.id)
    ]
    return Reply(sessions=sessions, count=len(sessions))


COMMAND = Command(
    op="list_sessions",
    request=Request,
    reply=Reply,
    run=run,
    summary="List the sessions.",
    control=True,
    names_session=True,
)
