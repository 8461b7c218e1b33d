"""``cancel``: stop a request by its id. Known, and not served by this build yet."""

from __future__ import annotations

from ..wire.errors import Unsupported
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``call_id``, or the ``msg_id`` of the request's header."""

    msg_id: str | None = None


class Reply(BaseReply, kw_only=True):
    """``cancelled``: whether the request was stopped."""

    cancelled: bool


async def run(request: Request, scope: Scope) -> Reply:
    """Refuse, and say what works instead."""
    raise Unsupported("This build cannot cancel one request; interrupt the kernel instead.", at="$")


COMMAND = Command(
    op="cancel",
    request=Request,
    reply=Reply,
    run=run,
    summary="Stop a request by id (not served yet).",
    control=True,
    idempotent=False,
)
