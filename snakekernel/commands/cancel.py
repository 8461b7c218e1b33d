"""``cancel``: stop a task of the inspector by its request's id."""

from __future__ import annotations

from ..wire.errors import Unsupported
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """The ``msg_id`` of the request's header; through the comm, the ``id`` it was sent with does as well."""

    msg_id: str | None = None


class Reply(BaseReply, kw_only=True):
    """``cancelled``: whether a task was waiting or running and is answered ``cancelled`` now."""

    cancelled: bool


async def run(request: Request, scope: Scope) -> Reply:
    """Cancel what waits or runs; where it is over, or was never asked for, nothing was cancelled."""
    if request.msg_id is not None:
        cancelled = scope.runtime.cancel(request.msg_id, scope.sender)
        if cancelled is not None:
            return Reply(cancelled=cancelled)
    raise Unsupported("Only tasks of the inspector can be cancelled; interrupt the kernel instead.", at="$")


COMMAND = Command(
    op="cancel",
    request=Request,
    reply=Reply,
    run=run,
    summary="Cancel a waiting or running task of the inspector.",
    control=True,
    idempotent=False,
)
