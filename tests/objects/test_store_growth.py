"""100,000 entries: what pages, expiry and removal look at, and what an entry takes."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from snakekernel.objects.entries import Entry
from snakekernel.objects.listing import Listing
from snakekernel.objects.store import Store

MANY = 100_000


def _full(number: int = MANY) -> Store:
    store = Store(on_drop=lambda gone: gone.clear())
    for n in range(number):
        store.put(None, f"name {n}", None, writer="w", now=0.0)
    return store


def test_an_entry_takes_less_than_a_kilobyte() -> None:
    store = _full(1)
    tracemalloc.start()
    try:
        for n in range(10_000):
            store.put(None, f"other {n}", None, writer=f"call {n}", now=0.0, ttl=1e6)
        # Both orders, which are kept from now on.
        store.page(None, prefix="other", limit=1)
        assert tracemalloc.get_traced_memory()[0] < 10_000 * 1_000
    finally:
        tracemalloc.stop()


def test_pages_look_at_their_own_entries_only(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _full()
    # Once made, both orders are kept along: no page goes through the names again.
    store.page(None, prefix="name", limit=1)
    made: list[Any] = []
    monkeypatch.setattr(Listing, "__init__", lambda self, entries: made.append(entries))

    def names(**page: Any) -> list[str]:
        entries, count, _ = store.page(None, **page)
        counts.append(count)
        return [entry.name for entry in entries]

    counts: list[int] = []
    store.put(None, "name 77777", 1, writer="w", now=1.0)
    store.put(None, "zebra", 1, writer="w", now=1.0)
    store.delete(None, "name 99998", writer="w")
    store.rename(None, "name 0", "name 00", writer="w")
    assert names(prefix="name 7777", limit=3) == ["name 7777", "name 77770", "name 77771"]
    assert names(prefix="name 7777", offset=9, limit=3) == ["name 77778", "name 77779"]
    assert store.page(None, prefix="name 77777")[0][0].obj == 1
    assert names(prefix="absent") == []
    assert names(prefix="name 00") == ["name 00"]
    assert names(offset=MANY - 4, limit=9) == ["name 99997", "name 99999", "zebra", "name 00"]
    assert names(limit=2) == ["name 1", "name 2"]
    assert counts == [11, 11, 0, 1, MANY, MANY]
    assert made == []


def test_names_of_any_characters_are_found_by_prefix() -> None:
    store = Store()
    last = chr(0x10FFFF)
    for name in ("a", "ab", f"a{last}", f"a{last}{last}", "b", "é", "\ud800x"):
        store.put(None, name, None, writer="w", now=0.0)
    assert [e.name for e in store.page(None, prefix="a")[0]] == ["a", "ab", f"a{last}", f"a{last}{last}"]
    assert [e.name for e in store.page(None, prefix=f"a{last}")[0]] == [f"a{last}", f"a{last}{last}"]
    assert [e.name for e in store.page(None, prefix="\ud800")[0]] == ["\ud800x"]


def test_a_name_that_compares_as_it_likes_is_a_plain_name() -> None:
    class Name(str):
        def __lt__(self, other: object) -> bool:
            raise RuntimeError("compared")

    store = Store()
    for text in ("b", "a"):
        store.put(None, Name(text), None, writer="w", now=0.0)
    assert [e.name for e in store.page(None, prefix="a")[0]] == ["a"]
    assert {type(name) for name in store.names(None)} == {str}


def test_expiry_looks_at_what_is_due_only(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(on_drop=lambda gone: gone.clear())
    for n in range(1_000):
        store.put(None, f"x{n}", None, writer="w", now=0.0, ttl=1.0 + n)
    removed: list[str] = []
    remove = Store._remove
    monkeypatch.setattr(
        Store, "_remove", lambda self, space, name: (removed.append(name), remove(self, space, name))[1]
    )
    assert store.expire(0.5) == 0
    assert store.expire(3.0) == 3
    assert removed == ["x0", "x1", "x2"]
    assert store.next_expiry() == 4.0


def test_renewals_leave_nothing_behind() -> None:
    store = Store(on_drop=lambda gone: gone.clear())
    for n in range(10_000):
        store.put(None, "x", n, writer="w", now=float(n), ttl=1e6)
    assert len(store._due) < 200
    assert store.expire(1e6 + 9_998) == 0
    assert store.expire(1e6 + 9_999) == 1
    assert store.next_expiry() is None


def test_all_go_at_once_and_the_next_page_is_right() -> None:
    store = Store(on_drop=lambda gone: gone.clear())
    for n in range(5_000):
        store.put(None, f"x{n}", None, writer="w", now=0.0, ttl=1.0 if n % 2 else None)
    assert store.page(None, prefix="x1", limit=1)[1] == 1_111
    assert store.expire(2.0) == 2_500
    kept = [f"x{n}" for n in range(0, 5_000, 2)]
    assert [e.name for e in store.page(None, prefix="x", limit=5_000)[0]] == sorted(kept)
    assert [e.name for e in store.page(None, offset=2_400, limit=50)[0]] == kept[2_400:2_450]
    assert store.clear(None, writer="w") == 2_500
    assert store.page(None, prefix="x") == ([], 0, store.version)


def test_the_newest_value_is_listed() -> None:
    store = _full(10)
    store.page(None, prefix="name")
    entry: Entry = store.put(None, "name 3", "new", writer="w", now=1.0)
    assert store.page(None, prefix="name 3")[0] == [entry]
    assert store.page(None, offset=3, limit=1)[0] == [entry]
