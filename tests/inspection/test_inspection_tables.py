"""Pages of table-like objects: right cells, right bounds, and only the page is read."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from snakekernel.inspection import TableLimits, TablePage, table_page
from snakekernel.values import Decoder, Encoder
from snakekernel.wire.errors import InvalidRequest, Unresolvable

FRAME = pd.DataFrame(
    {
        "n": [1, 2, 3],
        "x": [1.5, float("nan"), 2.0],
        "s": ["a", None, "c"],
        "t": pd.to_datetime(["2024-01-01", None, "2024-01-02"]),
        5: [True, False, True],
    },
    index=["p", "q", "r"],
)


def encodable(page: TablePage) -> None:
    """Whatever is in a page travels without loss and without buffers."""
    for part in (page.columns, page.index, page.data):
        encoder = Encoder()
        data = encoder.encode(part)
        assert encoder.buffers == []
        Decoder().decode(data)


TABLES: dict[str, tuple[Any, list[Any], list[list[Any]]]] = {
    "series": (pd.Series([1, 2], name="s", index=["a", "b"]), ["s"], [[1, 2]]),
    "unnamed series": (pd.Series([1, 2]), [0], [[1, 2]]),
    "index": (pd.Index(["a", "b"]), [0], [["a", "b"]]),
    "multi-index": (
        pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["k", None]),
        ["k", 1],
        [[1, 2], ["a", "b"]],
    ),
    "nullable": (pd.DataFrame({"a": [1, None]}).convert_dtypes(), ["a"], [[1, None]]),
    "category": (pd.Series(["a", None], dtype="category"), [0], [["a", None]]),
    "array": (np.arange(3), [0], [[0, 1, 2]]),
    "matrix": (np.arange(6).reshape(2, 3), [0, 1, 2], [[0, 3], [1, 4], [2, 5]]),
    "fortran": (np.asfortranarray(np.arange(4).reshape(2, 2)), [0, 1], [[0, 2], [1, 3]]),
    "structured": (
        np.array([(1, 2.5)], dtype=[("a", "<i4"), ("b", "<f8")]),
        ["a", "b"],
        [[1], [2.5]],
    ),
    "datetimes": (np.array(["2024-01-01"], dtype="M8[ns]"), [0], [["2024-01-01T00:00:00.000000000"]]),
    "arrow table": (pa.table({"a": [1, None], "b": ["x", "y"]}), ["a", "b"], [[1, None], ["x", "y"]]),
    "record batch": (pa.record_batch({"a": [1]}), ["a"], [[1]]),
    "arrow array": (pa.array([1, 2]), ["0"], [[1, 2]]),
    "chunked": (pa.chunked_array([[1], [2]]), ["0"], [[1, 2]]),
    "records": ([{"a": 1}, {"b": "x", "a": 2}], ["a", "b"], [[1, 2], [None, "x"]]),
    "rows": ([[1, 2], (3,)], [0, 1], [[1, 3], [2, None]]),
    "columns": ({"a": [1, 2], "b": np.array([1.5, 2])}, ["a", "b"], [[1, 2], [1.5, 2.0]]),
    "nothing": ([], [], []),
    "values": (
        [[decimal.Decimal("1.5"), datetime.date(2024, 1, 1), 2**70]],
        [0, 1, 2],
        [[decimal.Decimal("1.5")], [datetime.date(2024, 1, 1)], [2**70]],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_kind_of_table(name: str) -> None:
    obj, columns, data = TABLES[name]
    page = table_page(obj)
    assert [column["name"] for column in page.columns] == columns
    assert page.data == data
    assert (page.total_columns, page.columns_range) == (len(columns), [0, len(columns)])
    assert page.rows == [0, page.total_rows]
    assert len(page.index) == page.total_rows
    assert not page.truncated
    encodable(page)
    block = table_page(obj, format="arrow")
    assert block.arrow.column_names == [str(column) for column in columns]
    assert block.arrow.num_columns == len(columns)
    assert block.data == []


def test_a_frame_with_missing_values_and_labels() -> None:
    page = table_page(FRAME)
    assert page.columns == [
        {"name": "n", "dtype": "int64", "kind": "integer", "position": 0},
        {"name": "x", "dtype": "float64", "kind": "number", "position": 1},
        {"name": "s", "dtype": str(FRAME["s"].dtype), "kind": "text", "position": 2},
        {"name": "t", "dtype": str(FRAME["t"].dtype), "kind": "datetime", "position": 3},
        {"name": 5, "dtype": "bool", "kind": "boolean", "position": 4},
    ]
    assert page.index == ["p", "q", "r"]
    assert page.data[0] == [1, 2, 3]
    assert np.isnan(page.data[1][1])
    assert page.data[2:] == [
        ["a", None, "c"],
        ["2024-01-01 00:00:00", None, "2024-01-02 00:00:00"],
        [True, False, True],
    ]
    encodable(page)
    table = table_page(FRAME, (0, 2), (0, 2), format="arrow").arrow
    assert table.to_pydict() == {"n": [1, 2], "x": [1.5, None]}


def test_ranges_are_clipped_to_the_table() -> None:
    page = table_page(FRAME, (1, 100), (3, 100))
    assert (page.rows, page.columns_range) == ([1, 3], [3, 5])
    assert page.index == ["q", "r"]
    assert [c["name"] for c in page.columns] == ["t", 5]
    assert not page.truncated
    beyond = table_page(FRAME, (50, 60))
    assert (beyond.rows, beyond.index, beyond.data[0]) == ([3, 3], [], [])


def test_the_default_page_and_the_caps() -> None:
    wide = pd.DataFrame(np.zeros((5_000, 80)))
    page = table_page(wide)
    assert (page.rows, page.columns_range, page.truncated) == ([0, 100], [0, 50], False)
    assert (page.total_rows, page.total_columns) == (5_000, 80)
    limits = TableLimits(most_rows=10, most_columns=20)
    capped = table_page(wide, (100, 4_000), (0, 80), limits=limits)
    assert (capped.rows, capped.columns_range, capped.truncated) == ([100, 110], [0, 20], True)
    cells = table_page(wide, (0, 5_000), (0, 80), limits=TableLimits(most_cells=800))
    assert (cells.rows, cells.truncated) == ([0, 10], True)


def test_only_the_page_is_read() -> None:
    class Watched:
        read = 0

        def __repr__(self) -> str:
            Watched.read += 1
            return "watched"

    rows = [[Watched()] for _ in range(100_000)]
    page = table_page(rows, (50_000, 50_003))
    assert page.data == [["watched"] * 3]
    assert page.truncated
    assert Watched.read == 3


def test_cells_are_bounded() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise SystemExit(3)

    page = table_page([["x" * 10_000, Hostile(), {"a": [1]}, 10**5_000, b"bytes"]])
    text, hostile, nested, huge, raw = (column[0] for column in page.data)
    assert len(text) == TableLimits().text
    assert hostile == "<Hostile object; its repr raised SystemExit>"
    assert nested == "{'a': [1]}"
    assert huge == "<int of 16610 bits>"
    assert raw == "b'bytes'"
    assert page.truncated
    encodable(page)
    assert table_page([[Hostile()], [1]], format="arrow").arrow.to_pydict() == {"0": [hostile, "1"]}


@pytest.mark.parametrize(
    "obj",
    [
        3,
        "text",
        None,
        iter([]),
        np.zeros((2, 2, 2)),
        np.array(3.0),
        np.float64(1),
        [1, 2],
        [{"a": 1}, 3],
        {"a": [1], "b": [1, 2]},
        {"a": 1},
        object(),
    ],
    ids=lambda obj: type(obj).__name__,
)
def test_what_is_no_table_is_refused_clearly(obj: Any) -> None:
    with pytest.raises(InvalidRequest, match="the target is no table but") as caught:
        table_page(obj)
    assert caught.value.at == "$.target"


def test_a_mixed_list_is_refused_on_the_page_that_shows_it() -> None:
    rows: list[Any] = [[1]] * 2_000 + [3]
    assert table_page(rows).total_rows == 2_001
    with pytest.raises(InvalidRequest, match="not all lists"):
        table_page(rows, (1_999, 2_001))


@pytest.mark.parametrize("bad", [(-1, 3), (3, 1)])
def test_a_malformed_range_is_refused(bad: tuple[int, int]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        table_page(FRAME, bad)
    assert caught.value.at == "$.rows"
    with pytest.raises(InvalidRequest) as caught:
        table_page(FRAME, None, bad)
    assert caught.value.at == "$.columns"
    with pytest.raises(InvalidRequest):
        table_page(FRAME, format="csv")  # type: ignore[arg-type]


def test_a_frame_that_raises_is_reported() -> None:
    class Broken(pd.DataFrame):
        @property
        def shape(self) -> tuple[int, int]:
            raise RuntimeError("broken")

    with pytest.raises(Unresolvable, match="RuntimeError: broken"):
        table_page(Broken({"a": [1]}))


def test_polars() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, None], "b": ["x", "y"]})
    page = table_page(frame, (1, 2))
    assert (page.columns[0], page.data) == (
        {"name": "a", "dtype": "Int64", "kind": "integer", "position": 0},
        [[None], ["y"]],
    )
    assert table_page(frame, format="arrow").arrow.to_pydict() == {"a": [1, None], "b": ["x", "y"]}
    assert table_page(frame["a"]).data == [[1, None]]
