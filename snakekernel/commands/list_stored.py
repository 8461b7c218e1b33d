"""``list_stored``: a page of the names in a namespace, with what is known of each without running code."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .. import inspection
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """Names that begin with ``prefix``, in alphabetical order; without one, in the order first stored."""

    prefix: str = ""
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000


class Reply(BaseReply, kw_only=True):
    """The page's names and details, the count of all that match, the store's version.

    objects: ``name``, ``type``, ``module``, ``size`` (bytes, estimated), ``created`` and ``last_used``
    (seconds since 1970), ``writer`` (a request or cell id).
    """

    stored_objects: list[str]
    count: int
    version: int
    objects: list[dict[str, Any]]


async def run(request: Request, scope: Scope) -> Reply:
    """List; runs no user code, so that control can serve it."""
    entries, count, version = scope.runtime.store.page(
        scope.space, prefix=request.prefix, offset=request.offset, limit=request.limit
    )
    objects = [
        {
            "name": entry.name,
            "type": entry.type,
            "module": entry.module,
            "size": inspection.estimate(entry.obj),
            "created": entry.created,
            "last_used": entry.used,
            "writer": entry.writer,
        }
        for entry in entries
    ]
    return Reply(
        stored_objects=[entry.name for entry in entries], count=count, version=version, objects=objects
    )


COMMAND = Command(
    op="list_stored",
    request=Request,
    reply=Reply,
    run=run,
    summary="List stored objects by page, with type, size, age and writer.",
    control=True,
)
