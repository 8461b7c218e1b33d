"""Every kind of object can be previewed and inspected, by both describers, and keeps the invariants."""

from __future__ import annotations

import array
import collections
import ctypes
import dataclasses
import datetime
import decimal
import enum
import functools
import itertools
import os
import pathlib
import re
import types
import uuid
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from snakekernel.inspection import Describer
from snakekernel.testing.inspection import verify_description, verify_inspection
from snakekernel.values import Attr, Decoder, Encoder, Item, Limits, Ref
from snakekernel.wire.errors import LimitExceeded, Unserializable


class Slotted:
    __slots__ = ("a", "unset")

    def __init__(self) -> None:
        self.a = 1


class Point(NamedTuple):
    x: int
    y: str


@dataclasses.dataclass
class Model:
    """A model."""

    name: str
    weights: list[float]

    def fit(self, data: Any, *, rounds: int = 3) -> Model:
        """Fits."""
        return self


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Pair(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("text", ctypes.c_char_p)]


class Listed(list):  # type: ignore[type-arg]
    pass


def function(a: int, /, b: str = "x", *rest: int, c: float = 1.0, **more: Any) -> bool:
    """Does nothing."""
    return True


def generator() -> Any:
    yield from itertools.count()


CYCLE: list[Any] = [1]
CYCLE.append(CYCLE)
CYCLIC_DICT: dict[str, Any] = {}
CYCLIC_DICT["me"] = {"deep": [CYCLIC_DICT]}

OBJECTS: list[Any] = [
    None,
    True,
    3,
    2**80,
    10**5_000,
    1.5,
    float("nan"),
    1j,
    "text",
    "x" * 10_000,
    "lone \ud800 surrogate",
    b"bytes",
    bytearray(b"b"),
    memoryview(b"m"),
    ...,
    NotImplemented,
    decimal.Decimal("1.50"),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    datetime.timedelta(1),
    uuid.UUID(int=1),
    pathlib.Path("/tmp"),
    re.compile("a"),
    [],
    [1, Model("m", [])],
    list(range(1_000)),
    (1,),
    {"a": 1, 2: Model("m", []), (1, 2): 3, None: 4, 1.5: 5, "b\ud800": 6},
    {1, 2},
    set(),
    frozenset({1}),
    collections.OrderedDict(a=1, b=2),
    collections.defaultdict(list, a=[1]),
    collections.Counter("aab"),
    collections.deque([1, 2]),
    collections.ChainMap({"a": 1}),
    array.array("d", [1.0, 2.0]),
    types.MappingProxyType({"a": 1}),
    range(10**18),
    slice(1, 2),
    {}.items(),
    CYCLE,
    CYCLIC_DICT,
    Listed([1, 2]),
    Point(1, "y"),
    Slotted(),
    Model("m", [1.0]),
    Model,
    Model("m", []).fit,
    Colour.RED,
    Colour,
    Pair(1, b"x"),
    Pair,
    (ctypes.c_int * 3)(1, 2, 3),
    ctypes.c_int(3),
    function,
    functools.partial(function, 1),
    functools.lru_cache(function),
    len,
    [].append,
    str.join,
    int,
    type,
    object(),
    os,
    generator(),
    iter([1]),
    ValueError("x"),
    types.SimpleNamespace(a=1),
    np.arange(10),
    np.arange(10_000_000),
    np.zeros((3, 4)),
    np.asfortranarray(np.zeros((3, 4, 5))),
    np.array(3.0),
    np.array([object(), 1], dtype=object),
    np.zeros(3, dtype=[("a", "<i4"), ("b", "<f8")]),
    np.ma.array([1, 2], mask=[True, False]),
    np.float64(1.5),
    np.datetime64("2024-01-01"),
    np.dtype("f8"),
    np.sum,
    pd.DataFrame({"a": [1, 2], "b": ["x", None], 3: [1.5, None]}),
    pd.DataFrame(),
    pd.DataFrame([[1, 2]], columns=["a", "a"]),
    pd.DataFrame(np.zeros((100_000, 30))),
    pd.Series([1, 2], index=["a", "b"], name="s"),
    pd.Series([Model("m", []), 1], dtype=object),
    pd.Series(["a", "b"], dtype="category"),
    pd.Index([1, 2]),
    pd.MultiIndex.from_product([[1, 2], ["a", "b"]]),
    pd.Timestamp("2024-01-01"),
    pd.NaT,
    pa.table({"a": [1, 2], "b": ["x", None]}),
    pa.record_batch({"a": [1]}),
    pa.array([1, None]),
    pa.chunked_array([[1], [2]]),
    pa.scalar(1),
    pd,
]


def _name(obj: Any) -> str:
    return type(obj).__name__


@pytest.mark.parametrize("static", [False, True], ids=["asking", "static"])
@pytest.mark.parametrize("obj", OBJECTS, ids=_name)
def test_every_kind_of_object_keeps_the_invariants(obj: Any, static: bool) -> None:
    describer = Describer(static=static)
    verify_description(obj, describer.preview(obj))
    verify_description(obj, describer.value_or_preview(obj, Encoder()))
    verify_inspection(obj, describer.inspect(obj))
    verify_inspection(obj, describer.inspect(obj, offset=1, limit=2), offset=1, limit=2)


def _follow(obj: Any, step: Any) -> Any:
    """What the protocol says a step means, for the kinds of step that children have."""
    if isinstance(step, Attr):
        return getattr(obj, step.name)
    if isinstance(step, Item):
        return obj[step.key]
    return obj[step]


@pytest.mark.parametrize(
    "obj",
    [
        {"a": 1, 2: "x", (1, 2): 3, None: 4, 1.5: 5},
        [1, "x"],
        Point(1, "y"),
        Slotted(),
        Model("m", [1.0]),
        Colour,
        Pair(1, b"x"),
        os,
        np.arange(3),
        np.zeros((3, 4)),
        np.zeros(3, dtype=[("a", "<i4"), ("shape", "<f8")]),
        pd.DataFrame({"a": [1, 2], "shape": [1, 2], 3: [1.5, None]}),
        pd.Series([1, 2], index=["a", "b"]),
        pd.Series([1.0, 2.0], index=[10, 20]),
        pd.Index([1, 2]),
        pa.table({"a": [1, 2]}),
        pa.array([1, 2]),
    ],
    ids=_name,
)
def test_a_childs_key_leads_to_the_child(obj: Any) -> None:
    children = Describer().inspect(obj)["children"]
    assert children
    for child in children:
        ref = Decoder().decode({"$ref": ["x", child["key"]]})
        assert isinstance(ref, Ref)
        found = _follow(obj, ref.steps[0])
        assert type(found).__name__ == child["type"]
        if isinstance(found, int | str):
            assert child["string_repr"] == repr(found)


def test_what_no_step_can_name_has_no_key() -> None:
    describer = Describer()
    assert [c["key"] for c in describer.inspect({1, 2})["children"]] == [None, None]
    doubled = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert [c["key"] for c in describer.inspect(doubled)["children"]] == [None, None]
    assert describer.inspect({object(): 1})["children"][0]["key"] is None


def test_pages_of_children_cover_a_container_once() -> None:
    obj = {n: str(n) for n in range(25)}
    describer = Describer()
    pages = [describer.inspect(obj, offset=n, limit=10) for n in (0, 10, 20, 30)]
    assert [len(page["children"]) for page in pages] == [10, 10, 5, 0]
    assert [c["key"] for page in pages for c in page["children"]] == list(range(25))
    assert {page["total"] for page in pages} == {25}


def test_inspection_of_a_function_a_class_and_a_method() -> None:
    describer = Describer()
    found = describer.inspect(function)
    assert found["signature"] == (
        "(a: 'int', /, b: 'str' = 'x', *rest: 'int', c: 'float' = 1.0, **more: 'Any') -> 'bool'"
    )
    assert found["docstring"] == "Does nothing."
    assert describer.inspect(Model)["signature"] == "(name: 'str', weights: 'list[float]') -> None"
    method = describer.inspect(Model("m", []).fit)
    assert method["signature"] == "(data: 'Any', *, rounds: 'int' = 3) -> 'Model'"
    assert method["docstring"] == "Fits."
    static = Describer(static=True)
    assert static.inspect(function)["signature"] == "(a, /, b='x', *rest, c=1.0, **more)"
    assert static.inspect(Model)["signature"] == "(name, weights)"
    assert static.inspect(Model("m", []).fit)["signature"] == "(data, *, rounds=3)"


def test_attributes_are_the_instances_own_then_the_public_ones_of_its_classes() -> None:
    model = Model("m", [])
    model.extra = 1  # type: ignore[attr-defined]
    assert Describer().inspect(model)["attributes"] == ["name", "weights", "extra", "fit"]
    attributes = Describer().preview(model)["attributes"]
    assert attributes["name"] == {"type": "str", "module": "builtins", "value": "m"}
    assert attributes["weights"]["string_repr"] == "[]"


def test_numbers_of_known_libraries() -> None:
    describer = Describer(static=True)
    array_found = describer.inspect(np.zeros((3, 4)))
    assert (array_found["length"], array_found["shape"], array_found["dtype"]) == (3, [3, 4], "float64")
    assert array_found["size"] >= 96
    frame = describer.inspect(pd.DataFrame({"a": [1, 2], "b": [1.5, 2]}))
    assert (frame["length"], frame["shape"]) == (2, [2, 2])
    assert [(c["label"], c["type"], c["shape"]) for c in frame["children"]] == [
        ("a", "Series", [2]),
        ("b", "Series", [2]),
    ]


def test_value_when_lossless_else_preview_and_force_says_where() -> None:
    describer = Describer()
    assert describer.value_or_preview([1, (2,)], Encoder())["value"] == [1, {"$tuple": [2]}]
    encoder = Encoder()
    preview = describer.value_or_preview([np.arange(3), Model("m", [])], encoder)
    assert [item["type"] for item in preview["items"]] == ["ndarray", "Model"]
    assert encoder.buffers == []
    with pytest.raises(Unserializable, match=r"\[0\]") as caught:
        describer.value_or_preview([Model("m", [])], Encoder(), force=True)
    assert caught.value.at == "$.returns"
    small = Limits(items=3)
    assert describer.value_or_preview(list(range(9)), Encoder(small))["total"] == 9
    with pytest.raises(LimitExceeded):
        describer.value_or_preview(list(range(9)), Encoder(small), force=True)
