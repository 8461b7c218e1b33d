"""``credit``: the reader of a stream has room for more items, or wants no more."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope
from .streaming import MOST_CREDIT


class Request(BaseRequest, frozen=True, kw_only=True):
    """``msg_id``: of the stream's request. ``credit``: so many items more. ``close``: the stream may end."""

    msg_id: Name
    credit: Annotated[int, msgspec.Meta(ge=0, le=MOST_CREDIT)] = 0
    close: bool = False


class Reply(BaseReply, kw_only=True):
    """``open``: whether the caller has such a stream under way, and has not closed it."""

    open: bool


async def run(request: Request, scope: Scope) -> Reply:
    """Grant or close; a stream that is over is passed over, one that has not begun is closed beforehand."""
    runtime, key = scope.runtime, (scope.sender, request.msg_id)
    runtime.leases.renew(scope.sender, request.lease)
    if request.close:
        runtime.flows.close(key)
        return Reply(open=False)
    flow = runtime.flows.find(key)
    if flow is not None:
        flow.grant(request.credit)
    return Reply(open=flow is not None and not flow.is_closed)


COMMAND = Command(
    op="credit",
    request=Request,
    reply=Reply,
    run=run,
    summary="Let a stream run further ahead, or close it.",
    control=True,
)
