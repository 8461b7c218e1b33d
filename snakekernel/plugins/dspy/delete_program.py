"""``delete_program``: forget a DSPy program; translated into ``delete_stored``."""

from __future__ import annotations

from ...commands.command import Command
from ...commands.scope import Scope
from ...wire.model import Name
from ...wire.model import Reply as BaseReply
from ...wire.model import Request as BaseRequest
from .programs import one_id, paths, program_entry


class Request(BaseRequest, frozen=True, kw_only=True):
    """The program by ``program_id`` (or ``id``), in the namespace named, never in the one underneath."""

    program_id: Name | None = None
    id: Name | None = None


class Reply(BaseReply, kw_only=True):
    """A message for a person."""

    message: str


async def run(request: Request, scope: Scope) -> Reply:
    """Delete it if it is a program."""
    name, at = one_id(request.program_id, request.id)
    program_entry(scope, name, at=at)
    with paths({"$.id": at}):
        await scope.perform("delete_stored", {"id": name})
    return Reply(message=f"Program {name!r} deleted")


COMMAND = Command(
    op="delete_program", request=Request, reply=Reply, run=run, summary="Forget a stored DSPy program."
)
