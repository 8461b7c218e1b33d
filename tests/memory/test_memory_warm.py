"""Segments that are filled again: only once nobody else has them, bounded, and gone when they are idle."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy
import pytest
from processes import attach, eventually, is_shared, kernel_pid, segments

from snakekernel import Client
from snakekernel.memory.peers import SUPPORTED

if not SUPPORTED:
    pytest.skip("segments need Linux", allow_module_level=True)

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakekernel.memory import pool
from snakekernel.memory.segments import Placed, open_segment, place

HUGE = 2 << 20
fork = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def data(value: int, nbytes: int = HUGE) -> memoryview:
    return memoryview(numpy.full(nbytes, value, "u1"))


def opened(placed: Placed) -> memoryview:
    return open_segment(os.getpid(), placed.descriptor, placed.name, placed.offset, placed.length)


@pytest.fixture(autouse=True)
def nothing_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What other tests left is dropped first, and what this one leaves after; soon."""
    monkeypatch.setattr(pool, "LOOK", 0.05)
    monkeypatch.setattr(pool, "IDLE", 0.0)
    eventually(lambda: not segments(os.getpid()))
    # However slow the test is, nothing is dropped meanwhile.
    monkeypatch.setattr(pool, "IDLE", 600.0)
    yield
    monkeypatch.setattr(pool, "IDLE", 0.0)
    eventually(lambda: not segments(os.getpid()))


def is_filled_again(first: Placed, value: int = 7) -> bool:
    """Whether the next segment is that one; what is in it is right either way."""
    placed = place(data(value))
    assert opened(placed) == data(value)
    placed.lease.end()
    return placed.name == first.name


def test_a_segment_is_filled_again_when_its_receiver_has_let_go_of_it() -> None:
    first = place(data(1))
    got = opened(first)
    first.lease.taken()
    first.lease.taken()
    part = got[100:200]
    del got
    assert not is_filled_again(first)
    assert part == data(1)[:100]
    del part
    gc.collect()
    assert is_filled_again(first)


def test_one_that_was_not_taken_is_not_filled_again() -> None:
    first = place(data(1))
    first.lease.end()
    first.lease.taken()
    assert not is_filled_again(first)


def test_one_that_was_lent_on_is_not_filled_again() -> None:
    first = place(data(1))
    got = opened(first)
    first.lease.taken()
    lent = place(got)
    assert lent.name == first.name
    theirs = opened(lent)
    lent.lease.taken()
    del got
    gc.collect()
    assert not is_filled_again(first)
    assert theirs == data(1)
    del theirs
    gc.collect()
    assert is_filled_again(first)


def test_what_is_still_to_be_opened_is_not_filled_again() -> None:
    first = place(data(1))
    got = opened(first)
    first.lease.taken()
    lent = place(got)
    del got
    gc.collect()
    assert not is_filled_again(first)
    assert opened(lent) == data(1)
    lent.lease.end()


@fork
def test_one_that_a_forked_child_still_reads_is_not_filled_again() -> None:
    first = place(data(1))
    got = opened(first)
    first.lease.taken()
    go = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.read(go[0], 1)
            code = got != data(1)
        finally:
            os._exit(code)
    del got
    gc.collect()
    assert not is_filled_again(first)
    os.write(go[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    assert is_filled_again(first)
    for end in go:
        os.close(end)


@fork
def test_a_forked_child_keeps_none_of_its_parents() -> None:
    given, sent = place(data(1)), place(data(2))
    given.lease.taken()
    child = os.fork()
    if not child:
        code = 1
        try:
            nothing = not segments(os.getpid())
            own = place(data(3))
            code = not (nothing and own.name not in (given.name, sent.name) and opened(own) == data(3))
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert opened(sent) == data(2)
    sent.lease.end()
    assert is_filled_again(given)


def test_what_is_left_of_earlier_bytes_is_zeroed() -> None:
    first = place(data(1, 2 * HUGE))
    first.lease.taken()
    second = place(data(2, HUGE + 5))
    assert second.name == first.name
    whole = open_segment(os.getpid(), second.descriptor, second.name, 0, 2 * HUGE)
    assert whole[: HUGE + 5] == data(2, HUGE + 5)
    assert not any(whole[HUGE + 5 :])
    second.lease.end()


def test_one_that_is_much_too_big_is_left_alone() -> None:
    first = place(data(1, 3 * HUGE))
    first.lease.taken()
    assert not is_filled_again(first)


@pytest.mark.parametrize("nbytes", [HUGE, pool.MOST_BYTES // 2 - 1, pool.MOST_BYTES + 1])
def test_few_are_kept(nbytes: int) -> None:
    placed = [
        place(data(value, nbytes)) for value in range(min(pool.MOST + 2, 2 + pool.MOST_BYTES // nbytes))
    ]
    assert len(segments(os.getpid())) == len(placed)
    for each in placed:
        each.lease.taken()
    kept = min(pool.MOST, pool.MOST_BYTES // nbytes)
    assert len(segments(os.getpid())) == kept
    # Those used last.
    assert all(
        any(each.name in name for name in segments(os.getpid())) for each in placed[len(placed) - kept :]
    )


def test_nobody_can_write_to_a_warm_one_but_its_sender() -> None:
    placed = place(data(1))
    with pytest.raises(OSError):
        os.pwrite(placed.descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        os.open(f"/proc/self/fd/{placed.descriptor}", os.O_RDWR | os.O_TRUNC)
    writable = os.open(f"/proc/self/fd/{placed.descriptor}", os.O_RDWR)
    with pytest.raises(PermissionError):
        os.pwrite(writable, b"x", 0)
    os.close(writable)
    placed.lease.end()


def test_idle_ones_are_dropped_and_their_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    place(data(1)).lease.taken()
    assert segments(os.getpid())
    monkeypatch.setattr(pool, "IDLE", 0.1)
    eventually(lambda: not segments(os.getpid()))
    eventually(lambda: not any(thread.name == "snakekernel-warm" for thread in threading.enumerate()))


def test_threads_never_fill_what_another_lends() -> None:
    def work(seed: int) -> None:
        for turn in range(40):
            expected = data((seed * 40 + turn) % 256)
            placed = place(expected)
            got = opened(placed)
            placed.lease.taken()
            assert got == expected

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work, seed) for seed in range(4)]:
            done.result()


@pytest.mark.kernel
@given(
    st.lists(
        st.sampled_from(["store x", "store y", "delete x", "retrieve x", "retrieve y", "made", "let go"]),
        max_size=20,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_was_received_ever_changes(snake: Client, steps: list[str]) -> None:
    attach(snake)
    size, stored, views = HUGE // 8, dict[str, int](), list[tuple[Any, int]]()
    for number, step in enumerate(steps):
        work, _, name = step.partition(" ")
        if work == "store":
            snake.store(name, numpy.full(size, number))
            stored[name] = number
        elif step == "delete x" and "x" in stored:
            snake.delete_stored("x")
            del stored["x"]
        elif work == "retrieve" and name in stored:
            views.append((snake.retrieve(name, returns="value"), stored[name]))
            assert is_shared(views[-1][0])
        elif work == "made":
            views.append((snake.call("numpy.full", args=[size, number], returns="value"), number))
        elif step == "let go" and views:
            views.pop(0)
        for view, value in views:
            assert (view == value).all()
        for key, value in stored.items():
            assert snake.call("numpy.unique", args=[snake.stored[key]], returns="value").tolist() == [value]
    for key in stored:
        snake.delete_stored(key)


@pytest.mark.kernel
def test_what_is_stored_in_place_of_another_goes_where_one_before_was(snake: Client) -> None:
    attach(snake)
    eventually(lambda: not segments(kernel_pid(snake)))
    places = set[str]()
    for number in range(8):
        snake.store("x", numpy.full(HUGE // 8, number))
        places |= segments(kernel_pid(snake))
    assert len(places) <= 3
    snake.delete_stored("x")
