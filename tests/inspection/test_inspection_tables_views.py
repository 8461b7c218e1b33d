"""Sorted and filtered tables are what pandas makes of them, for every library."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakekernel.inspection import SortKey, View, table_page
from snakekernel.inspection.table_query import Condition
from snakekernel.wire.errors import InvalidRequest

INTEGERS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, math.inf, -math.inf, math.nan]), st.floats(allow_nan=False)
)
TEXTS = st.one_of(st.sampled_from(["", "a", "A", "ab", "b", "é", "zz", "10", "9"]), st.text(max_size=4))
TIMES = st.datetimes(datetime.datetime(1980, 1, 1), datetime.datetime(2060, 1, 1))
ROWS = st.lists(
    st.tuples(
        INTEGERS,
        FLOATS,
        st.one_of(st.none(), TEXTS.filter(lambda text: text.isprintable())),
        st.one_of(st.none(), TIMES),
        st.booleans(),
        st.one_of(st.none(), st.integers(0, 3)),
    ),
    max_size=12,
)
KEYS = st.lists(st.builds(SortKey, st.integers(0, 5), st.booleans()), min_size=1, max_size=3)


def frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Columns of integers, floats, texts, times, booleans and nullable integers."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    return pd.DataFrame(
        {
            "i": pd.Series(columns[0], dtype="int64"),
            "f": pd.Series(columns[1], dtype="float64"),
            "s": pd.Series(columns[2], dtype="str"),
            "t": pd.Series(columns[3], dtype="datetime64[us]"),
            "b": pd.Series(columns[4], dtype="bool"),
            "n": pd.Series(columns[5], dtype="Int64"),
        }
    )


#: The same cells as each library keeps them.
LIBRARIES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "objects": lambda frame: frame.astype(object),
    "arrow types": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "pyarrow": pa.Table.from_pandas,
    "polars": lambda frame: pl.from_arrow(pa.Table.from_pandas(frame)),
    "dict of columns": lambda frame: {name: frame[name] for name in frame},
    "dict of lists": lambda frame: {name: frame[name].astype(object).tolist() for name in frame},
    "records": lambda frame: frame.astype(object).to_dict("records"),
    "rows": lambda frame: frame.astype(object).to_numpy().tolist(),
}


def rows_of(obj: Any, view: View) -> list[int]:
    return table_page(obj, (0, 100), view=view).row_numbers


@pytest.mark.parametrize("library", LIBRARIES)
@settings(max_examples=25, deadline=None)
@given(rows=ROWS, keys=KEYS)
def test_sorted_as_pandas_does(library: str, rows: list[tuple[Any, ...]], keys: list[SortKey]) -> None:
    given = frame(rows)
    sorted_ = given.sort_values(
        [given.columns[key.column] for key in keys],
        ascending=[not key.descending for key in keys],
        kind="stable",
    )
    table = LIBRARIES[library](given)
    if not rows and library in ("records", "rows"):
        return  # an empty list has no columns
    assert rows_of(table, View(tuple(keys))) == sorted_.index.tolist()


CONDITIONS: dict[str, tuple[Condition, Callable[[pd.DataFrame], Any]]] = {
    "i == 1": (Condition(0, "eq", 1), lambda d: d.i == 1),
    "i != 1": (Condition(0, "ne", 1), lambda d: d.i != 1),
    "i < 2**62": (Condition(0, "lt", 2**62), lambda d: d.i < 2**62),
    "i <= 2**70": (Condition(0, "le", 2**70), lambda d: d.i <= 2**70),
    "i > 0.5": (Condition(0, "gt", 0.5), lambda d: d.i > 0.5),
    "i in": (Condition(0, "in", (1, 2, -3)), lambda d: d.i.isin([1, 2, -3])),
    "f == 0": (Condition(1, "eq", 0), lambda d: d.f == 0),
    "f != 1.5": (Condition(1, "ne", 1.5), lambda d: d.f != 1.5),
    "f >= 1": (Condition(1, "ge", 1), lambda d: d.f >= 1),
    "f < inf": (Condition(1, "lt", math.inf), lambda d: d.f < math.inf),
    "f between": (Condition(1, "between", (0, 1.5)), lambda d: d.f.between(0, 1.5)),
    "f missing": (Condition(1, "missing"), lambda d: d.f.isna()),
    "f present": (Condition(1, "present"), lambda d: d.f.notna()),
    "s == a": (Condition(2, "eq", "a"), lambda d: d.s == "a"),
    "s != a": (Condition(2, "ne", "a"), lambda d: d.s != "a"),
    "s < b": (Condition(2, "lt", "b"), lambda d: (d.s < "b").fillna(False)),
    "s contains A": (
        Condition(2, "contains", "A", True),
        lambda d: d.s.str.contains("A", regex=False, na=False),
    ),
    "s starts a": (Condition(2, "starts", "a", True), lambda d: d.s.str.startswith("a", na=False)),
    "s ends b": (Condition(2, "ends", "b", True), lambda d: d.s.str.endswith("b", na=False)),
    "s regex": (Condition(2, "regex", "^[ab]b?$", True), lambda d: d.s.str.contains("^[ab]b?$", na=False)),
    "s in": (Condition(2, "in", ("a", "zz")), lambda d: d.s.isin(["a", "zz"])),
    "s missing": (Condition(2, "missing"), lambda d: d.s.isna()),
    "t >=": (
        Condition(3, "ge", datetime.datetime(2020, 1, 1)),
        lambda d: d.t >= datetime.datetime(2020, 1, 1),
    ),
    "t < text": (Condition(3, "lt", "2000-02-29T12:00"), lambda d: d.t < "2000-02-29T12:00"),
    "t between": (
        Condition(3, "between", ("1990-01-01", None)),
        lambda d: d.t >= datetime.datetime(1990, 1, 1),
    ),
    "b": (Condition(4, "eq", True), lambda d: d.b),
    "n == 2": (Condition(5, "eq", 2), lambda d: (d.n == 2).fillna(False)),
    "n missing": (Condition(5, "missing"), lambda d: d.n.isna()),
    "n in with none": (Condition(5, "in", (1, None)), lambda d: d.n.isin([1]) | d.n.isna()),
}


@pytest.mark.parametrize("library", LIBRARIES)
@settings(max_examples=25, deadline=None)
@given(rows=ROWS)
def test_filtered_as_pandas_does(library: str, rows: list[tuple[Any, ...]]) -> None:
    given = frame(rows)
    if not rows and library in ("records", "rows"):
        return
    table = LIBRARIES[library](given)
    for name, (condition, expected) in CONDITIONS.items():
        kept = given.index[expected(given).to_numpy(dtype=bool)].tolist()
        assert rows_of(table, View(filter=(condition,))) == kept, name


def test_a_page_of_a_view() -> None:
    table = pd.DataFrame({"a": [3, 1, 2, 1], "b": list("wxyz")}, index=[10, 11, 12, 13])
    view = View((SortKey(0),), (Condition(1, "ne", "w"),))
    page = table_page(table, (1, 3), (1, 2), view=view)
    assert (page.data, page.index, page.row_numbers) == ([["z", "y"]], [13, 12], [3, 2])
    assert (page.rows, page.total_rows, page.matched_rows, page.sampled) == ([1, 3], 4, 3, None)
    block = table_page(table, view=view, format="arrow")
    assert block.arrow.to_pydict() == {"a": [1, 1, 2], "b": ["x", "z", "y"]}
    plain = table_page(table, (1, 3))
    assert (plain.row_numbers, plain.matched_rows) == ([1, 2], 4)
    nothing = table_page(table, view=View(search="no such text"))
    assert (nothing.matched_rows, nothing.data, nothing.row_numbers) == (0, [[], []], [])


@pytest.mark.parametrize(
    "obj",
    [
        pd.Series([2, 1, 3]),
        pd.Index([2, 1, 3]),
        pd.MultiIndex.from_arrays([[2, 1, 3], list("abc")]),
        np.array([2, 1, 3]),
        np.array([[2, 0], [1, 0], [3, 0]]),
        np.array([(2, "a"), (1, "b"), (3, "c")], dtype=[("n", int), ("s", "U1")]),
        np.array([2, 1, 3], dtype="M8[D]"),
        np.array([2, 1, 3], dtype="m8[W]"),
        np.array([2, 1, 3], dtype="M8[M]"),
        np.array([2, 1, 3], dtype=np.float16),
        np.array([2, 1, 3], dtype=object),
        np.array(["2", "1", "3"]),
        pd.Series(pd.PeriodIndex(["2002", "2001", "2003"], freq="Y")),
        pd.Series([2, 1, 3], dtype=pd.SparseDtype("int64")),
        pd.Series(pd.to_datetime([2, 1, 3]).tz_localize("Asia/Tokyo")),
        pd.Series(["2", "1", "3"], dtype=pd.StringDtype("python")),
        pd.Series(["2", "1", "3"], dtype="category"),
        pd.Series([2, 1, 3], dtype="Float64"),
        pd.Series([2, 1, 3], dtype=pd.ArrowDtype(pa.decimal128(5))),
        pa.record_batch({"a": [2, 1, 3]}),
        pa.chunked_array([[2], [1, 3]]),
        pa.chunked_array([["2"], ["1", "3"]]),
        pa.array(["2", "1", "3"], pa.string_view()),
        pa.array([2, 1, 3], pa.date32()),
        pa.array([2, 1, 3], pa.timestamp("s", "+02:00")),
        pa.array(["2", "1", "3"]).dictionary_encode(),
        pa.chunked_array([pa.array(["2"]).dictionary_encode(), pa.array(["1", "3"]).dictionary_encode()]),
        pa.array([2, 1, 3]).cast(pa.decimal128(20)),
        pl.Series([2, 1, 3]),
        pl.Series(["2", "1", "3"]),
        pl.Series(["2", "1", "3"], dtype=pl.Categorical),
        pl.Series([2, 1, 3]).cast(pl.Date),
        pl.Series([2, 1, 3]).cast(pl.Datetime("ms", "Asia/Tokyo")),
        pl.Series([2, 1, 3]).cast(pl.Duration),
        pl.Series([2, 1, 3]).cast(pl.Decimal(10, 2)),
        [[2], [1], [3]],
        ({"a": 2}, {"a": 1}, {"a": 3}),
        {"a": (datetime.timedelta(2), datetime.timedelta(1), datetime.timedelta(3))},
        {"a": [datetime.date(2024, 1, 2), datetime.date(2024, 1, 1), datetime.date(2024, 1, 3)]},
    ],
    ids=lambda obj: f"{type(obj).__module__.partition('.')[0]}.{type(obj).__name__}",
)
def test_every_kind_of_table_is_sorted_and_searched(obj: Any) -> None:
    assert rows_of(obj, View((SortKey(0),))) == [1, 0, 2]
    assert rows_of(obj, View((SortKey(0, True),))) == [2, 0, 1]
    assert rows_of(obj, View(filter=(Condition(0, "missing"),))) == []
    assert rows_of(obj, View((SortKey(0, True),), (Condition(0, "present"),))) == [2, 0, 1]
    for row in range(3):
        cell = table_page(obj, (row, row + 1)).data[0][0]
        text = str(cell)
        assert row in rows_of(obj, View(filter=(Condition(0, "contains", text.upper()),)))
        assert row in rows_of(obj, View(search=text))
    assert rows_of(obj, View(search="nowhere")) == []


TIMES_OF = {
    "pandas": pd.Series(
        pd.to_datetime(["2024-01-01 12:00", None, "2024-01-02 00:00:00.5"], format="ISO8601")
    ),
    "numpy": np.array(["2024-01-01T12:00", "NaT", "2024-01-02T00:00:00.5"], dtype="M8[ms]"),
    "polars": pl.Series(
        [datetime.datetime(2024, 1, 1, 12), None, datetime.datetime(2024, 1, 2, 0, 0, 0, 500_000)]
    ),
    "list": {"t": [datetime.datetime(2024, 1, 1, 12), None, datetime.datetime(2024, 1, 2, 0, 0, 0, 500_000)]},
}


@pytest.mark.parametrize("library", TIMES_OF)
@pytest.mark.parametrize(
    ("op", "value", "rows"),
    [
        ("eq", "2024-01-01T12:00", [0]),
        ("eq", datetime.datetime(2024, 1, 1, 12), [0]),
        ("eq", "2024-01-01 12:00:00.000000001", []),
        ("gt", "2024-01-01 12:00:00.000000001", [2]),
        ("ge", "2024-01-01 12:00:00.000000001", [2]),
        ("le", "2024-01-01 12:00:00.000000001", [0]),
        ("lt", datetime.date(2024, 1, 2), [0]),
        ("lt", datetime.date(3024, 1, 2), [0, 2]),
        ("ne", "2024-01-01T12:00", [1, 2]),
        ("between", ("2024-01-01", "2024-01-02"), [0]),
    ],
)
def test_times_compare_exactly(library: str, op: Any, value: Any, rows: list[int]) -> None:
    if library == "list" and type(value) is str and value.endswith("1"):
        return  # a datetime has no nanoseconds
    assert rows_of(TIMES_OF[library], View(filter=(Condition(0, op, value),))) == rows


def test_times_with_a_zone() -> None:
    times = pd.Series(pd.to_datetime(["2024-01-01 12:00", "2024-07-01 12:00"]).tz_localize("Europe/Berlin"))
    for table in (times, pa.table({"t": times}), pl.from_arrow(pa.table({"t": times}))):
        for value in ("2024-07-01T12:00", "2024-07-01T10:00Z", "2024-07-01T12:00+02:00"):
            assert rows_of(table, View(filter=(Condition(0, "eq", value),))) == [1]
    with pytest.raises(InvalidRequest, match="without a zone") as caught:
        rows_of(TIMES_OF["pandas"], View(filter=(Condition(0, "eq", "2024-07-01T10:00Z"),)))
    assert caught.value.at == "$.filter[0].value"


def test_durations_compare_with_seconds() -> None:
    spans = [datetime.timedelta(seconds=1), None, datetime.timedelta(seconds=2.5)]
    for table in (pd.Series(spans), pa.array(spans), pl.Series(spans), {"d": spans}):
        assert rows_of(table, View(filter=(Condition(0, "gt", 1.5),))) == [2]
        assert rows_of(table, View(filter=(Condition(0, "eq", datetime.timedelta(seconds=1)),))) == [0]


def test_ordered_categories_compare_by_their_order() -> None:
    sizes = pd.CategoricalDtype(["small", "large", "huge"], ordered=True)
    table = pd.Series(["large", "small", None, "huge"], dtype=sizes)
    assert rows_of(table, View(filter=(Condition(0, "ge", "large"),))) == [0, 3]
    assert rows_of(table, View(filter=(Condition(0, "in", ("small", None)),))) == [1, 2]
    assert rows_of(table, View((SortKey(0, True),))) == [3, 0, 1, 2]
    with pytest.raises(InvalidRequest, match="one of them"):
        rows_of(table, View(filter=(Condition(0, "lt", "tiny"),)))
    assert rows_of(table.cat.as_unordered(), View(filter=(Condition(0, "lt", "large"),))) == [3]


TEXTS_OF = {
    "pandas": pd.Series(["Éa", "b.c", None, "ÉA"]),
    "objects": pd.Series(["Éa", "b.c", None, "ÉA"], dtype=object),
    "pyarrow": pa.array(["Éa", "b.c", None, "ÉA"]),
    "polars": pl.Series(["Éa", "b.c", None, "ÉA"]),
    "category": pd.Series(["Éa", "b.c", None, "ÉA"], dtype="category"),
}


@pytest.mark.parametrize("library", TEXTS_OF)
@pytest.mark.parametrize(
    ("op", "value", "case", "rows"),
    [
        ("contains", "éa", False, [0, 3]),
        ("contains", "Éa", True, [0]),
        ("contains", ".", False, [1]),
        ("contains", "", False, [0, 1, 3]),
        ("starts", "é", False, [0, 3]),
        ("ends", "A", True, [3]),
        ("ends", "A", False, [0, 3]),
        ("regex", "^.a$", False, [0, 3]),
        ("regex", "^.a$", True, [0]),
        ("regex", "", False, [0, 1, 3]),
        ("in", ("b.c", "x"), False, [1]),
        ("in", (), False, []),
    ],
)
def test_texts(library: str, op: Any, value: Any, case: bool, rows: list[int]) -> None:
    assert rows_of(TEXTS_OF[library], View(filter=(Condition(0, op, value, case),))) == rows


@pytest.mark.parametrize("library", TEXTS_OF)
def test_a_malformed_regular_expression_says_so(library: str) -> None:
    with pytest.raises(InvalidRequest, match="malformed") as caught:
        rows_of(TEXTS_OF[library], View(filter=(Condition(0, "regex", "("),)))
    assert caught.value.at == "$.filter[0].value"


def test_a_regular_expression_takes_linear_time() -> None:
    table = pd.Series(["a" * 60 + "!"] * 3, dtype=object)
    assert rows_of(table, View(filter=(Condition(0, "regex", "^(a+)+$"),))) == []


def test_search_finds_what_a_page_shows() -> None:
    table = pd.DataFrame(
        {
            "n": [2013, 5, 7],
            "x": [1.5, math.nan, -0.25],
            "t": pd.to_datetime(["2024-01-01", "2024-05-06", None]),
            "b": [True, False, True],
            "o": [[1, 2], {"k": "Deep"}, None],
        }
    )
    for text, rows in {
        "201": [0],
        "-0.25": [2],
        "-05-": [1],
        "fals": [1],
        "DEEP": [1],
        "[1, 2]": [0],
        "nan": [],
        "nat": [],
        "none": [],
        "5": [0, 1, 2],
    }.items():
        assert rows_of(table, View(search=text)) == rows, text


@pytest.mark.parametrize(
    ("view", "at"),
    [
        (View((SortKey(1),)), "$.sort[0].column"),
        (View((SortKey(0), SortKey(-1))), "$.sort[1].column"),
        (View(filter=(Condition(5, "missing"),)), "$.filter[0].column"),
        (View(filter=(Condition(0, "eq", "x"),)), "$.filter[0].value"),
        (View(filter=(Condition(0, "missing"), Condition(0, "lt", True))), "$.filter[1].value"),
        (View(filter=(Condition(0, "in", ("x",)),)), "$.filter[0].value"),
    ],
)
def test_what_does_not_fit_the_table_is_refused_with_its_path(view: View, at: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        table_page(pd.DataFrame({"a": [1, 2]}), view=view)
    assert caught.value.at == at


def test_cells_without_an_order_say_so() -> None:
    with pytest.raises(InvalidRequest, match=r"cannot be sorted: .*TypeError") as caught:
        table_page([[1], ["a"]], view=View((SortKey(0),)))
    assert caught.value.at == "$.sort[0].column"
    assert rows_of([[1], ["a"]], View(filter=(Condition(0, "eq", "a"),))) == [1]
    with pytest.raises(InvalidRequest, match="cannot be compared"):
        rows_of([[1], ["a"]], View(filter=(Condition(0, "lt", "b"),)))
