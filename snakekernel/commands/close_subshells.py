"""``close_subshells``: end subshells that the caller opened; what runs in them is cancelled."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope

#: Seconds to wait for threads that stop what they do.
_PATIENCE: Final = 2.0


class Request(BaseRequest, frozen=True, kw_only=True):
    """``subshells``: ids that ``open_subshells`` gave; those that are closed already are passed over."""

    subshells: Annotated[list[Name], msgspec.Meta(max_length=1_000)]


class Reply(BaseReply, kw_only=True):
    """``closed``: how many were open. ``busy``: how many of them still run what cannot be stopped; they end
    after it."""

    closed: int
    busy: int


async def run(request: Request, scope: Scope) -> Reply:
    """Let them go, and wait a little for their ends."""
    subshells, leases = scope.runtime.subshells, scope.runtime.leases
    closed = [id for id in request.subshells if leases.drop(scope.sender, ("subshell", id)) is not None]
    if subshells is None or not closed:
        return Reply(closed=0, busy=0)
    for id in closed:
        subshells.retire(id)
    busy: int = await scope.wait(subshells.ended(closed, _PATIENCE))
    return Reply(closed=len(closed), busy=busy)


COMMAND = Command(
    op="close_subshells",
    request=Request,
    reply=Reply,
    run=run,
    summary="End subshells that the caller opened.",
    control=True,
)
