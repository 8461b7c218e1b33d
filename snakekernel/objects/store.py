"""The persistent namespaces: named, typed entries, kernel-wide and per session.

Rules: one lock, held for look-up and insert only, never while user code runs. Removed objects are handed
to ``on_drop`` outside the lock, for their ``__del__`` is user code; they come in a list that holds the
store's last references to them, so that they end where that list is cleared, whichever thread removed them.
Every change raises the version and is told to ``on_change``. Names that begin with ``~`` are anonymous:
reachable, never listed unless asked for.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from ..wire.errors import InvalidRequest, LimitExceeded, NotFound
from .entries import Change, Entry, Space
from .listing import Listing
from .provenance import Maker, past_of
from .quotas import Account

ANONYMOUS: Final = "~"
#: When more names go at once than this, the listings are made anew for the next page that needs them.
_MANY: Final = 100


class Store:
    """Entries by namespace.

    Args:
        on_drop: called with a list of removed objects, on the removing thread, outside the lock. Clearing
            the list lets go of them.
        on_change: called with each :class:`Change`, outside the lock; must be cheap and not raise.
        max_objects: bound on all entries together; ``put`` of one more raises LimitExceeded.
        estimate: bytes of an object, without running code of it; for quotas.
    """

    def __init__(
        self,
        *,
        on_drop: Callable[[list[Any]], None] | None = None,
        on_change: Callable[[Change], None] | None = None,
        max_objects: int = 1_000_000,
        estimate: Callable[[Any], int] = sys.getsizeof,
    ) -> None:
        self._lock = threading.RLock()
        self._named: dict[Space, dict[str, Entry]] = {None: {}}
        self._anonymous: dict[Space, dict[str, Entry]] = {}
        #: By namespace and whether its entries are anonymous; made for the first page that needs one.
        self._listings: dict[tuple[Space, bool], Listing] = {}
        self._expiring: dict[tuple[Space, str], float] = {}
        #: A heap of (time, number, namespace, name), with some that were removed or renewed since.
        self._due: list[tuple[float, int, Space, str]] = []
        self._entry_numbers = itertools.count()
        self._numbers = itertools.count(1)
        self._max_objects = max_objects
        self._count = 0
        self._on_drop = on_drop
        self._on_change = on_change
        self._estimate = estimate
        #: Of namespaces with a quota.
        self._accounts: dict[Space, Account] = {}
        self.version = 0

    def __len__(self) -> int:
        return self._count

    def _table(self, space: Space, name: str) -> dict[str, Entry]:
        tables = self._anonymous if name.startswith(ANONYMOUS) else self._named
        return tables.get(space) or tables.setdefault(space, {})

    def put(
        self,
        space: Space,
        name: str,
        obj: Any,
        *,
        writer: str,
        now: float,
        ttl: float | None = None,
        by: Maker = None,
        at: str | None = None,
    ) -> Entry:
        """Store under a name, replacing what was there.

        Raises LimitExceeded where the store or the quota of the namespace is full; then what was there stays.
        """
        if type(name) is not str:
            # Names are sorted under the lock: a class of the notebook's own compares as it likes.
            name = str.__str__(name)
        size, account = 0, self._accounts.get(space)
        if account is not None and account.quota.bytes is not None:
            size = self._estimate(obj)
        with self._lock:
            table = self._table(space, name)
            old = table.get(name)
            self._check_room(space, name, size, at)
            self.version += 1
            number = next(self._entry_numbers) if old is None else old.number
            expires_at = None if ttl is None else now + ttl
            entry = Entry(name, obj, now, now, writer, self.version, number, expires_at, by)
            table[name] = entry
            if account is not None:
                entry.charged = size
                account.objects += old is None
                account.bytes += size - (0 if old is None else old.charged)
            if old is not None:
                entry.action, entry.past = "replaced", past_of(old)
            listing = self._listings.get(_listed(space, name))
            if old is None:
                self._count += 1
                if listing is not None:
                    listing.add(entry)
            elif listing is not None:
                listing.replace(entry)
            if expires_at is not None:
                self._expect(space, name, expires_at)
            elif old is not None:
                self._expiring.pop((space, name), None)
        self._tell("stored" if old is None else "replaced", name, space, writer, entry.version)
        if old is not None and old.obj is not obj:
            gone = [old.obj]
            del old
            self._drop(gone)
        return entry

    def put_anonymous(
        self, space: Space, obj: Any, *, writer: str, now: float, by: Maker = None, at: str | None = None
    ) -> Entry:
        """Store under a fresh anonymous name."""
        return self.put(space, f"{ANONYMOUS}{next(self._numbers)}", obj, writer=writer, now=now, by=by, at=at)

    def open_account(self, space: Space, account: Account) -> None:
        """Hold a namespace, which is empty yet, to a quota."""
        self._accounts[space] = account

    def close_account(self, space: Space) -> None:
        """The namespace is over."""
        self._accounts.pop(space, None)

    def check_room(self, space: Space, name: str, *, at: str | None = None) -> None:
        """Raise LimitExceeded where there is no room for even a small object under that name."""
        with self._lock:
            self._check_room(space, name, 0, at)

    def _check_room(self, space: Space, name: str, size: int, at: str | None) -> None:
        old = self._table(space, name).get(name)
        if old is None and self._count >= self._max_objects:
            raise LimitExceeded(f"The store is full: {self._max_objects} objects. Delete some first.", at=at)
        account = self._accounts.get(space)
        if account is not None:
            account.check_room(int(old is None), size - (0 if old is None else old.charged), name, at)

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

    def look(self, space: Space, name: str, *, now: float) -> tuple[Entry, Space] | None:
        """As ``find``, with the namespace it is in; looking is no use."""
        with self._lock:
            for place in (space, None):
                table = (self._anonymous if name.startswith(ANONYMOUS) else self._named).get(place) or {}
                entry = table.get(name)
                if entry is not None:
                    is_over = entry.expires_at is not None and entry.expires_at <= now
                    return None if is_over else (entry, place)
            return None

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

    def release(self, space: Space, name: str, version: int) -> None:
        """Remove an entry that is still the one of that version: neither renamed, replaced nor gone."""
        with self._lock:
            entry = self._table(space, name).get(name)
            if entry is None or entry.version != version:
                return
            del entry
            gone = [self._remove(space, name)]
            version = self.version
        self._tell("deleted", name, space, "release", version)
        self._drop(gone)

    def _remove(self, space: Space, name: str) -> Any:
        """Take an entry out, under the lock; returns its object, of which the caller keeps no other name."""
        self._expiring.pop((space, name), None)
        self._count -= 1
        self.version += 1
        entry = self._take_out(space, name)
        account = self._accounts.get(space)
        if account is not None:
            account.objects -= 1
            account.bytes -= entry.charged
        return entry.obj

    def _take_out(self, space: Space, name: str) -> Entry:
        entry = self._table(space, name).pop(name)
        if (listing := self._listings.get(_listed(space, name))) is not None:
            listing.remove(entry)
        return entry

    def _expect(self, space: Space, name: str, at: float) -> None:
        self._expiring[space, name] = at
        if len(self._due) > 2 * len(self._expiring) + 64:
            self._due = [(end, next(self._entry_numbers), *key) for key, end in self._expiring.items()]
            heapq.heapify(self._due)
        else:
            heapq.heappush(self._due, (at, next(self._entry_numbers), space, name))

    def rename(
        self,
        space: Space,
        name: str,
        to: str,
        *,
        writer: str,
        now: float = 0.0,
        by: Maker = None,
        at: str = "$",
    ) -> None:
        """Give an entry another name; raises NotFound, or InvalidRequest where the name is taken."""
        with self._lock:
            entry = self._table(space, name).get(name)
            if entry is None:
                raise _missing(name, f"{at}.id")
            if name == to:
                return
            if to in self._table(space, to):
                raise InvalidRequest(f"The name {to!r} is taken; delete it first.", at=f"{at}.to")
            expires_at = self._expiring.pop((space, name), None)
            self._take_out(space, name)
            entry.name, entry.number = to, next(self._entry_numbers)
            self._table(space, to)[to] = entry
            if (listing := self._listings.get(_listed(space, to))) is not None:
                listing.add(entry)
            if expires_at is not None:
                self._expect(space, to, expires_at)
            self.version += 2
            entry.past, entry.action, entry.told = past_of(entry), "renamed", (now, by)
            entry.version = version = self.version
        self._tell("deleted", name, space, writer, version - 1)
        self._tell("stored", to, space, writer, version)

    def page(
        self, space: Space, *, prefix: str = "", search: str = "", offset: int = 0, limit: int = 1_000
    ) -> tuple[list[Entry], int, int]:
        """A page of entries, their count in all, and the version.

        They come in the order they were first stored; with a prefix, in that of their names. ``search`` keeps
        the names that contain it, in upper or lower case.
        """
        if search:
            entries, _, version = self.page(space, prefix=prefix, limit=len(self) + 1)
            wanted = search.casefold()
            # Outside of the lock: there may be a million of them.
            found = [entry for entry in entries if wanted in entry.name.casefold()]
            return found[offset : offset + limit], len(found), version
        with self._lock:
            anonymous = prefix.startswith(ANONYMOUS)
            table = (self._anonymous if anonymous else self._named).get(space) or {}
            if prefix in ("", ANONYMOUS):
                if offset > limit:
                    entries = self._listing(space, anonymous, table).page(offset, limit)
                else:
                    entries = list(itertools.islice(table.values(), offset, offset + limit))
                return entries, len(table), self.version
            names, count = self._listing(space, anonymous, table).names(prefix, offset, limit)
            return [table[name] for name in names], count, self.version

    def _listing(self, space: Space, anonymous: bool, table: dict[str, Entry]) -> Listing:
        listing = self._listings.get((space, anonymous))
        if listing is None:
            listing = self._listings[space, anonymous] = Listing(table.values())
        return listing

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
            for anonymous in (False, True):
                self._listings.pop((space, anonymous), None)
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
            first = self.version + 1
            due = []
            while self._due and self._due[0][0] <= now:
                at, _, space, name = heapq.heappop(self._due)
                # Only where it was neither removed nor renewed since.
                if self._expiring.get((space, name)) == at:
                    del self._expiring[space, name]
                    due.append((space, name))
            if len(due) > _MANY:
                self._listings.clear()
            gone = [self._remove(space, name) for space, name in due]
        for version, (space, name) in enumerate(due, first):
            self._tell("deleted", name, space, "expiry", version)
        self._drop(gone)
        return len(due)

    def next_expiry(self) -> float | None:
        """When ``expire`` next has something to look at, or None: no entry expires before."""
        with self._lock:
            return self._due[0][0] if self._due else None

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
            session_id, serial = (None, 0) if space is None else space
            self._on_change(Change(action, name, session_id, writer, version, serial))

    def _drop(self, gone: list[Any]) -> None:
        if self._on_drop is not None and gone:
            self._on_drop(gone)


def _listed(space: Space, name: str) -> tuple[Space, bool]:
    return space, name.startswith(ANONYMOUS)


def _missing(name: str, at: str | None) -> NotFound:
    return NotFound(f"There is no stored object {name!r} here. List what there is with list_stored.", at=at)
