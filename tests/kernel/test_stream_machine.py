"""Any interleaving of streams, credit, closing, cancelling and functions: no deadlock, no item lost or twice.

Rules: a model knows how many items the kernel may have sent and must have sent; what must come is waited for,
with a hard limit, and all that came is compared. The streams of one machine are on the main shell beside
each other, and one after the other on each of two subshells.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    rule,
    run_state_machine_as_test,
)
from stock_client import Stock
from stock_stream import Reading

from snakekernel import Client

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

PRODUCERS = """
import asyncio
begun, ended = [], []

def numbers(n, fails):
    begun.append(n)
    try:
        yield from range(n)
        if fails: raise LookupError(n)
    finally: ended.append(n)

async def numbers_async(n, fails):
    begun.append(n)
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
        if fails: raise LookupError(n)
    finally: ended.append(n)
"""


class Open:
    """One stream, and what the model knows of it."""

    def __init__(self, reading: Reading, n: int, credit: int, *, fails: bool) -> None:
        self.reading = reading
        self.n = n
        self.granted = credit
        self.fails = fails
        #: What the reader did to end it early.
        self.stop = ""

    @property
    def ends_by_itself(self) -> bool:
        """Whether the producer gets to its end: it is asked once more than it has items."""
        return self.granted > self.n

    def check(self) -> None:
        """Compare what came with what may come: no gap, nothing twice, nothing beyond the credit."""
        items = self.reading.items
        assert items == list(range(len(items)))
        assert len(items) <= min(self.n, self.granted)

    def check_end(self) -> None:
        """Wait for the reply, and compare all."""
        end = self.reading.end()
        self.check()
        came = len(self.reading.items)
        if not self.stop:
            assert came == self.n
            assert end["status"] == ("error" if self.fails else "ok")
            assert end.get("ename", "LookupError") == "LookupError"
        elif end["status"] == "ok":
            assert end["closed"] or came == self.n
        else:
            assert end["code"] in ("cancelled", "raised")


class Machine(RuleBasedStateMachine):
    """Streams of one stock client, and calls and functions of a client of ours between them."""

    stock: Stock
    snake: Client
    subshells: tuple[str, str]

    streams = Bundle("streams")
    own = Bundle("own")

    def __init__(self) -> None:
        super().__init__()
        #: Of each route, the streams in the order they were asked for; on the main shell none waits.
        self.routes: dict[str, list[Open]] = {"": [], self.subshells[0]: [], self.subshells[1]: []}
        self.owned: list[Any] = []
        self.snake.call("user.begun.clear")
        self.snake.call("user.ended.clear")

    def _at_its_turn(self, one: Open) -> bool:
        """Whether nothing before it has its subshell."""
        for route, streams in self.routes.items():
            if one in streams:
                before = streams[: streams.index(one)] if route else []
                return all(other.stop or other.ends_by_itself for other in before)
        raise AssertionError

    @rule(
        target=streams,
        kind=st.sampled_from(["user.numbers", "user.numbers_async"]),
        n=st.integers(0, 8),
        credit=st.integers(1, 5),
        fails=st.booleans(),
        route=st.sampled_from([0, 0, 1, 2]),
    )
    def open(self, kind: str, n: int, credit: int, fails: bool, route: int) -> Open:
        fields: dict[str, Any] = {"concurrent": True}
        name = ("", *self.subshells)[route]
        if name:
            fields = {"subshell_id": name}
        reading = Reading(self.stock, kind, n, fails, credit=credit, lease=60, **fields)
        one = Open(reading, n, credit, fails=fails)
        self.routes[name].append(one)
        return one

    @rule(one=streams, credit=st.integers(1, 4))
    def grant(self, one: Open, credit: int) -> None:
        if one.stop or one.ends_by_itself or not self._at_its_turn(one):
            # Nothing to grant, or too early: whether it has begun is a matter of time.
            return
        one.reading.until(1)
        assert one.reading.grant(credit)
        one.granted += credit

    @rule(one=streams)
    def take(self, one: Open) -> None:
        if not one.stop and self._at_its_turn(one):
            one.reading.until(min(one.n, one.granted))
        one.check()

    @rule(one=consumes(streams))
    def read_to_the_end(self, one: Open) -> None:
        if not one.stop and self._at_its_turn(one):
            missing = one.n + 1 - one.granted
            if missing > 0:
                # It has begun then.
                one.reading.until(1)
                assert one.reading.grant(missing)
                one.granted += missing
            one.check_end()

    @rule(one=streams)
    def close(self, one: Open) -> None:
        if not one.ends_by_itself:
            one.stop = one.stop or "closed"
            one.reading.close()

    @rule(one=streams)
    def cancel(self, one: Open) -> None:
        if not one.ends_by_itself:
            one.stop = one.stop or "cancelled"
            self.stock.ok("cancel", {"msg_id": one.reading.id}, channel="control")

    @rule(a=st.integers(0, 9))
    def call(self, a: int) -> None:
        assert self.snake.call("operator.add", args=[a, 1]) == a + 1

    @rule(numbers=st.lists(st.integers(0, 9), max_size=4))
    def call_a_function(self, numbers: list[int]) -> None:
        snake = self.snake

        def add(a: int, b: int) -> int:
            # From within, where it must not wait for the main shell.
            return int(snake.call("operator.add", args=[a, b]))

        assert snake.call("functools.reduce", args=[add, numbers, 0]) == sum(numbers)

    @rule(target=own, n=st.integers(0, 8), credit=st.integers(1, 5), calls=st.booleans())
    def open_own(self, n: int, credit: int, calls: bool) -> tuple[Any, list[int]]:
        target, args = ("builtins.map", [lambda i: i, range(n)]) if calls else ("user.numbers", [n, False])
        stream = self.snake.stream(target, args=args, credit=credit, concurrent=True)
        self.owned.append(stream)
        return stream, [0, n]

    @rule(pair=own)
    def take_own(self, pair: tuple[Any, list[int]]) -> None:
        stream, state = pair
        item = next(stream, None)
        if item is not None:
            assert item == state[0]
            state[0] += 1
        elif state[1] >= 0:
            assert state[0] == state[1]

    @rule(pair=own)
    def close_own(self, pair: tuple[Any, list[int]]) -> None:
        stream, state = pair
        if not stream.closed:
            state[1] = -1
        stream.close()
        assert next(stream, None) is None

    def teardown(self) -> None:
        for streams in self.routes.values():
            for one in streams:
                if not one.stop and not one.ends_by_itself:
                    one.stop = "closed"
                    one.reading.close()
            for one in streams:
                one.check_end()
        for stream in self.owned:
            stream.close()
        assert sorted(self.snake.call("user.begun")) == sorted(self.snake.call("user.ended"))
        assert self.stock.ok("renew", channel="control")["held"] == 0


@pytest.fixture
def subshells(stock: Stock) -> Iterator[tuple[str, str]]:
    """Two subshells of the kernel."""
    made = [stock.send("create_subshell_request", channel="control") for _ in range(2)]
    one, two = (stock.reply(msg_id, channel="control")["content"]["subshell_id"] for msg_id in made)
    yield one, two
    for subshell_id in (one, two):
        gone = stock.send("delete_subshell_request", {"subshell_id": subshell_id}, channel="control")
        stock.reply(gone, channel="control")


def test_any_interleaving(stock: Stock, snake: Client, subshells: tuple[str, str]) -> None:
    stock.cell(PRODUCERS)

    class Here(Machine):
        """The machine with this kernel."""

    Here.stock, Here.snake, Here.subshells = stock, snake, subshells
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
