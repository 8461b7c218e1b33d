"""``open_subshells``: threads of the kernel that serve requests beside the main shell, for as long as the
client is there."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec

from ..wire.errors import Unsupported
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``count``: how many. They are the caller's until it closes them or its ``lease`` runs out."""

    count: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1


class Reply(BaseReply, kw_only=True):
    """``subshells``: their ids, for the ``subshell_id`` of a request's header."""

    subshells: list[str]


async def run(request: Request, scope: Scope) -> Reply:
    """Open them, and have the caller hold them."""
    subshells = scope.runtime.subshells
    if subshells is None:
        raise Unsupported("There are no subshells here.", at="$")
    ids: list[str] = await scope.wait(subshells.open(request.count), trusted=True)
    for id in ids:
        scope.hold(("subshell", id), partial(subshells.retire, id))
    return Reply(subshells=ids)


COMMAND = Command(
    op="open_subshells",
    request=Request,
    reply=Reply,
    run=run,
    summary="Open threads of the kernel that serve requests beside the main shell.",
    control=True,
)
