"""Who watches what for changes in place, and what has changed since the last look.

Rules: a watch is a lease that ends unless it is renewed, so that one of a client that is gone costs nothing
for long; each client has one. A look is bounded in time and goes on where the last one ended. Only
fingerprints are kept, never objects, and no code of theirs runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from snakekernel import inspection
from snakekernel.objects.entries import Entry

#: A stored name: the session it belongs to, or None, and the name.
StoredName = tuple[str | None, str]

#: Stands for the set of all variables among the things to look at.
_NAMES: Final = object()


@dataclass(frozen=True, slots=True)
class _Lease:
    expires_at: float
    stored: frozenset[StoredName]
    #: None: variables are not watched; those named are looked into, all others known by their identity.
    variables: frozenset[str] | None


@dataclass(slots=True)
class Seen:
    """What one look found. ``more``: its time ended before all was looked at."""

    stored: list[tuple[StoredName, int]] = field(default_factory=list)
    variables: list[tuple[Literal["stored", "deleted", "changed"], str]] = field(default_factory=list)
    more: bool = False


class Watches:
    """The watches of one kernel. Thread-safe.

    Attributes:
        variables_version: rises with every look that found variables changed.
        is_on: whether anybody watches.
        on_begin: called when a watch begins or is renewed.
    """

    def __init__(self) -> None:
        self.variables_version = 0
        self.is_on = False
        self.on_begin: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._leases: dict[str, _Lease] = {}
        #: Version and fingerprint of what is watched, by stored name; fingerprints by variable.
        self._stored: dict[StoredName, tuple[int, int] | None] = {}
        self._variables: dict[str, int | None] = {}
        #: Identities of all variables, once looked at.
        self._names: dict[str, int] | None = None
        #: What is still to be looked at, in that order.
        self._todo: dict[Any, None] = {}

    def begin(
        self, client: str, stored: Collection[StoredName], variables: Collection[str] | None, until: float
    ) -> None:
        """Watch for a client from now on, in place of what it watched before."""
        with self._lock:
            kept = None if variables is None else frozenset(variables)
            self._leases[client] = _Lease(until, frozenset(stored), kept)
            self._gather()
        self.on_begin()

    def end(self, client: str) -> None:
        """End a client's watch, if it has one."""
        with self._lock:
            if self._leases.pop(client, None) is not None:
                self._gather()

    def expire(self, now: float) -> None:
        """Forget the watches whose time is over."""
        with self._lock:
            over = [client for client, lease in self._leases.items() if lease.expires_at <= now]
            for client in over:
                del self._leases[client]
            if over:
                self._gather()

    def _gather(self) -> None:
        """Under the lock: what all of them watch; what is new is looked at first."""
        leases = self._leases.values()
        self.is_on = bool(leases)
        stored = frozenset[StoredName]().union(*(lease.stored for lease in leases))
        named = [lease.variables for lease in leases if lease.variables is not None]
        variables = frozenset[str]().union(*named)
        new: list[Any] = [name for name in stored if name not in self._stored]
        new += [name for name in variables if name not in self._variables]
        self._stored = {name: self._stored.get(name) for name in stored}
        self._variables = {name: self._variables.get(name) for name in variables}
        if not named:
            self._names = None
        elif self._names is None:
            new.insert(0, _NAMES)
        left = [thing for thing in self._todo if self._is_watched(thing)]
        self._todo = dict.fromkeys([*new, *left])

    def _is_watched(self, thing: Any) -> bool:
        if thing is _NAMES:
            return any(lease.variables is not None for lease in self._leases.values())
        return thing in (self._variables if isinstance(thing, str) else self._stored)

    def again(self) -> None:
        """Something ran: all that is watched is to be looked at, what the last look left out first."""
        with self._lock:
            if self._is_watched(_NAMES):
                self._todo.setdefault(_NAMES)
            for thing in (*self._stored, *self._variables):
                self._todo.setdefault(thing)

    def look(
        self,
        find: Callable[[StoredName], Entry | None],
        variables: Callable[[], Mapping[str, Any]],
        seconds: float,
    ) -> Seen:
        """Look at what is to be looked at, for about so long.

        Args:
            find: gives the entry of a stored name. variables: gives the notebook's variables.
        """
        seen = Seen()
        end = time.perf_counter() + seconds
        with self._lock:
            values = variables() if self._is_watched(_NAMES) else {}
            while self._todo and time.perf_counter() < end:
                thing = next(iter(self._todo))
                del self._todo[thing]
                if thing is _NAMES:
                    self._look_at_names(values, seen)
                elif isinstance(thing, str):
                    self._look_at_variable(thing, values, seen)
                else:
                    self._look_at_stored(thing, find(thing), seen)
            seen.more = bool(self._todo)
            if seen.variables:
                self.variables_version += 1
        return seen

    def _look_at_stored(self, name: StoredName, entry: Entry | None, seen: Seen) -> None:
        before = self._stored[name]
        now = self._stored[name] = (
            None if entry is None else (entry.version, inspection.fingerprint(entry.obj))
        )
        # Another version was told when it was stored.
        if before is not None and now is not None and before[0] == now[0] and before[1] != now[1]:
            seen.stored.append((name, now[0]))

    def _look_at_names(self, values: Mapping[str, Any], seen: Seen) -> None:
        before, names = self._names, {name: id(value) for name, value in values.items()}
        self._names = names
        if before is None:
            return
        for name, identity in names.items():
            if before.get(name) != identity:
                seen.variables.append(("stored", name))
                # Told so; what is in it counts from now on.
                if name in self._variables:
                    self._variables[name] = inspection.fingerprint(values[name])
        seen.variables += [("deleted", name) for name in before if name not in names]

    def _look_at_variable(self, name: str, values: Mapping[str, Any], seen: Seen) -> None:
        before = self._variables[name]
        now = self._variables[name] = inspection.fingerprint(values[name]) if name in values else None
        if before is not None and now is not None and before != now:
            seen.variables.append(("changed", name))
