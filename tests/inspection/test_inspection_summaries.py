"""Column summaries are what pandas gives, for every library; large tables are sampled and say so."""

from __future__ import annotations

import datetime
import decimal
import math
import time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakekernel.inspection import View, summarize
from snakekernel.inspection.table_query import Condition
from snakekernel.inspection.task import Task
from snakekernel.values import Encoder
from snakekernel.wire.errors import Cancelled, InvalidRequest

FLOATS = st.one_of(st.just(math.nan), st.floats(-1e6, 1e6), st.integers(-5, 5).map(float))
ROWS = st.lists(
    st.tuples(
        st.integers(-100, 100),
        FLOATS,
        st.one_of(st.none(), st.sampled_from(["a", "b", "", "ü", "long text"])),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


def frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = list(zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "i": pd.Series(columns[0], dtype="int64"),
            "f": pd.Series(columns[1], dtype="float64"),
            "s": pd.Series(columns[2], dtype="str"),
            "b": pd.Series(columns[3], dtype="bool"),
        }
    )


LIBRARIES: dict[str, Any] = {
    "pandas": lambda frame: frame,
    "objects": lambda frame: frame.astype(object),
    "nullable": lambda frame: frame.convert_dtypes(),
    "pyarrow": pa.Table.from_pandas,
    "polars": lambda frame: pl.from_arrow(pa.Table.from_pandas(frame)),
    "records": lambda frame: frame.astype(object).to_dict("records"),
    "dict of columns": lambda frame: {name: frame[name].to_numpy() for name in frame},
}


def one(obj: Any, **options: Any) -> dict[str, Any]:
    """The summary of the only column."""
    (summary,) = summarize(obj, **options).summaries
    return summary


def close(one: float | None, other: float) -> bool:
    return math.isnan(other) if one is None else one == pytest.approx(other, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("library", LIBRARIES)
@settings(max_examples=25, deadline=None)
@given(rows=ROWS)
def test_numbers_are_those_of_pandas(library: str, rows: list[tuple[Any, ...]]) -> None:
    given = frame(rows)
    found = summarize(LIBRARIES[library](given), bins=5)
    assert (found.total_rows, found.matched_rows, found.total_columns) == (len(rows), len(rows), 4)
    assert found.sampled is None
    for position, name in enumerate(given):
        column, summary = given[name], found.summaries[position]
        assert (summary["position"], summary["name"], summary["error"]) == (position, name, None)
        assert (summary["count"], summary["missing"]) == (column.count(), column.isna().sum())
        assert summary["distinct"] == column.nunique()
        counted = column.value_counts()
        assert [count for _, count in summary["top"]] in (counted.tolist()[:10], [])
        if name in "if" and column.count():
            assert (summary["min"], summary["max"]) == (column.min(), column.max())
            assert close(summary["mean"], column.mean())
            assert close(summary["std"], column.std())
            for q, value in summary["quantiles"].items():
                assert close(value, column.quantile(float(q)))
            counts, edges = np.histogram(column.dropna(), 5)
            assert sum(summary["histogram"]["counts"]) == counts.sum()
            assert summary["histogram"]["edges"] == pytest.approx(edges.tolist())
        if name == "b":
            assert (summary["true"], summary["false"]) == (column.sum(), (~column).sum())
        if name == "s":
            assert dict(summary["top"]) == counted.to_dict()
            assert summary["histogram"] is summary["min"] is None


def test_the_histogram_is_numpys() -> None:
    values = np.random.default_rng(1).normal(size=1_000)
    counts, edges = np.histogram(values, 20)
    expected = {"edges": edges.tolist(), "counts": counts.tolist()}
    assert one(values)["histogram"] == expected
    assert one({"a": values.tolist()})["histogram"]["counts"] == pytest.approx(counts.tolist(), abs=1)


def test_infinities_and_constants() -> None:
    infinite = one(np.array([1.0, 2.0, math.inf]))
    assert (infinite["max"], infinite["mean"]) == (math.inf, math.inf)
    assert sum(infinite["histogram"]["counts"]) == 2
    constant = one(np.full(3, 7))
    assert (constant["min"], constant["max"], constant["std"]) == (7, 7, 0.0)
    assert sum(constant["histogram"]["counts"]) == 3
    huge = one(np.array([2**63 - 1, 2**63 - 3]))
    assert (huge["min"], huge["max"], huge["distinct"]) == (2**63 - 3, 2**63 - 1, 2)
    assert one(np.array([np.nan]))["histogram"] is None
    assert one(np.array([], dtype=float))["mean"] is None
    assert one(np.array([np.finfo(float).max, np.finfo(float).min]))["count"] == 2
    lists = one({"a": [1.0, math.inf, -math.inf]})
    assert math.isnan(lists["mean"])
    assert one({"a": [2**80, 1]})["max"] == 2**80


MOMENTS = pd.to_datetime(["2024-01-01", "2024-01-03", None, "2024-01-02"])


@pytest.mark.parametrize(
    "obj",
    [
        pd.Series(MOMENTS),
        MOMENTS,
        pd.DataFrame({"t": MOMENTS}),
        pd.DataFrame({"t": MOMENTS.as_unit("s")}),
    ],
    ids=["series", "index", "frame", "seconds"],
)
def test_times(obj: Any) -> None:
    summary = one(obj, bins=2)
    assert (summary["kind"], summary["count"], summary["missing"]) == ("datetime", 3, 1)
    assert summary["min"] == "2024-01-01 00:00:00"
    assert summary["max"] == "2024-01-03 00:00:00"
    assert summary["mean"] == summary["quantiles"]["0.5"] == "2024-01-02 00:00:00"
    assert summary["std"] is None
    assert summary["histogram"] == {
        "edges": ["2024-01-01 00:00:00", "2024-01-02 00:00:00", "2024-01-03 00:00:00"],
        "counts": [1, 2],
    }


def test_times_of_arrow_polars_and_numpy() -> None:
    plain = MOMENTS.to_numpy()
    arrow = one(pa.table({"t": plain}), bins=2)
    assert arrow["min"] in (datetime.datetime(2024, 1, 1), "2024-01-01 00:00:00")
    polars = one(pl.DataFrame({"t": plain}), bins=2)
    assert (polars["max"], polars["histogram"]["counts"]) == (datetime.datetime(2024, 1, 3), [1, 2])
    assert one(plain)["min"].startswith("2024-01-01T00:00")
    zoned = one(pd.Series(MOMENTS.tz_localize("UTC").tz_convert("Asia/Tokyo")))
    assert zoned["min"] == "2024-01-01 09:00:00+09:00"
    days = one(pa.array([datetime.date(2024, 1, 1), datetime.date(2024, 1, 3)]))
    assert (days["min"], days["mean"]) == (datetime.date(2024, 1, 1), datetime.date(2024, 1, 2))


def test_durations() -> None:
    summary = one(pd.Series(pd.to_timedelta(["1s", "3s", None])))
    assert (summary["kind"], summary["min"], summary["mean"]) == (
        "duration",
        "0 days 00:00:01",
        "0 days 00:00:02",
    )
    assert summary["std"].startswith("0 days 00:00:01.41421")


@pytest.mark.parametrize(
    "obj",
    [
        pd.Series(["b", "a", "b", None], dtype=pd.CategoricalDtype(["b", "a", "unused"])),
        pa.array(["b", "a", "b", None]).dictionary_encode(),
        pl.Series(["b", "a", "b", None], dtype=pl.Categorical),
        pl.Series(["b", "a", "b", None], dtype=pl.Enum(["a", "b", "unused"])),
    ],
    ids=["pandas", "pyarrow", "polars", "enum"],
)
def test_categories(obj: Any) -> None:
    summary = one(obj)
    assert (summary["kind"], summary["count"], summary["missing"]) == ("category", 3, 1)
    assert (summary["distinct"], summary["top"]) == (2, [["b", 2], ["a", 1]])


def test_values_that_are_no_numbers() -> None:
    class Mine:
        def __repr__(self) -> str:
            return "mine"

    objects = one({"a": [Mine(), Mine(), None]})
    assert (objects["kind"], objects["count"], objects["missing"]) == ("other", 2, 1)
    assert (objects["distinct"], objects["top"], objects["error"]) == (None, [], None)
    mixed = one({"a": [1, True, "1", 1.0]})
    assert (mixed["kind"], mixed["distinct"]) == ("other", 4)
    decimals = one({"a": [decimal.Decimal("1.5"), decimal.Decimal("2.5")]})
    assert (decimals["min"], decimals["mean"]) == (decimal.Decimal("1.5"), 2.0)
    dates = one({"a": [datetime.date(2024, 1, 1)] * 2})
    assert (dates["kind"], dates["top"]) == ("datetime", [["2024-01-01", 2]])
    assert one({"a": [1 + 2j, 1 + 2j]})["kind"] == "other"


def test_only_matching_rows_are_summed_up() -> None:
    table = pd.DataFrame({"a": range(10), "b": list("xyxyxyxyxy")})
    view = View(filter=(Condition(1, "eq", "x"),))
    found = summarize(table, (0, 1), view=view)
    assert (found.matched_rows, found.total_rows) == (5, 10)
    assert (found.summaries[0]["count"], found.summaries[0]["max"]) == (5, 8)
    assert [s["count"] for s in summarize(table, view=View(search="Y")).summaries] == [5, 5]


def test_columns_and_their_caps() -> None:
    wide = pd.DataFrame(np.zeros((3, 700)))
    assert [s["position"] for s in summarize(wide, (2, 4)).summaries] == [2, 3]
    assert len(summarize(wide).summaries) == 50
    capped = summarize(wide, (0, 700), seconds=60)
    assert (len(capped.summaries), capped.truncated) == (500, True)
    assert summarize(wide, (800, 900)).summaries == []
    with pytest.raises(InvalidRequest) as caught:
        summarize(wide, (3, 1))
    assert caught.value.at == "$.columns"


def test_a_large_table_is_sampled_and_says_so() -> None:
    values = np.arange(20_000_000, dtype=np.int16)
    found = summarize(values, seconds=2)
    assert found.sampled is not None
    assert found.sampled["of"] == found.matched_rows == 20_000_000
    assert 0 < found.sampled["rows"] == found.summaries[0]["count"] < 20_000_000
    assert found.summaries[0]["mean"] == pytest.approx(values.mean(), abs=100)


def test_a_column_that_takes_too_long_says_so() -> None:
    class Slow(dict[str, int]):
        pass

    class Sleeps:
        def __repr__(self) -> str:
            time.sleep(30)
            return ""

    class Raises(pd.api.extensions.ExtensionArray):
        pass

    started = time.monotonic()
    found = summarize({"a": [Sleeps()] * 3, "b": [1, 2, 3]}, seconds=0.5)
    assert time.monotonic() - started < 10
    assert [s["error"] for s in found.summaries] == [None, None]  # no repr is needed to sum up


def test_a_cancelled_task_ends() -> None:
    task = Task()
    task.cancel()
    with pytest.raises(Cancelled):
        summarize(np.arange(3), task=task)


def test_summaries_travel() -> None:
    found = summarize(
        {"a": [math.inf, math.nan, 1.0], "t": [datetime.datetime(2024, 1, 1)] * 3, "s": ["x" * 5_000] * 3}
    )
    encoder = Encoder()
    encoder.encode(found.summaries)
    assert encoder.buffers == []
    assert found.truncated
    assert len(found.summaries[2]["top"][0][0]) == 200
