"""``renew``: a client that holds something says that it is there, and what it holds no more."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``release``: references held no more. ``lease``: for how long the rest is held now, 5 s at first."""

    release: Annotated[list[Name], msgspec.Meta(max_length=100_000)] = msgspec.field(default_factory=list)


class Reply(BaseReply, kw_only=True):
    """``held``: how many streams, functions and references the caller holds."""

    held: int


async def run(request: Request, scope: Scope) -> Reply:
    """Release, then renew; what is not held, or went with its session, is passed over."""
    leases = scope.runtime.leases
    for name in request.release:
        release = leases.drop(scope.sender, ("ref", name))
        if release is not None:
            release()
    return Reply(held=leases.renew(scope.sender, request.lease))


COMMAND = Command(
    op="renew",
    request=Request,
    reply=Reply,
    run=run,
    summary="Go on holding streams, functions and references, and release some.",
    control=True,
)
