"""Which subshell a request goes to, and which are kept for the next block."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.client.lanes import Lanes, Spare


def _sent(lanes: Lanes) -> tuple[str, Future[Any]]:
    lane = lanes.enter()
    future: Future[Any] = lane.send(Future)
    return lane.subshell, future


@given(st.integers(1, 8), st.integers(0, 40))
def test_what_is_sent_is_spread_evenly(count: int, sent: int) -> None:
    lanes = Lanes([str(number) for number in range(count)], Future.done)
    went = [_sent(lanes)[0] for _ in range(sent)]
    loads = [went.count(str(number)) for number in range(count)]
    assert max(loads) - min(loads) <= 1
    assert len(lanes.pending()) == sent


@given(st.lists(st.booleans(), max_size=60))
def test_what_is_over_makes_room(steps: list[bool]) -> None:
    lanes = Lanes(["a", "b", "c"], Future.done)
    running: dict[str, list[Future[Any]]] = {"a": [], "b": [], "c": []}
    for is_sent in steps:
        busy = [name for name, futures in running.items() if futures]
        if is_sent or not busy:
            least = min(map(len, running.values()))
            name, future = _sent(lanes)
            assert len(running[name]) == least
            running[name].append(future)
        else:
            # A subshell's oldest ends first.
            running[max(busy, key=lambda name: len(running[name]))].pop(0).set_result(None)
    assert set(lanes.pending()) == {future for futures in running.values() for future in futures}


def test_calls_that_threads_wait_for_count() -> None:
    lanes = Lanes(["a", "b"], Future.done)
    chosen = [lanes.enter() for _ in range(2)]
    assert sorted(lane.subshell for lane in chosen) == ["a", "b"]
    chosen[0].leave()
    assert _sent(lanes)[0] == chosen[0].subshell
    assert lanes.close() == ["a", "b"]
    assert not lanes.is_open


def test_what_is_not_sent_counts_no_more() -> None:
    lanes = Lanes(["a"], Future.done)
    lane = lanes.enter()
    with pytest.raises(ZeroDivisionError):
        lane.send(lambda: 1 // 0)
    assert lane.calls == 0
    assert lanes.pending() == []


def test_calls_keep_clear_of_streams() -> None:
    lanes = Lanes(["a", "b"], Future.done)
    streaming = lanes.enter()
    streaming.carry(1)
    assert streaming.subshell not in {_sent(lanes)[0] for _ in range(5)}
    assert lanes.streams() == [1]
    streaming.drop(1)
    assert _sent(lanes)[0] == streaming.subshell


def test_spare_ones_are_taken_once() -> None:
    spare = Spare()
    spare.use(["a", "b", "c"])
    assert spare.take(2) == []
    spare.give(["a", "b"])
    assert sorted(spare.all()) == ["a", "b", "c"]
    assert spare.take(1) == ["a"]
    assert spare.take(5) == ["b"]
