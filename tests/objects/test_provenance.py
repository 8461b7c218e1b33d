"""Which cell or call made a stored object, and the history of its name."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from snakekernel.objects.provenance import MOST, Maker, history_of, made_by
from snakekernel.objects.store import Store


@pytest.mark.parametrize(
    ("by", "kind", "label", "client"),
    [
        (5, "cell", "In [5]", None),
        (None, "notebook", "notebook", None),
        (("call", "pandas.read_csv", "ada"), "call", "pandas.read_csv", "ada"),
        (("store", None, ""), "call", "store", None),
        (("call", ["stored", "a name", {"attr": "b"}, 3, "fit"], "ada"), "call", "stored.a name.fit", "ada"),
        (("call", [{"item": 1}], "ada"), "call", "call", "ada"),
        (("call", "x" * 1_000, "ada"), "call", "x" * 200, "ada"),
    ],
)
def test_makers_in_words(by: Maker, kind: str, label: str, client: str | None) -> None:
    assert made_by(by) == {"kind": kind, "label": label, "client": client}


def put(store: Store, name: str, number: int) -> None:
    """Store a number, made by the cell of that number at that time."""
    store.put(None, name, number, writer="", now=float(number), by=number)


def told(store: Store, name: str, field: str) -> list[Any]:
    """One field of the history of a name."""
    found = store.look(None, name, now=0.0)
    assert found is not None
    return [version[field] for version in history_of(found[0])]


def test_a_first_object_has_a_history_of_one() -> None:
    store = Store()
    put(store, "x", 1)
    assert told(store, "x", "action") == ["stored"]
    assert told(store, "x", "at") == [1.0]
    assert store.get(None, "x", now=0.0).past is None


def test_replaced_and_renamed() -> None:
    store = Store()
    put(store, "x", 1)
    put(store, "x", 2)
    store.rename(None, "x", "y", writer="", now=3.0, by=("rename_stored", None, "ada"))
    put(store, "y", 4)
    assert told(store, "y", "action") == ["replaced", "renamed", "replaced", "stored"]
    assert told(store, "y", "at") == [4.0, 3.0, 2.0, 1.0]
    labels = [by["label"] for by in told(store, "y", "made_by")]
    assert labels == ["In [4]", "rename_stored", "In [2]", "In [1]"]
    versions = told(store, "y", "version")
    assert versions == sorted(versions, reverse=True)


def test_what_made_an_object_outlives_its_renaming() -> None:
    store = Store()
    put(store, "x", 1)
    store.rename(None, "x", "y", writer="", now=3.0, by=7)
    assert made_by(store.get(None, "y", now=0.0).by)["label"] == "In [1]"


def test_a_deleted_name_has_no_past() -> None:
    store = Store()
    put(store, "x", 1)
    store.delete(None, "x", writer="")
    put(store, "x", 2)
    assert told(store, "x", "action") == ["stored"]


def test_the_newest_versions_are_kept() -> None:
    store = Store()
    for number in range(1, 1_001):
        put(store, "x", number)
        at = told(store, "x", "at")
        assert at == [float(n) for n in range(number, max(number - MOST, 0), -1)]
    # What is remembered does not grow.
    length, past = 0, store.get(None, "x", now=0.0).past
    while past is not None:
        length, past = length + 1, past[6]
    assert length <= 2 * MOST + 2


def test_an_entry_stays_small() -> None:
    store = Store()
    put(store, "x", 1)
    entry = store.get(None, "x", now=0.0)
    assert sys.getsizeof(entry) < 300


def test_searching_names() -> None:
    store = Store()
    for name in ("Straße", "a street", "A lane", "~1"):
        store.put(None, name, 1, writer="", now=0.0)
    entries, count, version = store.page(None, search="STR", limit=1)
    assert ([entry.name for entry in entries], count, version) == (["Straße"], 2, store.version)
    assert [e.name for e in store.page(None, search="STR", offset=1)[0]] == ["a street"]
    assert [e.name for e in store.page(None, search="strasse")[0]] == ["Straße"]
    assert [e.name for e in store.page(None, prefix="A", search="l")[0]] == ["A lane"]


def test_looking_is_no_use() -> None:
    store = Store()
    store.put(None, "x", 1, writer="", now=1.0, ttl=10.0)
    found = store.look(("s", 1), "x", now=5.0)
    assert found is not None
    assert (found[0].used, found[1]) == (1.0, None)
    assert store.look(None, "x", now=11.0) is None
    assert store.look(None, "y", now=1.0) is None
