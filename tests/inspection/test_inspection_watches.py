"""Watches, looked at without a kernel: leases, turns, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from snakekernel.inspection.watches import Seen, Watches
from snakekernel.objects.entries import Entry
from snakekernel.objects.store import Store

LONG = 60.0


class Kernel:
    """What watches are asked about."""

    def __init__(self) -> None:
        self.store = Store()
        self.variables: dict[str, Any] = {}
        self.watches = Watches()

    def put(self, name: str, obj: Any) -> None:
        self.store.put(None, name, obj, writer="", now=0.0)

    def look(self, seconds: float = LONG) -> Seen:
        def find(name: tuple[str | None, str]) -> Entry | None:
            found = self.store.look(None, name[1], now=0.0)
            return found and found[0]

        return self.watches.look(find, lambda: self.variables, seconds)

    def again(self) -> Seen:
        self.watches.again()
        return self.look()


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def test_a_change_is_told_once(kernel: Kernel) -> None:
    kernel.put("x", obj := [1])
    kernel.watches.begin("client", [(None, "x")], None, 10.0)
    assert kernel.look() == Seen()
    obj.append(2)
    assert kernel.again().stored == [((None, "x"), 1)]
    assert kernel.again() == Seen()


def test_what_comes_later_is_known_from_then_on(kernel: Kernel) -> None:
    kernel.watches.begin("client", [(None, "x")], None, 10.0)
    kernel.look()
    kernel.put("x", obj := [1])
    assert kernel.again() == Seen()
    obj.append(2)
    assert kernel.again().stored == [((None, "x"), 1)]
    kernel.store.delete(None, "x", writer="")
    assert kernel.again() == Seen()


def test_no_time_means_one_look_after_another(kernel: Kernel) -> None:
    objects: list[list[int]] = [[] for _ in range(10)]
    for number, obj in enumerate(objects):
        kernel.put(f"x{number}", obj)
    kernel.watches.begin("client", [(None, f"x{n}") for n in range(10)], None, 10.0)
    kernel.look()
    for obj in objects:
        obj.append(1)
    kernel.watches.again()
    assert kernel.look(0.0) == Seen(more=True)
    # What was left out stands before what is looked at again.
    kernel.watches.again()
    found = kernel.look()
    assert len(found.stored) == 10
    assert not found.more


def test_variables(kernel: Kernel) -> None:
    kernel.variables.update(a=[1], b=[1])
    kernel.watches.begin("client", [], ["a"], 10.0)
    assert kernel.look() == Seen()
    version = kernel.watches.variables_version
    kernel.variables["a"].append(2)
    kernel.variables["b"].append(2)
    assert kernel.again().variables == [("changed", "a")]
    kernel.variables["c"] = 1
    kernel.variables["a"] = [3]
    del kernel.variables["b"]
    assert sorted(kernel.again().variables) == [("deleted", "b"), ("stored", "a"), ("stored", "c")]
    assert kernel.watches.variables_version == version + 2
    kernel.variables["a"].append(4)
    assert kernel.again().variables == [("changed", "a")]


def test_variables_of_nobody(kernel: Kernel) -> None:
    kernel.watches.begin("client", [(None, "x")], None, 10.0)
    kernel.look()
    kernel.variables["a"] = 1
    assert kernel.again() == Seen()


def test_each_client_has_one_watch(kernel: Kernel) -> None:
    for name in "xyz":
        kernel.put(name, [1])
    kernel.watches.begin("one", [(None, "x")], None, 10.0)
    kernel.watches.begin("one", [(None, "y")], None, 10.0)
    kernel.watches.begin("two", [(None, "y"), (None, "z")], [], 20.0)
    kernel.look()
    for name in "xyz":
        kernel.store.get(None, name, now=0.0).obj.append(2)
    assert {name for (_, name), _ in kernel.again().stored} == {"y", "z"}


def test_leases_end(kernel: Kernel) -> None:
    assert not kernel.watches.is_on
    kernel.watches.begin("one", [(None, "x")], None, 10.0)
    kernel.watches.begin("two", [], [], 20.0)
    kernel.watches.expire(15.0)
    assert kernel.watches.is_on
    kernel.watches.end("nobody")
    kernel.watches.expire(20.0)
    assert not kernel.watches.is_on
    kernel.watches.again()
    assert kernel.look() == Seen()


def test_renewing_forgets_nothing_that_is_still_to_be_told(kernel: Kernel) -> None:
    kernel.put("x", obj := [1])
    kernel.watches.begin("client", [(None, "x")], ["a"], 10.0)
    kernel.look()
    obj.append(2)
    kernel.watches.again()
    kernel.watches.begin("client", [(None, "x")], ["a"], 20.0)
    assert kernel.look().stored == [((None, "x"), 1)]


def test_no_object_is_kept(kernel: Kernel) -> None:
    import weakref

    class Thing:
        """Can be referred to weakly."""

    kernel.put("x", Thing())
    kernel.variables["a"] = Thing()
    kept = [weakref.ref(kernel.store.get(None, "x", now=0.0).obj), weakref.ref(kernel.variables["a"])]
    kernel.watches.begin("client", [(None, "x")], ["a"], 10.0)
    kernel.look()
    kernel.store.delete(None, "x", writer="")
    del kernel.variables["a"]
    assert [ref() for ref in kept] == [None, None]
