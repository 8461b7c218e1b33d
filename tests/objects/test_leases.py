"""Leases: what an owner holds is released once, by itself or when its time ran out."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from snakekernel.objects.leases import DEFAULT_LEASE, Leases

OWNERS = st.sampled_from(["a", "b"])
KEYS = st.sampled_from([("ref", "~1"), ("ref", "~2"), ("stream", "~1")])
SECONDS = st.one_of(st.none(), st.floats(0.5, 20))


class LeaseMachine(RuleBasedStateMachine):
    """Against a plain model: per owner, when its lease ends and what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.noticed = 0
        self.leases = Leases(lambda: self.now, self._notice)
        self.held: dict[str, dict[Any, int]] = {}
        self.seconds: dict[str, float] = {}
        self.ends: dict[str, float] = {}
        self.released: Counter[int] = Counter()
        self.made = 0

    def _notice(self) -> None:
        self.noticed += 1

    def _extend(self, owner: str, seconds: float | None) -> None:
        if seconds is not None:
            self.seconds[owner] = seconds
        self.ends[owner] = self.now + self.seconds[owner]

    @rule(owner=OWNERS, key=KEYS, seconds=SECONDS)
    def hold(self, owner: str, key: Any, seconds: float | None) -> None:
        """A new owner begins with the default; whoever looks after the ends is told of an earlier one."""
        is_new, before = owner not in self.held, self.ends.get(owner, 0.0)
        noticed = self.noticed
        number = self.made = self.made + 1
        self.leases.hold(owner, key, lambda: self.released.update([number]), seconds)
        if is_new:
            self.seconds[owner] = DEFAULT_LEASE
        self.held.setdefault(owner, {})[key] = number
        self._extend(owner, seconds)
        assert self.noticed == noticed + (is_new or self.ends[owner] < before)

    @rule(owner=OWNERS, seconds=SECONDS)
    def renew(self, owner: str, seconds: float | None) -> None:
        """It says how much is held; who holds nothing has no lease."""
        noticed, before = self.noticed, self.ends.get(owner, 0.0)
        assert self.leases.renew(owner, seconds) == len(self.held.get(owner, {}))
        if owner in self.held:
            self._extend(owner, seconds)
        assert self.noticed == noticed + (owner in self.held and self.ends[owner] < before)

    @rule(owner=OWNERS, key=KEYS)
    def drop(self, owner: str, key: Any) -> None:
        """What would release it comes back, once."""
        release = self.leases.drop(owner, key)
        number = self.held.get(owner, {}).pop(key, None)
        assert (release is None) == (number is None)
        if release is not None and number is not None:
            release()
            assert self.released[number] == 1
        if not self.held.get(owner, {0: 0}):
            del self.held[owner]

    @rule(seconds=st.floats(0, 10))
    def pass_time(self, seconds: float) -> None:
        """Time goes on; nothing happens by itself."""
        self.now += seconds

    @rule()
    def expire(self) -> None:
        """All of the owners whose time is over, and nobody else's."""
        over = [owner for owner in self.held if self.ends[owner] <= self.now]
        expected = {number for owner in over for number in self.held.pop(owner).values()}
        before = Counter(self.released)
        for release in self.leases.expire():
            release()
        assert self.released - before == Counter(expected)

    @invariant()
    def agrees(self) -> None:
        """What is held, and when to look next."""
        for owner in ("a", "b"):
            assert self.leases.held(owner) == len(self.held.get(owner, {}))
        ends = [self.ends[owner] - self.now for owner in self.held]
        assert self.leases.next_end() == (max(0.0, min(ends)) if ends else None)
        assert all(count == 1 for count in self.released.values())


TestLeases = LeaseMachine.TestCase
