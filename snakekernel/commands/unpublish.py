"""``unpublish``: let go of what was published. Who opened it keeps it."""

from __future__ import annotations

from ..memory.publications import Hex
from ..wire.errors import NotFound
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``id`` is the publication's; null for all that this session published."""

    id: Hex | None = None


class Reply(BaseReply, kw_only=True):
    """How many publications ended, and how many bytes of segments the kernel keeps for the others."""

    count: int
    kept: int


async def run(request: Request, scope: Scope) -> Reply:
    """Close its segments."""
    publications = scope.runtime.publications
    if request.id is None:
        count = publications.clear(scope.space)
    elif publications.remove(request.id):
        count = 1
    else:
        raise NotFound("This kernel has no such publication; it may have ended already.", at="$.id")
    return Reply(count=count, kept=publications.nbytes)


COMMAND = Command(
    op="unpublish",
    request=Request,
    reply=Reply,
    run=run,
    summary="Let go of what was published.",
    control=True,
)
