"""``create_session``: open a namespace of one's own."""

from __future__ import annotations

import uuid

from ..objects.quotas import Quota
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Seconds
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``session_id`` is made up where it is not given; ``ttl`` in seconds.

    quota: what it may use; no more than the kernel's own quota of sessions.
    """

    ttl: Seconds | None = None
    quota: Quota | None = None


class Reply(BaseReply, kw_only=True):
    """``expires_at`` in seconds since 1970, or null; every use moves it. ``quota`` is that in force."""

    session_id: str
    expires_at: float | None
    quota: dict[str, int] | None


async def run(request: Request, scope: Scope) -> Reply:
    """Open it; an existing one is an error."""
    session_id = request.session_id or f"session-{uuid.uuid4().hex}"
    session = scope.runtime.sessions.create(session_id, now=scope.now, ttl=request.ttl, quota=request.quota)
    quota = None if session.account is None else session.account.quota.bounds()
    return Reply(session_id=session.id, expires_at=session.expires_at, quota=quota)


COMMAND = Command(
    op="create_session",
    request=Request,
    reply=Reply,
    run=run,
    summary="Open a session: a namespace with a time to live.",
    names_session=True,
)
