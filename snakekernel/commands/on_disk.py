"""What ``store``, ``checkpoint`` and ``restore`` share: user code at work between the store and a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..durable.pickles import Pickled, pickled
from ..objects.entries import Entry
from ..objects.static import module_name, type_name
from ..wire.errors import SnakeError, Unserializable

if TYPE_CHECKING:
    from .scope import Scope


def pickler(scope: Scope, *, allow_secrets: bool = False) -> Callable[[str, Any], Pickled]:
    """Pickles an object of a name as user code of this request: it can be stopped, and what it raises is
    told."""
    secrets = None if allow_secrets else scope.runtime.secrets

    def pickle(name: str, obj: Any) -> Pickled:
        if secrets is not None and secrets.scrub_text(name) != name:
            raise Unserializable("Its name holds a secret, which is not written to disk.")
        return scope.invoke(pickled, (obj, secrets), at="$", trusted=True)

    return pickle


def store_durably(scope: Scope, name: str, obj: Any, ttl: float | None) -> Entry:
    """Store an object that is on the disk before. Raises what pickling it raises, and StorageFailed."""
    durable = scope.runtime.durable
    durable.path("$.durable")
    try:
        whole = pickler(scope)(name, obj)
    except SnakeError as error:
        error.at = "$.value"
        raise
    scope.check_open()
    now = scope.now
    expires_at = None if ttl is None else now + ttl
    write = partial(durable.write, scope.space, name, whole, type=type_name(obj), module=module_name(obj))
    try:
        write(now=now, expires_at=expires_at)
    except SnakeError as error:
        error.at = error.at or "$.durable"
        raise
    try:
        entry = scope.put(name, obj, ttl=ttl)
    except BaseException:  # whatever it was: the name is not stored
        durable.drop(scope.space, name)
        raise
    keep(scope, entry)
    return entry


def keep(scope: Scope, entry: Entry) -> None:
    """Look after an entry whose object is on the disk."""
    durable, space, name = scope.runtime.durable, scope.space, entry.name
    durable.keep(space, name)
    found = scope.runtime.store.look(space, name, now=scope.now)
    if found is None or found[0] is not entry:
        # Another thread stored or deleted it in between.
        durable.drop(space, name)
