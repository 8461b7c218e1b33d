"""``list_programs``: the DSPy programs among the stored objects."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import msgspec

from ...commands.command import Command
from ...commands.scope import Scope
from ...wire.model import Reply as BaseReply
from ...wire.model import Request as BaseRequest
from .programs import summary, visible_programs


class Request(BaseRequest, frozen=True, kw_only=True):
    """A page of the session's programs and the kernel-wide ones underneath."""

    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000


class Reply(BaseReply, kw_only=True):
    """``programs``: the page, each as ``get_program`` gives it; ``count``: of all."""

    programs: list[dict[str, Any]]
    count: int


async def run(request: Request, scope: Scope) -> Reply:
    """Look through the names; only the page's programs are summed up."""
    found = list(visible_programs(scope))
    page = islice(found, request.offset, request.offset + request.limit)
    return Reply(programs=[summary(entry) for entry in page], count=len(found))


COMMAND = Command(
    op="list_programs", request=Request, reply=Reply, run=run, summary="List the stored DSPy programs."
)
