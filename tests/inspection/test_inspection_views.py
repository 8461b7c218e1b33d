"""Which viewer suits an object, its line in a list, its parameters, and paths read without running code."""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from snakekernel.inspection import Budget, Describer, glance, part_of
from snakekernel.inspection.parameters import parameters
from snakekernel.inspection.views import view_of
from snakekernel.objects.static import MISSING
from snakekernel.testing.inspection import verify_inspection
from snakekernel.wire.path import Attr, Item

Pair = collections.namedtuple("Pair", "one two")


class Thing:
    """A user's class."""

    def __init__(self) -> None:
        self.x = 1

    def __call__(self, a: int, /, b: str = "b", *rest: Any, only: bool, **more: Any) -> None:
        """Do it."""


class Drawn:
    """Shows itself."""

    def _repr_svg_(self) -> str:
        raise RuntimeError("drawn")


def plot() -> Any:
    """A figure of matplotlib's, without a display."""
    from matplotlib.figure import Figure

    return Figure()


def picture() -> Any:
    """An image of PIL's."""
    from PIL import Image

    return Image.new("RGB", (4, 4))


VIEWS: list[tuple[str, Callable[[], Any]]] = [
    ("scalar", lambda: None),
    ("scalar", lambda: True),
    ("scalar", lambda: 2**5000),
    ("scalar", lambda: np.float32(1)),
    ("scalar", lambda: np.array(5)),
    ("text", lambda: ""),
    ("text", lambda: "words"),
    ("text", lambda: b"bytes"),
    ("tree", lambda: [1, 2]),
    ("tree", list),
    ("tree", dict),
    ("tree", lambda: {1: [1], 2: [2]}),
    ("tree", lambda: {"a": [1], "b": [1, 2]}),
    ("tree", lambda: {"a": [], "b": []}),
    ("tree", lambda: {"a": 1}),
    ("tree", lambda: collections.deque([{}])),
    ("tree", lambda: [{"prompt": "p", "messages": [], "outputs": []}]),
    ("tree", lambda: [{}, {}]),
    ("tree", lambda: [{"a": 1}, 5]),
    ("tree", lambda: Pair(1, 2)),
    ("tree", lambda: np.zeros((2, 3, 4, 5))),
    ("table", lambda: [{"a": 1}, {"a": 2}]),
    ("table", lambda: {"a": [1, 2], "b": np.array([3, 4])}),
    ("table", lambda: np.zeros(5)),
    ("table", lambda: np.zeros((5, 2))),
    ("table", lambda: np.zeros(3, dtype=[("a", "i4"), ("b", "f8")])),
    ("table", lambda: pd.DataFrame({"a": [1]})),
    ("table", lambda: pd.Series([1])),
    ("table", lambda: pd.Index([1])),
    ("table", lambda: pl.DataFrame({"a": [1]})),
    ("table", lambda: pl.Series([1])),
    ("table", lambda: pa.table({"a": [1]})),
    ("image", lambda: np.zeros((10, 10, 3), dtype="u1")),
    ("image", lambda: np.zeros((10, 10, 4))),
    ("image", lambda: np.zeros((10, 10), dtype="u1")),
    ("image", picture),
    ("image", Drawn),
    ("figure", plot),
    ("callable", lambda: len),
    ("callable", lambda: plot),
    ("callable", lambda: Thing),
    ("callable", lambda: [].append),
    ("callable", lambda: functools.partial(len)),
    ("object", Thing),
    ("object", object),
    ("object", lambda: types),
    ("object", lambda: ValueError("x")),
]


@pytest.mark.parametrize(("view", "make"), VIEWS)
def test_views(view: str, make: Callable[[], Any]) -> None:
    obj = make()
    assert view_of(obj) == view
    line = glance(obj)
    assert line["view"] == view
    assert len(line["preview"]) <= 120
    assert line["size"] >= 0
    inspection = Describer(static=True).inspect(obj)
    assert inspection["view"] == view
    verify_inspection(obj, inspection)


def test_a_frame_of_a_class_that_lies() -> None:
    class Liar:
        @property
        def __class__(self) -> Any:
            raise RuntimeError

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError

        def __len__(self) -> int:
            raise RuntimeError

    assert view_of(Liar()) == "object"
    assert glance(Liar())["preview"] == "<Liar object>"


def test_many_children_are_not_measured_in_full() -> None:
    inspection = Describer(static=True).inspect([list(range(1_000)) for _ in range(1_000)], 0, 1_000)
    assert len(inspection["children"]) == 1_000
    assert all(8_000 < child["size"] < 80_000 for child in inspection["children"])


class TestParameters:
    EXPECTED = (
        ("a", "positional_only", True, None, "int"),
        ("b", "positional_or_keyword", False, "'b'", "str"),
        ("rest", "var_positional", False, None, "Any"),
        ("only", "keyword_only", True, None, "bool"),
        ("more", "var_keyword", False, None, "Any"),
    )

    @pytest.mark.parametrize("static", [True, False])
    def test_of_an_object_that_can_be_called(self, static: bool) -> None:
        found = Describer(static=static).inspect(Thing())["parameters"]
        assert tuple(tuple(one.values()) for one in found) == self.EXPECTED

    @pytest.mark.parametrize("static", [True, False])
    def test_every_kind_of_function(self, static: bool) -> None:
        def function(
            a: int | None, b: tuple[str, ...] = (), c: Any = None, *, d: object = object(), e: int = 2**10
        ) -> None:
            """One with defaults of its own."""

        # Not texts, as this module's annotations are.
        function.__annotations__ = {"a": int | None, "b": tuple[str, int], "c": Any, "d": object, "e": "int"}
        found = Describer(static=static).inspect(function)["parameters"]
        assert [one["annotation"] for one in found][:2] == ["int | None", "tuple[str, int]"]
        assert [one["required"] for one in found] == [True, False, False, False, False]
        assert found[4]["default"] == "1024"
        assert found[3]["default"] == ("…" if static else repr(function.__kwdefaults__["d"]))  # type: ignore[index]

    def test_of_a_class_and_of_a_method(self) -> None:
        class Made:
            def __init__(self, size: int) -> None:
                """Make it."""

            def grow(self, by: int = 1) -> None:
                """Make it larger."""

        assert [p["name"] for p in parameters(Made, None) or ()] == ["size"]
        assert [p["name"] for p in parameters(Made(1).grow, None) or ()] == ["by"]
        assert parameters(5, None) is None

    def test_of_what_is_written_in_c(self) -> None:
        found = Describer(budget=Budget()).inspect(sorted)["parameters"]
        assert [(p["name"], p["default"]) for p in found] == [
            ("iterable", None),
            ("key", "None"),
            ("reverse", "False"),
        ]
        assert parameters(sorted, None) is None

    def test_a_default_that_fails(self) -> None:
        class Fails:
            def __repr__(self) -> str:
                raise RuntimeError

        def function(a: Any = Fails()) -> None:  # noqa: B008
            """Has such a default."""

        (found,) = Describer().inspect(function)["parameters"]
        assert (found["name"], found["default"]) == ("a", "…")


class Untouchable:
    """Runs no code of its own unnoticed."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)

    def __getitem__(self, key: Any) -> Any:
        raise AssertionError(key)

    @property
    def prop(self) -> Any:
        raise AssertionError("prop")


class SubDict(dict[Any, Any]):
    """A dict that answers itself."""

    def __getitem__(self, key: Any) -> Any:
        raise AssertionError(key)


class EqualToAll:
    """A key that is equal to any other."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError(other)

    def __hash__(self) -> int:
        return 1


FRAME = pd.DataFrame({"a": [1, 2], ("x", 1): [3, 4]})


@pytest.mark.parametrize(
    ("obj", "step", "expected"),
    [
        (SubDict(a=1), "a", 1),
        (SubDict(a=1), Item("b"), MISSING),
        (collections.OrderedDict([((1, "a"), 5)]), Item((1, "a")), 5),
        (collections.defaultdict(list, {1: 5}), 1, 5),
        ({EqualToAll(): 1, "a": 2}, "a", 2),
        (collections.deque([1, 2]), 1, 2),
        (collections.deque([1, 2]), 2, MISSING),
        (collections.deque([1, 2]), -1, MISSING),
        (Pair(1, 2), Attr("two"), 2),
        (Pair(1, 2), "one", 1),
        (Pair(1, 2), "three", MISSING),
        (np.arange(3), 1, 1),
        (np.arange(3), 9, MISSING),
        (np.zeros(2, dtype=[("f", "i4")])[0:1], Item("f"), 0),
        (pd.Series([5, 6], index=["a", "b"]), Item("b"), 6),
        (pd.Series([5, 6]), 1, 6),
        (pd.Series([5, 6], index=["a", "a"]), Item("a"), MISSING),
        (pd.Index([5, 6]), 1, 6),
        (pl.Series([5, 6]), 1, 6),
        ({1, 2}, 1, MISSING),
        (Untouchable(), "prop", MISSING),
        (Untouchable(), 0, MISSING),
        (Untouchable(), Attr("prop"), MISSING),
    ],
    ids=lambda value: type(value).__name__,
)
def test_paths_without_code(obj: Any, step: Any, expected: Any) -> None:
    found = part_of(obj, step)
    assert found is expected or (expected is not MISSING and found == expected)


def test_columns_without_code() -> None:
    assert part_of(FRAME, Item("a")).tolist() == [1, 2]
    assert part_of(FRAME, Item(("x", 1))).tolist() == [3, 4]
    assert part_of(FRAME, Item("b")) is MISSING
    assert part_of(FRAME, Attr("shape")) is MISSING
    assert part_of(pa.table({"a": [1, 2]}), Item("a")).to_pylist() == [1, 2]
    assert part_of(pl.DataFrame({"a": [1, 2]}), Item("a")).to_list() == [1, 2]
    assert part_of(pl.DataFrame({"a": [1, 2]}), Item("b")) is MISSING


def test_every_listed_part_is_reached() -> None:
    """What an inspection lists is where its key leads."""
    nest = {
        "od": collections.OrderedDict(x=1),
        "pair": Pair([1], 2),
        "frame": FRAME,
        "series": pd.Series([1, 2], index=["p", "q"]),
        "array": np.arange(4).reshape(2, 2),
        "deque": collections.deque(["v"]),
        "table": pa.table({"a": [1]}),
    }
    describer = Describer(static=True)
    for obj in nest.values():
        for child in describer.inspect(obj)["children"]:
            key = child["key"]
            if isinstance(key, dict):
                step = Attr(key["attr"]) if "attr" in key else Item(_decoded(key["item"]))
            else:
                step = key
            part = part_of(obj, step)
            assert type(part).__name__ == child["type"], (obj, key)


def _decoded(data: Any) -> Any:
    return tuple(data["$tuple"]) if isinstance(data, dict) else data


def test_dspy_s_objects_show_their_fields_and_predictors() -> None:
    dspy = pytest.importorskip("dspy")

    class Program(dspy.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.answer = dspy.ChainOfThought("question -> answer")
            self.check = dspy.Predict("answer, context -> verdict")

    found = dspy.Prediction(answer="42", items=[1])
    assert glance(found)["preview"] == "Prediction(answer='42', items=[1])"
    told = Describer(static=True).inspect(found)
    assert [child["label"] for child in told["children"][:2]] == ["answer", "items"]
    assert "_store" not in [child["label"] for child in told["children"]]
    assert part_of(found, Item("items")) == found["items"]
    assert part_of(found, Item("nothing")) is MISSING
    assert glance(dspy.Example(question="why"))["preview"] == "Example(question='why')"
    program = Program()
    assert glance(program)["preview"] == "<Program answer, check>"
    assert glance(program.check)["preview"] == "<Predict answer, context -> verdict>"
    assert glance(program.check.signature)["preview"] == "<class 'dspy.signatures.signature.StringSignature'>"
    assert glance(dspy.LM("openai/demo", api_key="sk-never"))["preview"] == "<LM 'openai/demo'>"
