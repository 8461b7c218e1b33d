"""Fingerprints: the same while nothing changed, another once something did, and no code of a class is run."""

from __future__ import annotations

import collections
import enum
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.inspection.fingerprints import fingerprint


class Plain:
    """A user's class."""

    def __init__(self) -> None:
        self.a: Any = 1
        self.history: list[Any] = []


class Slotted:
    """A class with slots, one of them empty."""

    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1


class OwnList(list[Any]):
    """A list with attributes."""


class OwnFrame(pd.DataFrame):
    """A frame of a user's class."""


class Colour(enum.Enum):
    """Has members."""

    RED = 1


def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": pd.Categorical(["p", "q", "p"])})


def change(statement: str) -> Callable[[Any], None]:
    """What a cell does to ``o``."""
    return lambda o: exec(statement, {"o": o, "np": np, "pl": pl})


CHANGES: list[tuple[Callable[[], Any], str]] = [
    (list, "o.append(1)"),
    (lambda: [1, 2], "o[0] = 3"),
    (lambda: [[1]], "o[0].append(2)"),
    (lambda: list(range(100_000)), "o[-1] = 0"),
    (lambda: list(range(100_000)), "o.reverse()"),
    (lambda: {"a": 1}, "o['a'] = 2"),
    (lambda: {"a": [1]}, "o['a'].append(2)"),
    (lambda: {"a": 1}, "o['b'] = o.pop('a')"),
    (lambda: dict.fromkeys(range(100_000)), "o['new'] = 1"),
    (lambda: collections.OrderedDict(a=1, b=2), "o['b'] = 3"),
    (lambda: collections.Counter("ab"), "o.update('a')"),
    (lambda: {1, 2}, "o.add(3)"),
    (lambda: collections.deque([1]), "o.append(2)"),
    (lambda: bytearray(10), "o[3] = 1"),
    (Plain, "o.a = 2"),
    (Plain, "o.b = 2"),
    (Plain, "o.history.append({})"),
    (Slotted, "o.a = 2"),
    (Slotted, "o.b = 2"),
    (lambda: OwnList([1]), "o.append(2)"),
    (lambda: OwnList([1]), "o.name = 'x'"),
    (lambda: np.zeros(10), "o[4] = 1"),
    (lambda: np.zeros((1_000, 1_000)), "o += 1"),
    (lambda: np.zeros((1_000, 1_000)).T[:, ::2], "o += 1"),
    (lambda: np.array([None, {}], dtype=object), "o[0] = 1"),
    (lambda: np.zeros(6), "o.shape = (2, 3)"),
    (lambda: np.zeros(3, dtype=[("f", "i4")]), "o['f'] = 2"),
    (frame, "o['d'] = 1"),
    (frame, "o.loc[1, 'a'] = 9"),
    (frame, "o.loc[1, 'b'] = 'w'"),
    (frame, "o.loc[1, 'c'] = 'p'"),
    (frame, "o.columns = ['p', 'q', 'r']"),
    (frame, "o.index = [5, 6, 7]"),
    (frame, "del o['a']"),
    (lambda: OwnFrame({"a": [1]}), "o['b'] = 2"),
    (lambda: pd.Series([1, 2]), "o[0] = 5"),
    (lambda: pl.DataFrame({"a": [1, 2]}), "o[0, 'a'] = 9"),
    (lambda: pl.DataFrame({"a": [1, 2]}), "o.insert_column(0, pl.Series('z', [1, 2]))"),
    (lambda: pl.Series([1, 2]), "o[1] = 9"),
]


@pytest.mark.parametrize(("make", "statement"), CHANGES, ids=lambda v: v if isinstance(v, str) else "")
def test_changes_in_place_are_noticed(make: Callable[[], Any], statement: str) -> None:
    obj = make()
    before = fingerprint(obj)
    assert fingerprint(obj) == before
    change(statement)(obj)
    after = fingerprint(obj)
    assert after != before
    assert fingerprint(obj) == after


@pytest.mark.parametrize(
    "obj",
    [
        *(None, True, 5, 2**70, 1.5, float("nan"), "", "x" * 10_000, b"y" * 10_000, (1, [2]), frozenset({1})),
        *(range(5), len, Plain, pytest, Colour.RED, np.float64(1), np.dtype("i4"), pa.table({"a": [1]})),
        *(pd.Index([1]), pd.Timestamp(0), pl.DataFrame(), pl.Series("s", [object()]), np.zeros(0), object()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_does_not_change(obj: Any) -> None:
    assert fingerprint(obj) == fingerprint(obj)


def test_no_code_of_a_class_is_run() -> None:
    touched: list[str] = []

    class Meta(type):
        def __hash__(cls) -> int:
            touched.append("hash of the class")
            return 1

        def __eq__(cls, other: object) -> bool:
            touched.append("eq of the class")
            return True

        def __getattribute__(cls, name: str) -> Any:
            touched.append(f"{name} of the class")
            return type.__getattribute__(cls, name)

    def hostile(base: type) -> Any:
        def touch(name: str) -> Any:
            def method(self: Any, *args: Any) -> Any:
                touched.append(name)
                raise RuntimeError(name)

            return method

        names = ("__eq__", "__hash__", "__len__", "__iter__", "__getattr__", "__getattribute__", "__repr__")
        more = ("__getitem__", "__reversed__", "keys", "values", "items", "copy", "__bool__", "__sizeof__")
        space = {name: touch(name) for name in (*names, *more)}
        return Meta("Hostile", (base,), {**space, "__class__": property(touch("__class__"))})

    for base in (object, dict, list, set, collections.OrderedDict, collections.deque):
        obj = hostile(base)()
        touched.clear()
        assert fingerprint(obj) == fingerprint(obj)
        within = [obj]
        assert fingerprint(within) == fingerprint(within)
        assert touched == [], base

    class Open:
        pass

    obj = Open()
    obj.__dict__ = hostile(dict)()
    touched.clear()
    assert fingerprint(obj) == fingerprint(obj)
    assert touched == []


def test_a_class_that_ended_leaves_nothing_to_another() -> None:
    """Classes come and go, and their identities with them."""
    for number in range(2_000):
        cls = type("Passing", (dict,) if number % 2 else (), {})
        obj = cls()
        before = fingerprint(obj)
        obj.x = number
        assert fingerprint(obj) != before


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c))
)
def test_any_value_keeps_its_fingerprint(value: Any) -> None:
    assert fingerprint(value) == fingerprint(value)


def test_an_object_that_another_thread_changes() -> None:
    import threading

    obj: dict[int, int] = {}
    stop = threading.Event()

    def grow() -> None:
        while not stop.is_set():
            for n in range(1_000):
                obj[n] = n
            obj.clear()

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for _ in range(2_000):
            fingerprint(obj)
    finally:
        stop.set()
        thread.join()
