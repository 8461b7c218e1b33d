"""``list_checkpoint``: what a file holds, without loading any of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ..durable.rows import Row
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``name``, ``path``: the file, as for ``checkpoint``; without either, that of durable objects if
    there is one.
    """

    name: str | None = None
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = None


class Reply(BaseReply, kw_only=True):
    """``objects`` of all namespaces: ``id``, ``session_id`` (null: kernel-wide), ``type``, ``module``,
    ``size`` in bytes, ``created`` and ``expires_at`` (seconds since 1970; null: no end), ``signed`` (whether
    the row is as it was written). ``saved_at``: when the file was last written. ``names``: the files in the
    owner's folder. ``path`` is null where no file was named. restored_at_start: ``restored`` and
    ``failed``, or null where nothing was to be.
    """

    path: str | None
    saved_at: float | None
    objects: list[dict[str, Any]]
    names: list[str]
    restored_at_start: dict[str, Any] | None


async def run(request: Request, scope: Scope) -> Reply:
    """Read the rows; no pickle is looked at."""
    durable = scope.runtime.durable
    start = durable.at_start
    at_start = None if start is None else {"restored": start.done, "failed": start.failed}
    names = durable.places.names()
    if request.name is None and request.path is None and not durable.places.own:
        return Reply(path=None, saved_at=None, objects=[], names=names, restored_at_start=at_start)
    path = durable.places.file(request.name, request.path)
    with durable.open(path) as database, database.reading() as reading:
        objects = [_line(row, reading.is_signed(row)) for row in reading.rows]
        saved = reading.saved
    return Reply(path=str(path), saved_at=saved, objects=objects, names=names, restored_at_start=at_start)


def _line(row: Row, is_signed: bool) -> dict[str, Any]:
    return {
        "id": row.name,
        "session_id": row.session or None,
        "type": row.type,
        "module": row.module,
        "size": row.size,
        "created": row.created,
        "expires_at": row.expires_at,
        "signed": is_signed,
    }


COMMAND = Command(
    op="list_checkpoint",
    request=Request,
    reply=Reply,
    run=run,
    summary="List what a signed file holds, without loading it.",
    looks=True,
)
