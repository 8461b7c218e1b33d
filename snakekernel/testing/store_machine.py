"""A state machine for the store and the sessions: random operations on a fake clock against a simple model.

Run it as ``TestStore = StoreMachine.TestCase``; a store of one's own comes in by overriding ``make_store``.
Rules of the model: a name lives until it is deleted, replaced, its time ends, or its session ends; each
removed object is handed out to be dropped exactly once; versions count the changes without gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snakekernel.commands.runtime import Runtime
from snakekernel.objects.entries import Change
from snakekernel.objects.sessions import Session, SessionTable
from snakekernel.objects.store import Store
from snakekernel.plugins.load import PluginTable
from snakekernel.wire.errors import InvalidRequest, LimitExceeded, NotFound, SessionExpired

_NAMES = st.sampled_from(["a", "b", "my.model", "✓"])
_SESSIONS = st.sampled_from(["s", "t", "u"])
_SPACES = st.none() | _SESSIONS
_TTLS = st.none() | st.sampled_from([1.0, 5.0, 50.0])
_MOST_OBJECTS = 12
_MOST_SESSIONS = 2

#: Where the model keeps things: None, or the serial number it gave to a session.
Key = int | None


@dataclass
class _Held:
    """What the model knows of a session."""

    key: int
    ttl: float | None
    used: float
    leases: list[Session] = field(default_factory=list)
    closed: bool = False

    def is_due(self, now: float) -> bool:
        return not self.leases and self.ttl is not None and self.used + self.ttl <= now


@dataclass
class _Kept:
    """What the model knows of an entry."""

    obj: object
    expires_at: float | None


@cache
def _plugins() -> PluginTable:
    return PluginTable()


class StoreMachine(RuleBasedStateMachine):
    """The rules; see the module's text."""

    def make_store(
        self, on_drop: Callable[[list[Any]], None], on_change: Callable[[Change], None], max_objects: int
    ) -> Store:
        """The store under test."""
        return Store(on_drop=on_drop, on_change=on_change, max_objects=max_objects)

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.dropped: list[object] = []
        self.changes: list[Change] = []
        self.runtime = Runtime(
            table={},
            frameworks=_plugins(),
            clock=lambda: self.now,
            store=self.make_store(self.dropped.extend, self.changes.append, _MOST_OBJECTS),
            sessions=SessionTable(default_ttl=20.0, max_sessions=_MOST_SESSIONS),
        )
        self.model: dict[tuple[Key, str], _Kept] = {}
        self.gone: list[object] = []
        self.held: dict[str, _Held] = {}
        self.closing: list[_Held] = []
        self.expired: set[str] = set()
        self.serial = 0

    # -- the model's own steps ---------------------------------------------------------------------

    def tick(self) -> None:
        """What every request begins with: what is due goes."""
        self.runtime.expire(self.now)
        for id, held in list(self.held.items()):
            if held.is_due(self.now):
                del self.held[id]
                self.expired.add(id)
                self.forget_all(held.key)
        for key, kept in list(self.model.items()):
            if kept.expires_at is not None and kept.expires_at <= self.now:
                self.forget(key)

    def forget(self, key: tuple[Key, str]) -> None:
        self.gone.append(self.model.pop(key).obj)

    def forget_all(self, space: int) -> int:
        keys = [key for key in self.model if key[0] == space]
        for key in keys:
            self.forget(key)
        return len(keys)

    def open(self, id: str, ttl: float | None) -> _Held:
        self.serial += 1
        held = self.held[id] = _Held(self.serial, 20.0 if ttl is None else ttl, self.now)
        return held

    def enter(self, id: str | None, *, create: bool) -> tuple[Session | None, _Held | None]:
        """Begin a request in a session, as the model says that it may; (None, None) where it may not."""
        self.tick()
        sessions = self.runtime.sessions
        if id is None:
            return None, None
        held = self.held.get(id)
        if held is None:
            if id in self.expired:
                expected: type[Exception] | None = SessionExpired
            elif not create:
                expected = NotFound
            elif len(self.held) >= _MOST_SESSIONS:
                expected = LimitExceeded
            else:
                expected, held = None, self.open(id, None)
            if expected is not None:
                with pytest.raises(expected):
                    sessions.lease(id, now=self.now, create=create)
                return None, None
        assert held is not None
        session = sessions.lease(id, now=self.now, create=create)
        held.used = self.now
        held.leases.append(session)
        return session, held

    def leave(self, held: _Held, session: Session) -> None:
        held.leases.remove(session)
        held.used = self.now
        self.runtime.release(session)
        if held.closed and not held.leases:
            self.closing.remove(held)
            self.forget_all(held.key)

    # -- rules -------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 19.0, 21.0]))
    def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds

    @rule()
    def expire(self) -> None:
        """The kernel's timer looks."""
        self.tick()

    @rule(id=_SESSIONS, ttl=_TTLS)
    def create_session(self, id: str, ttl: float | None) -> None:
        self.tick()
        if id in self.held:
            with pytest.raises(InvalidRequest):
                self.runtime.sessions.create(id, now=self.now, ttl=ttl)
        elif len(self.held) >= _MOST_SESSIONS:
            with pytest.raises(LimitExceeded):
                self.runtime.sessions.create(id, now=self.now, ttl=ttl)
        else:
            self.open(id, ttl)
            session = self.runtime.sessions.create(id, now=self.now, ttl=ttl)
            assert session.expires_at == self.now + (20.0 if ttl is None else ttl)
            self.expired.discard(id)

    @rule(id=_SESSIONS)
    def close_session(self, id: str) -> None:
        self.tick()
        held = self.held.pop(id, None)
        if held is None:
            with pytest.raises(NotFound):
                self.runtime.sessions.close(id)
            return
        session = self.runtime.sessions.close(id)
        assert self.runtime.store.clear(session.space, writer="close") == self.forget_all(held.key)
        held.closed = True
        if held.leases:
            self.closing.append(held)

    @rule(id=_SESSIONS)
    def begin_a_long_call(self, id: str) -> None:
        self.enter(id, create=True)

    @precondition(lambda self: any(h.leases for h in [*self.held.values(), *self.closing]))
    @rule(data=st.data())
    def end_a_long_call(self, data: st.DataObject) -> None:
        running = [(h, s) for h in [*self.held.values(), *self.closing] for s in h.leases]
        held, session = data.draw(st.sampled_from(running))
        self.leave(held, session)

    @rule(id=_SPACES, name=_NAMES, ttl=_TTLS)
    def put(self, id: str | None, name: str, ttl: float | None) -> None:
        session, held = self.enter(id, create=True)
        if id is not None and session is None:
            return
        space: Any = None if session is None else session.space
        key = (None if held is None else held.key, name)
        obj = object()
        if key not in self.model and len(self.model) >= _MOST_OBJECTS:
            with pytest.raises(LimitExceeded):
                self.runtime.store.put(space, name, obj, writer="put", now=self.now, ttl=ttl)
        else:
            self.runtime.store.put(space, name, obj, writer="put", now=self.now, ttl=ttl)
            if key in self.model:
                # In place: a replaced name keeps its place in the list.
                self.gone.append(self.model[key].obj)
            self.model[key] = _Kept(obj, None if ttl is None else self.now + ttl)
        if session is not None and held is not None:
            self.leave(held, session)

    @rule(id=_SPACES)
    def put_anonymous(self, id: str | None) -> None:
        session, held = self.enter(id, create=True)
        if (id is None or session is not None) and len(self.model) < _MOST_OBJECTS:
            space: Any = None if session is None else session.space
            obj = object()
            entry = self.runtime.store.put_anonymous(space, obj, writer="ref", now=self.now)
            self.model[None if held is None else held.key, entry.name] = _Kept(obj, None)
        if session is not None and held is not None:
            self.leave(held, session)

    @rule(id=_SPACES, name=_NAMES)
    def find(self, id: str | None, name: str) -> None:
        session, held = self.enter(id, create=False)
        if id is not None and session is None:
            return
        space: Any = None if session is None else session.space
        expected = self.model.get((None if held is None else held.key, name)) or self.model.get((None, name))
        entry = self.runtime.store.find(space, name, now=self.now)
        assert (entry and entry.obj) is (expected and expected.obj)
        if session is not None and held is not None:
            self.leave(held, session)

    @rule(name=_NAMES)
    def find_what_is_due(self, name: str) -> None:
        """What is due is not found, whether or not anyone has cleaned up."""
        kept = self.model.get((None, name))
        is_there = kept is not None and (kept.expires_at is None or kept.expires_at > self.now)
        assert (self.runtime.store.find(None, name, now=self.now) is not None) == is_there

    @rule(id=_SPACES, name=_NAMES)
    def delete(self, id: str | None, name: str) -> None:
        session, held = self.enter(id, create=False)
        if id is not None and session is None:
            return
        space: Any = None if session is None else session.space
        key = (None if held is None else held.key, name)
        if key in self.model:
            self.runtime.store.delete(space, name, writer="delete")
            self.forget(key)
        else:
            with pytest.raises(NotFound):
                self.runtime.store.delete(space, name, writer="delete")
        if session is not None and held is not None:
            self.leave(held, session)

    @rule(id=_SPACES, name=_NAMES, to=_NAMES)
    def rename(self, id: str | None, name: str, to: str) -> None:
        session, held = self.enter(id, create=False)
        if id is not None and session is None:
            return
        space: Any = None if session is None else session.space
        here = None if held is None else held.key
        if (here, name) not in self.model:
            with pytest.raises(NotFound):
                self.runtime.store.rename(space, name, to, writer="rename")
        elif name != to and (here, to) in self.model:
            with pytest.raises(InvalidRequest):
                self.runtime.store.rename(space, name, to, writer="rename")
        else:
            self.runtime.store.rename(space, name, to, writer="rename")
            self.model[here, to] = self.model.pop((here, name)) if name != to else self.model[here, name]
        if session is not None and held is not None:
            self.leave(held, session)

    @rule(
        id=_SPACES, offset=st.integers(0, 3), limit=st.integers(0, 3), prefix=st.sampled_from(["", "a", "my"])
    )
    def page(self, id: str | None, offset: int, limit: int, prefix: str) -> None:
        session, held = self.enter(id, create=False)
        if id is not None and session is None:
            return
        space: Any = None if session is None else session.space
        here = None if held is None else held.key
        names = [n for k, n in self.model if k == here and not n.startswith("~") and n.startswith(prefix)]
        if prefix:
            names.sort()
        entries, count, version = self.runtime.store.page(space, prefix=prefix, offset=offset, limit=limit)
        assert [entry.name for entry in entries] == names[offset : offset + limit]
        assert (count, version) == (len(names), self.runtime.store.version)
        if session is not None and held is not None:
            self.leave(held, session)

    # -- what always holds -------------------------------------------------------------------------

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.runtime.store) == len(self.model)
        assert {s.id for s in self.runtime.sessions.sessions()} == set(self.held)

    @invariant()
    def each_removed_object_is_dropped_once(self) -> None:
        assert sorted(map(id, self.dropped)) == sorted(map(id, self.gone))

    @invariant()
    def versions_have_no_gaps(self) -> None:
        assert [change.version for change in self.changes] == list(range(1, len(self.changes) + 1))
        assert self.runtime.store.version == len(self.changes)

    @invariant()
    def the_timer_comes_in_time(self) -> None:
        ends = [kept.expires_at for kept in self.model.values() if kept.expires_at is not None]
        ends += [h.used + h.ttl for h in self.held.values() if h.ttl is not None and not h.leases]
        due = self.runtime.next_expiry()
        assert not ends or (due is not None and due <= min(ends))
