"""Whole sessions against a model: whatever is asked in whatever order, each request ends as the model says.

Rules: every request goes through the kernel's own dispatcher as bytes, and its reply is checked as one that a
client can read. The model knows the names of each session and of the kernel, when sessions end, how often
each call's effect must have been seen, and the first reply to each call id: an effect is seen once whatever
is sent again, and what is sent again gets that reply. Time is the model's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snakekernel.commands.table import BUILTINS
from snakekernel.objects.sessions import SessionTable
from snakekernel.testing.dispatch import ask, make_runtime

_TTL: Final = 20.0
_MOST: Final = 3
_NAMES = st.sampled_from(["a", "b", "my.model", "✓", "../x", "$(id)"])
_SESSIONS = st.sampled_from(["s", "t", "../../etc", "{{7*7}}"])
_SPACES = st.none() | _SESSIONS
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@dataclass
class _Open:
    """A session that the model knows: when it ends unless it is used, and what is stored there."""

    ends: float
    ttl: float
    names: dict[str, Any] = field(default_factory=dict)


class SessionMachine(RuleBasedStateMachine):
    """One kernel, and requests of any client."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.seen: list[int] = []
        self.effects = 0
        self.runtime = make_runtime(
            table=BUILTINS,
            clock=lambda: self.now,
            sessions=SessionTable(default_ttl=_TTL, max_sessions=_MOST),
            user_namespace=lambda: {"happen": self.seen.append, "fail": self._fail},
        )
        self.shared: dict[str, Any] = {}
        self.open: dict[str, _Open] = {}
        self.expired: set[str] = set()
        self.outcomes: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def _fail(self, effect: int) -> None:
        self.seen.append(effect)
        raise LookupError(effect)

    # -- the model ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """What every request begins with: sessions whose time ended go."""
        for id in [id for id, session in self.open.items() if session.ends <= self.now]:
            del self.open[id]
            self.expired.add(id)

    def space(self, id: str | None, *, create: bool) -> dict[str, Any] | str:
        """The names that a request in a session may change, or the code of the error that it gets."""
        self.tick()
        if id is None:
            return self.shared
        if id not in self.open:
            if id in self.expired:
                return "session_expired"
            if not create:
                return "not_found"
            if len(self.open) >= _MOST:
                return "limit"
            self.open[id] = _Open(self.now + _TTL, _TTL)
        session = self.open[id]
        session.ends = self.now + session.ttl
        return session.names

    def found(self, names: dict[str, Any], name: str) -> Any:
        """What a name means there: the session's own before the kernel's; LookupError where it is nothing."""
        for place in (names, self.shared):
            if name in place:
                return place[name]
        raise LookupError(name)

    def request(self, op: str, session: str | None, **content: Any) -> dict[str, Any]:
        """Ask; a request without a session does not name one."""
        return ask(self.runtime, op, content if session is None else {**content, "session_id": session})

    def expect(self, reply: dict[str, Any], code: str | None) -> None:
        """The reply is an answer where ``code`` is None, else that error."""
        assert (reply["status"], reply.get("code")) == (("ok", None) if code is None else ("error", code)), (
            reply
        )

    # -- what is asked -----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1.0, 9.0, 21.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(id=_SESSIONS, ttl=st.sampled_from([5.0, 50.0]))
    def create(self, id: str, ttl: float) -> None:
        self.tick()
        code = "invalid_request" if id in self.open else "limit" if len(self.open) >= _MOST else None
        self.expect(self.request("create_session", id, ttl=ttl), code)
        if code is None:
            self.open[id] = _Open(self.now + ttl, ttl)
            self.expired.discard(id)

    @rule(id=_SESSIONS)
    def close(self, id: str) -> None:
        self.tick()
        reply = self.request("close_session", id)
        self.expect(reply, None if id in self.open else "not_found")
        if id in self.open:
            assert reply["stored_objects"] == len(self.open.pop(id).names)

    @rule(id=_SPACES, name=_NAMES, value=_VALUES)
    def store(self, id: str | None, name: str, value: Any) -> None:
        names = self.space(id, create=True)
        reply = self.request("store", id, id=name, value=value)
        if isinstance(names, str):
            return self.expect(reply, names)
        names[name] = value
        self.expect(reply, None)
        assert reply["stored_objects"] == len(names)

    @rule(id=_SPACES, name=_NAMES)
    def retrieve(self, id: str | None, name: str) -> None:
        names = self.space(id, create=False)
        reply = self.request("retrieve", id, id=name, returns="value")
        if isinstance(names, str):
            return self.expect(reply, names)
        try:
            value = self.found(names, name)
        except LookupError:
            return self.expect(reply, "not_found")
        self.expect(reply, None)
        assert reply["object"]["value"] == value

    @rule(id=_SPACES, name=_NAMES)
    def delete(self, id: str | None, name: str) -> None:
        names = self.space(id, create=False)
        reply = self.request("delete_stored", id, id=name)
        if isinstance(names, str):
            return self.expect(reply, names)
        self.expect(reply, None if name in names else "not_found")
        names.pop(name, None)

    @rule(id=_SPACES, name=_NAMES, to=_NAMES)
    def rename(self, id: str | None, name: str, to: str) -> None:
        names = self.space(id, create=False)
        reply = self.request("rename_stored", id, id=name, to=to)
        if isinstance(names, str):
            return self.expect(reply, names)
        code = "not_found" if name not in names else "invalid_request" if to in names and to != name else None
        self.expect(reply, code)
        if code is None:
            names[to] = names.pop(name)

    @rule(id=_SPACES, name=_NAMES, to=_SPACES)
    def share(self, id: str | None, name: str, to: str | None) -> None:
        names = self.space(id, create=False)
        reply = self.request("share", id, id=name, to=to)
        if isinstance(names, str):
            return self.expect(reply, names)
        try:
            value = self.found(names, name)
        except LookupError:
            return self.expect(reply, "not_found")
        target = self.space(to, create=False)
        if isinstance(target, str):
            return self.expect(reply, target)
        self.expect(reply, None)
        target[name] = value

    @rule(id=_SPACES)
    def list(self, id: str | None) -> None:
        names = self.space(id, create=False)
        reply = self.request("list_stored", id)
        if isinstance(names, str):
            return self.expect(reply, names)
        self.expect(reply, None)
        assert sorted(reply["stored_objects"]) == sorted(names)

    @rule(id=_SPACES, name=_NAMES, to=_NAMES)
    def call_with_what_is_stored(self, id: str | None, name: str, to: str) -> None:
        names = self.space(id, create=True)
        reply = self.request("call", id, target="builtins.repr", args=[{"$ref": name}], store_as=to)
        if isinstance(names, str):
            return self.expect(reply, names)
        try:
            value = self.found(names, name)
        except LookupError:
            return self.expect(reply, "not_found")
        self.expect(reply, None)
        names[to] = repr(value)
        assert reply["result"]["value"] == repr(value)

    @rule(id=_SPACES, name=_NAMES, value=_VALUES, fails=st.booleans(), goes_on=st.booleans())
    def pipeline(self, id: str | None, name: str, value: Any, fails: bool, goes_on: bool) -> None:
        """Store, then fail or not, then delete: what was done before an error stays done."""
        names = self.space(id, create=True)
        steps = [
            {"op": "store", "id": name, "value": value},
            {"target": "user.fail" if fails else "user.happen", "args": [self.effects]},
            {"op": "delete_stored", "id": name},
        ]
        reply = self.request("pipeline", id, steps=steps, stop_on_error=not goes_on)
        if isinstance(names, str):
            return self.expect(reply, names)
        self.effects += 1
        if fails and not goes_on:
            names[name] = value
            self.expect(reply, "raised")
            assert (reply["step"], len(reply["completed_steps"])) == (1, 1)
        else:
            names.pop(name, None)
            self.expect(reply, None)
            assert reply["steps_completed"] == 3 - fails

    # -- calls that have an effect, and are sent again -----------------------------------------------

    @rule(id=_SPACES, call_id=st.sampled_from(["c", "d", "../e"]), fails=st.booleans())
    def call_by_id(self, id: str | None, call_id: str, fails: bool) -> None:
        content = {"target": "user.fail" if fails else "user.happen", "args": [self.effects]}
        if call_id in self.outcomes:
            # Other content under a known id: the caller's mistake, whatever the session is.
            return self.expect(self.request("call", id, **content, call_id=call_id), "invalid_request")
        names = self.space(id, create=True)
        sent = {**content, "call_id": call_id} | ({} if id is None else {"session_id": id})
        reply = ask(self.runtime, "call", sent)
        self.outcomes[call_id] = sent, {**reply, "output": 0}
        if isinstance(names, str):
            return self.expect(reply, names)
        self.effects += 1
        self.expect(reply, "raised" if fails else None)

    @precondition(lambda self: self.outcomes)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        sent, first = self.outcomes[data.draw(st.sampled_from(sorted(self.outcomes)))]
        assert ask(self.runtime, "call", sent) == first

    @rule(id=_SPACES)
    def for_another_process(self, id: str | None) -> None:
        reply = self.request("call", id, target="user.happen", args=[-1], epoch="another")
        self.expect(reply, "outcome_unknown")

    # -- what always holds -------------------------------------------------------------------------

    @invariant()
    def each_effect_was_seen_once(self) -> None:
        assert self.seen == [*range(self.effects)]

    @invariant()
    def nothing_is_kept_beside_what_is_stored(self) -> None:
        self.tick()
        self.runtime.expire(self.now)
        kept = len(self.shared) + sum(len(session.names) for session in self.open.values())
        assert len(self.runtime.store) == kept
        assert {session.id for session in self.runtime.sessions.sessions()} == set(self.open)
        assert not any(session.leases for session in self.runtime.sessions.sessions())
