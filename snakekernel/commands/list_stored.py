"""``list_stored``: a page of the names in a namespace, with what is known of each without running code."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .. import inspection
from ..objects.entries import Entry
from ..objects.provenance import made_by
from ..objects.secret_names import MASK
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """Names that begin with ``prefix``, in alphabetical order; without one, in the order first stored.

    search: only names that contain it, in upper or lower case.
    """

    prefix: str = ""
    search: str = ""
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000


class Reply(BaseReply, kw_only=True):
    """The page's names and details, the count of all that match, the store's version.

    objects: ``name``, ``session_id`` (null: kernel-wide), ``type``, ``module``, ``size`` (bytes, estimated),
    ``length``, ``shape``, ``dtype`` (null where unknown), ``preview`` (a text of at most 120 characters),
    ``view`` (what shows it best: ``table``, ``tree``, ``image``, ``figure``, ``text``, ``callable``,
    ``scalar`` or ``object``), ``version``, ``created``, ``last_used`` and ``expires_at`` (seconds since
    1970; null: no end), ``writer`` (a request or cell id) and ``made_by`` (``kind``, ``label``, ``client``).
    """

    stored_objects: list[str]
    count: int
    version: int
    objects: list[dict[str, Any]]


async def run(request: Request, scope: Scope) -> Reply:
    """List; runs no user code, so that control can serve it."""
    entries, count, version = scope.runtime.store.page(
        scope.space,
        prefix=request.prefix,
        search=request.search,
        offset=request.offset,
        limit=request.limit,
    )
    objects = [_line(entry, request.session_id) for entry in entries]
    return Reply(
        stored_objects=[entry.name for entry in entries],
        count=count,
        version=version,
        objects=objects,
        lossy=any(MASK in one["preview"] for one in objects),
    )


def _line(entry: Entry, session_id: str | None) -> dict[str, Any]:
    shown = inspection.glance(entry.obj, entry.name)
    entry.size = shown["size"]
    return {
        "name": entry.name,
        "session_id": session_id,
        "type": entry.type,
        "module": entry.module,
        **shown,
        "version": entry.version,
        "created": entry.created,
        "last_used": entry.used,
        "expires_at": entry.expires_at,
        "writer": entry.writer,
        "made_by": made_by(entry.by),
    }


COMMAND = Command(
    op="list_stored",
    request=Request,
    reply=Reply,
    run=run,
    summary="List stored objects by page, with type, size, age and writer.",
    control=True,
    looks=True,
)
