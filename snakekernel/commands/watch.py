"""``watch``: have changes in place told, of stored objects and of the notebook's variables."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope

#: Seconds that looking may take before the reply.
_FIRST_LOOK: Final = 0.02

_MOST: Final = msgspec.Meta(max_length=10_000)


class Request(BaseRequest, frozen=True, kw_only=True):
    """What to watch for ``lease`` seconds, in place of what this client watched before; 0 ends it.

    stored: pairs of a session's id, or null, and a name. variables: names of variables to look into; with a
    list, an empty one too, variables that come, go or are assigned are told as well.
    """

    stored: Annotated[list[tuple[Name | None, Name]], _MOST] = msgspec.field(default_factory=list)
    variables: Annotated[list[Name], _MOST] | None = None
    lease: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = 30.0


class Reply(BaseReply, kw_only=True):
    """When the watch ends (seconds since 1970, null: it has), and the versions it begins at.

    Changes are told by ``snake_changed`` on iopub, after a cell or call and once a second while one runs.
    """

    expires_at: float | None
    version: int
    variables_version: int


async def run(request: Request, scope: Scope) -> Reply:
    """Begin, renew or end this client's watch; what is as it is now counts as known."""
    runtime = scope.runtime
    expires_at = scope.now + request.lease if request.lease else None
    if expires_at is None:
        runtime.watches.end(scope.sender)
    else:
        runtime.watches.begin(scope.sender, request.stored, request.variables, expires_at)
        runtime.look(_FIRST_LOOK)
    return Reply(
        expires_at=expires_at,
        version=runtime.store.version,
        variables_version=runtime.watches.variables_version,
    )


COMMAND = Command(
    op="watch",
    request=Request,
    reply=Reply,
    run=run,
    summary="Watch stored objects and variables for changes in place, for a time.",
    control=True,
)
