"""``store``: keep a value under a name."""

from __future__ import annotations

from typing import Any

from ..wire.model import NewName, Seconds
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .on_disk import store_durably
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """Keep ``value``, data of the grammar, as ``id``; ``ttl`` in seconds.

    durable: it is also on the disk before the reply, in the kernel's file of durable objects.
    """

    id: NewName
    value: Any
    ttl: Seconds | None = None
    durable: bool = False


class Reply(BaseReply, kw_only=True):
    """``stored_objects`` counts the names in this namespace."""

    message: str
    stored_objects: int


async def run(request: Request, scope: Scope) -> Reply:
    """Decode and keep."""
    value = scope.decode(request.value, at="$.value")
    scope.check_all_buffers_used()
    if request.durable:
        store_durably(scope, request.id, value, request.ttl)
    else:
        scope.put(request.id, value, ttl=request.ttl)
    scope.produced = value
    return Reply(
        message=f"Object stored as {request.id!r}", stored_objects=scope.runtime.store.counts(scope.space)
    )


COMMAND = Command(
    op="store",
    request=Request,
    reply=Reply,
    run=run,
    summary="Keep a value under a name.",
    creates_session=True,
)
