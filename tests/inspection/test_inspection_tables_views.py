"""Sorted and filtered tables are what pandas makes of them, for every library."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakekernel.inspection import SortKey, View, table_page
from snakekernel.inspection.table_filter import Condition

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
@settings(max_examples=25)
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
@settings(max_examples=25)
@given(rows=ROWS)
def test_filtered_as_pandas_does(library: str, rows: list[tuple[Any, ...]]) -> None:
    given = frame(rows)
    if not rows and library in ("records", "rows"):
        return
    table = LIBRARIES[library](given)
    for name, (condition, expected) in CONDITIONS.items():
        kept = given.index[expected(given).to_numpy(dtype=bool)].tolist()
        assert rows_of(table, View(filter=(condition,))) == kept, name
