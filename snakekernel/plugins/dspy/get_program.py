"""``get_program``: what a stored DSPy program is."""

from __future__ import annotations

from typing import Any

from ...commands.command import Command
from ...commands.scope import Scope
from ...wire.model import Name
from ...wire.model import Reply as BaseReply
from ...wire.model import Request as BaseRequest
from .programs import one_id, program_entry, summary


class Request(BaseRequest, frozen=True, kw_only=True):
    """The program by ``program_id`` (or ``id``)."""

    program_id: Name | None = None
    id: Name | None = None


class Reply(BaseReply, kw_only=True):
    """``program``: ``id``, ``type``, ``signature``, ``instructions``, ``fields``."""

    program: dict[str, Any]


async def run(request: Request, scope: Scope) -> Reply:
    """Find and sum up; ``inspect`` tells more."""
    name, at = one_id(request.program_id, request.id)
    entry = program_entry(scope, name, at=at)
    scope.produced = entry.obj
    return Reply(program=summary(entry))


COMMAND = Command(
    op="get_program", request=Request, reply=Reply, run=run, summary="Describe a stored DSPy program."
)
