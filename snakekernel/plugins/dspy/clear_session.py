"""``clear_session``: forget a session's objects, or without a session the kernel-wide programs."""

from __future__ import annotations

from ...commands.command import Command
from ...commands.scope import Scope
from ...wire.model import Reply as BaseReply
from ...wire.model import Request as BaseRequest
from .programs import visible_programs


class Request(BaseRequest, frozen=True, kw_only=True):
    """``session_id`` says whose objects; the session itself stays open, with what it configured."""


class Reply(BaseReply, kw_only=True):
    """``deleted`` counts what was forgotten."""

    message: str
    deleted: int


async def run(request: Request, scope: Scope) -> Reply:
    """A session's objects of every kind; kernel-wide only programs, for others may be a notebook's."""
    if scope.session is not None:
        count = scope.runtime.store.clear(scope.session.space, writer=scope.writer)
        return Reply(message=f"Session {scope.session.id!r} cleared: {count} objects", deleted=count)
    names = [entry.name for entry in visible_programs(scope)]
    for name in names:
        await scope.perform("delete_stored", {"id": name})
    return Reply(message=f"Programs cleared: {len(names)}", deleted=len(names))


COMMAND = Command(
    op="clear_session",
    request=Request,
    reply=Reply,
    run=run,
    summary="Forget a session's objects, or the kernel-wide DSPy programs.",
)
