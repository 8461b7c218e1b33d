"""The persistent namespaces: named, typed entries, kernel-wide and per session.

Rules: one lock, held for look-up and insert only, never while user code runs. Removed objects are handed
to ``on_drop`` outside the lock, for their ``__del__`` is user code; they come in a list that holds the
store's last references to them, so that they end where that list is cleared, whichever thread removed them.
Every change raises the version and is told to ``on_change``. Names that begin with ``~`` are anonymous:
reachable, never listed unless asked for.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..wire.errors import InvalidRequest, LimitExceeded, NotFound
from .static import module_name, type_name

ANONYMOUS: Final = "~"

#: Key of a namespace: None is the kernel-wide one, a session's is its id and serial number.
Space = tuple[str, int] | None


@dataclass(slots=True)
class Entry:
    """One stored object. ``created`` and ``used`` are seconds since 1970; ``writer`` a request or cell id."""

    name: str
    obj: Any
    created: float
    used: float
    writer: str
    version: int
    expires_at: float | None = None

    @property
    def type(self) -> str:
        """Name of the object's class, read without running its code."""
        return type_name(self.obj)

    @property
    def module(self) -> str:
        """Module of the object's class, read without running its code."""
        return module_name(self.obj)


@dataclass(frozen=True, slots=True)
class Change:
    """One changed name, for ``snake_changed``."""

    action: Literal["stored", "replaced", "deleted"]
    name: str
    session_id: str | None
    writer: str
    version: int


class Store:
    """Entries by namespace.

    Args:
        on_drop: called with a list of removed objects, on the removing thread, outside the lock. Clearing
            the list lets go of them.
        on_change: called with each :class:`Change`, outside the lock; must be cheap and not raise.
        max_objects: bound on all entries together; ``put`` of one more raises LimitExceeded.
    """

    def __init__(
        self,
        *,
        on_drop: Callable[[list[Any]], None] | None = None,
        on_change: Callable[[Change], None] | None = None,
        max_objects: int = 1_000_000,
    ) -> None:
        self._lock = threading.RLock()
        self._named: dict[Space, dict[str, Entry]] = {None: {}}
        self._anonymous: dict[Space, dict[str, Entry]] = {}
        self._expiring: dict[tuple[Space, str], float] = {}
        #: No entry expires before; kept, so that asking costs nothing where there are many.
        self._earliest: float | None = None
        self._numbers = itertools.count(1)
        self._max_objects = max_objects
        self._count = 0
        self._on_drop = on_drop
        self._on_change = on_change
        self.version = 0

    def __len__(self) -> int:
        return self._count

    def _table(self, space: Space, name: str) -> dict[str, Entry]:
        tables = self._anonymous if name.startswith(ANONYMOUS) else self._named
        return tables.get(space) or tables.setdefault(space, {})

    def put(
        self, space: Space, name: str, obj: Any, *, writer: str, now: float, ttl: float | None = None
    ) -> Entry:
        """Store under a name, replacing what was there. Raises LimitExceeded when the store is full."""
        with self._lock:
            table = self._table(space, name)
            old = table.get(name)
            if old is None and self._count >= self._max_objects:
                raise LimitExceeded(f"The store is full: {self._max_objects} objects. Delete some first.")
            self.version += 1
            entry = Entry(name, obj, now, now, writer, self.version, now + ttl if ttl is not None else None)
            table[name] = entry
            if old is None:
                self._count += 1
            if entry.expires_at is not None:
                self._expiring[space, name] = entry.expires_at
                ends = [entry.expires_at] if self._earliest is None else [entry.expires_at, self._earliest]
                self._earliest = min(ends)
            elif old is not None:
                self._expiring.pop((space, name), None)
        self._tell("stored" if old is None else "replaced", name, space, writer, entry.version)
        if old is not None and old.obj is not obj:
            gone = [old.obj]
            del old
            self._drop(gone)
        return entry

    def put_anonymous(self, space: Space, obj: Any, *, writer: str, now: float) -> Entry:
        """Store under a fresh anonymous name."""
        return self.put(space, f"{ANONYMOUS}{next(self._numbers)}", obj, writer=writer, now=now)

    def find(self, space: Space, name: str, *, now: float) -> Entry | None:
        """The entry a reader of this namespace sees: its own, else the kernel-wide one."""
        with self._lock:
            entry = self._table(space, name).get(name)
            if entry is None and space is not None:
                entry = self._table(None, name).get(name)
            if entry is None or (entry.expires_at is not None and entry.expires_at <= now):
                return None
            entry.used = now
            return entry

    def get(self, space: Space, name: str, *, now: float, at: str | None = None) -> Entry:
        """Like ``find``; raises NotFound."""
        entry = self.find(space, name, now=now)
        if entry is None:
            raise _missing(name, at)
        return entry

    def delete(self, space: Space, name: str, *, writer: str, at: str | None = None) -> None:
        """Remove an entry of this very namespace; raises NotFound."""
        with self._lock:
            if name not in self._table(space, name):
                raise _missing(name, at)
            gone = [self._remove(space, name)]
            version = self.version
        self._tell("deleted", name, space, writer, version)
        self._drop(gone)

    def _remove(self, space: Space, name: str) -> Any:
        """Take an entry out, under the lock; returns its object, of which the caller keeps no other name."""
        self._expiring.pop((space, name), None)
        self._count -= 1
        self.version += 1
        return self._table(space, name).pop(name).obj

    def rename(self, space: Space, name: str, to: str, *, writer: str, at: str = "$") -> None:
        """Give an entry another name; raises NotFound, or InvalidRequest where the name is taken."""
        with self._lock:
            entry = self._table(space, name).get(name)
            if entry is None:
                raise _missing(name, f"{at}.id")
            if name == to:
                return
            if to in self._table(space, to):
                raise InvalidRequest(f"The name {to!r} is taken; delete it first.", at=f"{at}.to")
            del self._table(space, name)[name]
            self._table(space, to)[to] = entry
            entry.name = to
            expires_at = self._expiring.pop((space, name), None)
            if expires_at is not None:
                self._expiring[space, to] = expires_at
            self.version += 2
            entry.version = version = self.version
        self._tell("deleted", name, space, writer, version - 1)
        self._tell("stored", to, space, writer, version)

    def page(
        self, space: Space, *, prefix: str = "", offset: int = 0, limit: int = 1_000
    ) -> tuple[list[Entry], int, int]:
        """A page of entries in the order they were first stored, their count in all, and the version."""
        with self._lock:
            table = (self._anonymous if prefix.startswith(ANONYMOUS) else self._named).get(space) or {}
            if not prefix:
                return (
                    list(itertools.islice(table.values(), offset, offset + limit)),
                    len(table),
                    self.version,
                )
            matching = [entry for entry in table.values() if entry.name.startswith(prefix)]
            return matching[offset : offset + limit], len(matching), self.version

    def names(self, space: Space) -> list[str]:
        """Names of one namespace, anonymous ones left out."""
        with self._lock:
            return list(self._named.get(space) or ())

    def counts(self, space: Space) -> int:
        """How many named entries one namespace has."""
        with self._lock:
            return len(self._named.get(space) or ())

    def clear(self, space: Space, *, writer: str) -> int:
        """Remove all entries of a namespace; returns how many there were."""
        with self._lock:
            first = self.version + 1
            names = [*(self._named.get(space) or ()), *(self._anonymous.get(space) or ())]
            gone = [self._remove(space, name) for name in names]
            self._anonymous.pop(space, None)
            if space is not None:
                self._named.pop(space, None)
        for version, name in enumerate(names, first):
            self._tell("deleted", name, space, writer, version)
        self._drop(gone)
        return len(names)

    def expire(self, now: float) -> int:
        """Remove the entries whose own time to live ended; returns how many."""
        with self._lock:
            if self._earliest is None or now < self._earliest:
                return 0
            first = self.version + 1
            due = [key for key, at in self._expiring.items() if at <= now]
            gone = [self._remove(space, name) for space, name in due]
            self._earliest = min(self._expiring.values(), default=None)
        for version, (space, name) in enumerate(due, first):
            self._tell("deleted", name, space, "expiry", version)
        self._drop(gone)
        return len(due)

    def next_expiry(self) -> float | None:
        """When ``expire`` next has something to look at, or None: no entry expires before."""
        return self._earliest

    def entries(self, space: Space) -> Iterator[Entry]:
        """A snapshot of the named entries of one namespace."""
        with self._lock:
            return iter(list((self._named.get(space) or {}).values()))

    def _tell(
        self,
        action: Literal["stored", "replaced", "deleted"],
        name: str,
        space: Space,
        writer: str,
        version: int,
    ) -> None:
        if self._on_change is not None:
            self._on_change(Change(action, name, None if space is None else space[0], writer, version))

    def _drop(self, gone: list[Any]) -> None:
        if self._on_drop is not None and gone:
            self._on_drop(gone)


def _missing(name: str, at: str | None) -> NotFound:
    return NotFound(f"There is no stored object {name!r} here. List what there is with list_stored.", at=at)
