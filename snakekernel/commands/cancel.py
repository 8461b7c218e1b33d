"""``cancel``: stop one request of the same client, wherever it is."""

from __future__ import annotations

from ..wire.errors import InvalidRequest
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .runtime import State
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``msg_id``: of the request's header; through the comm, the ``id`` it was sent with does as well.
    ``call_id``: the one that the request was sent with, in place of its ``msg_id``.
    """

    msg_id: str | None = None


class Reply(BaseReply, kw_only=True):
    """What became of the request.

    state: ``"stopped"``: its reply is ``cancelled``. ``"asked"``: it runs on and stops when it can, if it
        ever does. ``"over"``: it ended by itself. ``"unknown"``: this client has no such request under way.
    cancelled: whether it is stopped.
    """

    cancelled: bool
    state: State


async def run(request: Request, scope: Scope) -> Reply:
    """Stop what waits or runs, and wait a moment for its end."""
    if (request.msg_id is None) == (request.call_id is None):
        raise InvalidRequest("Name the request by its msg_id or by its call_id.", at="$")
    found = scope.runtime.cancel(request.msg_id, request.call_id, scope.sender)
    if isinstance(found, str):
        state = found
    elif scope.door == "comm":
        # It cannot wait, and nothing but tasks comes this way.
        found.close()
        state = "unknown"
    else:
        state = await scope.wait(found)
    return Reply(cancelled=state == "stopped", state=state)


COMMAND = Command(
    op="cancel",
    request=Request,
    reply=Reply,
    run=run,
    summary="Stop one request, wherever it waits or runs.",
    control=True,
    idempotent=False,
)
