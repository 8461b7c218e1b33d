"""``restore``: store the objects of a file again, after a crash or in another kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from ..durable.checkpoint import Failure, restore
from ..durable.kept import session_of
from ..durable.rows import Row
from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``name``, ``path``: the file, as for ``checkpoint``. ``ids``: those alone; null: all of this namespace.
    overwrite: replace objects of the same names; else they stay, and are listed as failed.
    """

    name: str | None = None
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = None
    ids: Annotated[list[Name], msgspec.Meta(max_length=10_000)] | None = None
    overwrite: bool = False


class Reply(BaseReply, kw_only=True):
    """``restored`` are stored again, ``bytes`` of them. ``failed``: ``id``, ``session_id``, ``reason``,
    ``type`` of the object or null, ``error`` (the name of what was raised).
    """

    path: str
    restored: list[str]
    failed: list[Failure]
    bytes: int


async def run(request: Request, scope: Scope) -> Reply:
    """Check the file's signature first; then load object by object."""
    durable, store = scope.runtime.durable, scope.runtime.store
    path = durable.places.file(request.name, request.path)
    is_own = bool(durable.places.own) and path == durable.path("$")
    now = scope.now

    def load(function: Callable[[], Any]) -> Any:
        with scope.session_contexts():
            return scope.invoke(function, at="$")

    def put(row: Row, obj: Any) -> None:
        if is_own:
            # What is in the file already must not go as its name is stored.
            durable.leave(scope.space, row.name)
        scope.put(row.name, obj, ttl=None if row.expires_at is None else max(0.001, row.expires_at - now))
        if is_own:
            durable.keep(scope.space, row.name)

    def is_taken(name: str) -> bool:
        found = store.look(scope.space, name, now=now)
        return not request.overwrite and found is not None and found[1] == scope.space

    with durable.open(path) as database, database.reading() as reading:
        report = restore(
            reading,
            session_of(scope.space),
            request.ids,
            now=now,
            load=load,
            put=put,
            is_taken=is_taken,
            secrets=scope.runtime.secrets,
        )
    return Reply(path=str(path), restored=report.done, failed=report.failed, bytes=report.bytes)


COMMAND = Command(
    op="restore",
    request=Request,
    reply=Reply,
    run=run,
    summary="Store the objects of a signed file again.",
    creates_session=True,
)
