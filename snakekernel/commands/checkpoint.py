"""``checkpoint``: save the objects of a namespace in a file, all at once."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ..durable.checkpoint import Failure, save
from ..durable.kept import session_of
from ..objects.entries import Entry
from ..wire.errors import NotFound
from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .on_disk import keep, pickler
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``name`` is a file in the owner's folder, ``path`` any file of the kernel's host; without either, the
    file of durable objects. ``ids``: those alone, and others that the file holds stay; null: all, and what
    else the file holds of this namespace goes. allow_secrets: write objects that hold a registered secret.
    """

    name: str | None = None
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = None
    ids: Annotated[list[Name], msgspec.Meta(max_length=10_000)] | None = None
    allow_secrets: bool = False


class Reply(BaseReply, kw_only=True):
    """``saved`` are on the disk, ``bytes`` of them. ``failed``: ``id``, ``session_id``, ``reason``, ``type``
    of the object or null, ``error`` (the name of what was raised), ``kept`` (whether the file still holds an
    earlier object of this name). ``count``: objects that the file holds now, of all namespaces.
    """

    path: str
    saved: list[str]
    failed: list[Failure]
    count: int
    bytes: int


async def run(request: Request, scope: Scope) -> Reply:
    """One transaction: what the file held before stays until all of the new is on the disk."""
    durable = scope.runtime.durable
    path = durable.places.file(request.name, request.path)
    entries, missing = _wanted(request, scope)
    session = session_of(scope.space)
    pickle = pickler(scope, allow_secrets=request.allow_secrets)
    with durable.open(path, create=True) as database, database.writing() as writing:
        report = save(writing, session, entries, only=request.ids is not None, pickle=pickle)
        count = len(writing.rows)
        for name in missing:
            report.fail(name, session, None, NotFound(f"There is no stored object {name!r} here."))
            report.failed[-1]["kept"] = (session, name) in writing.rows
    if durable.places.own and path == durable.path("$"):
        done = set(report.done)
        for entry in entries:
            if entry.name in done:
                keep(scope, entry)
        durable.settle()
    return Reply(path=str(path), saved=report.done, failed=report.failed, count=count, bytes=report.bytes)


def _wanted(request: Request, scope: Scope) -> tuple[list[Entry], list[str]]:
    store, now = scope.runtime.store, scope.now
    if request.ids is None:
        return [e for e in store.entries(scope.space) if e.expires_at is None or now < e.expires_at], []
    entries, missing = [], []
    for name in dict.fromkeys(request.ids):
        found: Any = store.look(scope.space, name, now=now)
        if found is None or found[1] != scope.space:
            missing.append(name)
        else:
            entries.append(found[0])
    return entries, missing


COMMAND = Command(
    op="checkpoint",
    request=Request,
    reply=Reply,
    run=run,
    summary="Save the objects of a namespace in a signed file.",
)
