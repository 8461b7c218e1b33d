"""What the state machine does not see of the store: cost, threads, and where dropped objects end."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import pytest

from snakekernel.objects.entries import Change
from snakekernel.objects.store import Store
from snakekernel.wire.errors import NotFound


class Thing:
    """Can be referred to weakly."""


def test_the_list_handed_out_holds_the_last_references() -> None:
    """So that they end on the thread that clears the list, not on the one that removed them."""
    boxes: list[list[Any]] = []
    store = Store(on_drop=boxes.append)
    refs = []
    for number, remove in enumerate(
        [
            lambda name: store.delete(None, name, writer=""),
            lambda name: store.put(None, name, 1, writer="", now=0.0),
            lambda name: store.clear(None, writer=""),
            lambda name: store.expire(10.0),
        ]
    ):
        thing = Thing()
        refs.append(weakref.ref(thing))
        store.put(None, f"x{number}", thing, writer="", now=0.0, ttl=5.0 if number == 3 else None)
        del thing
        remove(f"x{number}")
        assert refs[-1]() is not None
        for box in boxes:
            box.clear()
        assert refs[-1]() is None


def test_code_that_runs_on_removal_may_use_the_store() -> None:
    """No lock is held when an object ends or a change is told."""
    store: Store

    def let_go(gone: list[Any]) -> None:
        gone.clear()

    def told(change: Change) -> None:
        seen.append(store.names(None))

    class Chatty:
        def __del__(self) -> None:
            thread = threading.Thread(target=lambda: seen.append(store.names(None)))
            thread.start()
            thread.join(10)
            assert not thread.is_alive()

    seen: list[Any] = []
    store = Store(on_drop=let_go, on_change=told)
    store.put(None, "x", Chatty(), writer="", now=0.0)
    store.put(None, "x", Chatty(), writer="", now=0.0)
    store.delete(None, "x", writer="")
    assert len(seen) == 5


def test_listing_costs_a_page() -> None:
    store = Store()
    for number in range(100_000):
        store.put(None, f"name {number}", None, writer="", now=0.0)
    entries, count, _ = store.page(None, limit=5)
    assert [entry.name for entry in entries] == [f"name {n}" for n in range(5)]
    assert count == store.counts(None) == len(store) == 100_000
    assert store.next_expiry() is None


def test_reading_below_a_session_sees_the_kernel_wide_names() -> None:
    store = Store()
    store.put(None, "x", "wide", writer="", now=0.0)
    space = ("s", 1)
    assert store.get(space, "x", now=0.0).obj == "wide"
    store.put(space, "x", "mine", writer="", now=0.0)
    assert store.get(space, "x", now=0.0).obj == "mine"
    with pytest.raises(NotFound) as caught:
        store.get(space, "y", now=0.0, at="$.id")
    assert caught.value.at == "$.id"


def test_anonymous_names_are_listed_on_request_alone() -> None:
    store = Store()
    entry = store.put_anonymous(None, 1, writer="", now=0.0)
    assert store.page(None)[0] == []
    assert store.page(None, prefix="~")[0] == [entry]
    assert store.names(None) == []
    store.delete(None, entry.name, writer="")
    assert len(store) == 0
