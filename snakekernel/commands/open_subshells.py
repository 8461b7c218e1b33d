"""``open_subshells``: threads of the kernel that serve requests beside the main shell, for as long as the
client is there."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec

from ..wire.errors import Unsupported
from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``count``: how many, among them those of ``reuse`` that are the caller's still.

    They are the caller's until it closes them or its ``lease`` runs out.
    """

    count: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    reuse: Annotated[list[Name], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)


class Reply(BaseReply, kw_only=True):
    """``subshells``: their ids, for the ``subshell_id`` of a request's header."""

    subshells: list[str]


async def run(request: Request, scope: Scope) -> Reply:
    """Open them, and have the caller hold them."""
    subshells = scope.runtime.subshells
    if subshells is None:
        raise Unsupported("There are no subshells here.", at="$")
    leases = scope.runtime.leases
    kept = [id for id in request.reuse if leases.drop(scope.sender, ("subshell", id)) is not None]
    try:
        missing = request.count - len(kept)
        new: list[str] = []
        if missing > 0:
            new = await scope.wait(subshells.open(missing), trusted=True)
    finally:
        for id in kept:
            scope.hold(("subshell", id), partial(subshells.retire, id))
    for id in new:
        scope.hold(("subshell", id), partial(subshells.retire, id))
    return Reply(subshells=[*kept, *new])


COMMAND = Command(
    op="open_subshells",
    request=Request,
    reply=Reply,
    run=run,
    summary="Open threads of the kernel that serve requests beside the main shell.",
    control=True,
)
