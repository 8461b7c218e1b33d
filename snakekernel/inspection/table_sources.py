"""The table-like objects: what each is made of, and how a page of it is cut out.

Rules: a source knows its totals without reading cells; a page is cut out with the library's own slicing,
never from a copy of the whole; ``column`` gives a whole column for sorting, filtering and summing up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from snakekernel.inspection import column_makers, facts, genuine, kinds
from snakekernel.inspection.column import Column
from snakekernel.inspection.column_makers import pandas_cells, python_cells
from snakekernel.inspection.kinds import LOOKED_AT, Kind
from snakekernel.inspection.table_records import (
    SEARCHED,
    Columns,
    Range,
    Records,
    RowLists,
    Rows,
    numbered,
    refusal,
)
from snakekernel.inspection.task import Task

#: Label, dtype text and kind of a column.
Heading = tuple[Any, str, Kind]


class Source(Protocol):
    """A table-like object.

    Column and row numbers count from 0; ranges exclude their end. Rows are a slice or a list of numbers.
    """

    rows: int
    columns: int

    def header(self, columns: Range) -> list[Heading]:
        """Label, dtype text and kind of each column."""
        ...

    def index(self, rows: Rows) -> list[Any]:
        """Labels of the rows."""
        ...

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        """The page, column by column, as Python objects."""
        ...

    def arrow(self, rows: Rows, columns: Range) -> list[Any] | None:
        """The page's columns for ``pyarrow.array`` (arrays of a library), or ``None``: use the cells."""
        ...

    def column(self, number: int, rows: slice, task: Task) -> Column:
        """Those rows of one column, to work on."""
        ...


class _Frame:
    """A pandas DataFrame."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.rows, self.columns = frame.shape

    def header(self, columns: Range) -> list[Heading]:
        head = self.frame.iloc[:LOOKED_AT, slice(*columns)]
        parts = zip(head.columns.tolist(), head.dtypes.tolist(), strict=True)
        return [
            (label, str(dtype), _pandas_kind(dtype, lambda n=n: head.iloc[:, n]))  # type: ignore[misc]
            for n, (label, dtype) in enumerate(parts)
        ]

    def index(self, rows: Rows) -> list[Any]:
        return pandas_cells(self.frame.index[rows])

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        return [pandas_cells(column) for column in self.arrow(rows, columns)]

    def arrow(self, rows: Rows, columns: Range) -> list[Any]:
        page = self.frame.iloc[:, slice(*columns)].iloc[rows]  # the other way round takes all columns
        return [column for _, column in page.items()]

    def column(self, number: int, rows: slice, task: Task) -> Column:
        return column_makers.of_pandas(self.frame.iloc[rows, number], task)


def _pandas_kind(dtype: Any, head: Callable[[], Any]) -> Kind:
    """The kind of a dtype, or of the first cells where that is of objects."""
    kind = kinds.of_dtype(dtype)
    return kinds.of_cells(head().tolist()) if kind is None else kind


class _Series:
    """A pandas Series, or an Index of one level: a table of one column."""

    columns = 1

    def __init__(self, values: Any) -> None:
        self.values = values
        self.rows = len(values)
        self.labels = getattr(values, "index", None)  # an Index has none

    def _part(self, rows: Rows) -> Any:
        return (self.values if self.labels is None else self.values.iloc)[rows]

    def header(self, columns: Range) -> list[Heading]:
        name = 0 if self.values.name is None else self.values.name
        dtype = self.values.dtype
        kind = _pandas_kind(dtype, lambda: self._part(slice(LOOKED_AT)))
        return [(name, str(dtype), kind)] * (columns[1] - columns[0])

    def index(self, rows: Rows) -> list[Any]:
        return numbered(rows) if self.labels is None else pandas_cells(self.labels[rows])

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        return [pandas_cells(column) for column in self.arrow(rows, columns)]

    def arrow(self, rows: Rows, columns: Range) -> list[Any]:
        return [self._part(rows)] * (columns[1] - columns[0])

    def column(self, number: int, rows: slice, task: Task) -> Column:
        return column_makers.of_pandas(self._part(rows), task)


class _Levels:
    """A pandas MultiIndex: a column for each level."""

    def __init__(self, index: Any) -> None:
        self.values = index
        self.rows, self.columns = len(index), index.nlevels

    def header(self, columns: Range) -> list[Heading]:
        levels = list(zip(self.values.names, self.values.levels, strict=True))
        numbered = list(enumerate(levels))[slice(*columns)]
        return [
            (
                n if name is None else name,
                str(level.dtype),
                _pandas_kind(level.dtype, lambda level=level: level[:LOOKED_AT]),  # type: ignore[misc]
            )
            for n, (name, level) in numbered
        ]

    def index(self, rows: Rows) -> list[Any]:
        return numbered(rows)

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        return [pandas_cells(column) for column in self.arrow(rows, columns)]

    def arrow(self, rows: Rows, columns: Range) -> list[Any]:
        page = self.values[rows]
        return [page.get_level_values(n) for n in range(*columns)]

    def column(self, number: int, rows: slice, task: Task) -> Column:
        return column_makers.of_pandas(self.values[rows].get_level_values(number), task)


class _Array:
    """A numpy array of one or two dimensions; the fields of a structured one are its columns."""

    def __init__(self, array: Any) -> None:
        ndarray = genuine.library("numpy")["ndarray"]
        self.array = ndarray.view(array, ndarray)
        if self.array.ndim not in (1, 2) or (self.array.dtype.names and self.array.ndim != 1):
            raise refusal(f"an array of shape {self.array.shape}")
        self.names: Sequence[Any] | None = self.array.dtype.names
        self.rows = self.array.shape[0]
        self.columns = len(self.names) if self.names else 1 if self.array.ndim == 1 else self.array.shape[1]

    def header(self, columns: Range) -> list[Heading]:
        labels = self.names[slice(*columns)] if self.names else range(*columns)
        if not self.names and self.array.dtype.kind != "O":
            dtype = self.array.dtype
            return [(label, str(dtype), kinds.of_dtype(dtype) or "other") for label in labels]
        heads = self.arrow(slice(LOOKED_AT), columns)
        return [
            (label, str(head.dtype), _pandas_kind(head.dtype, lambda head=head: head))  # type: ignore[misc]
            for label, head in zip(labels, heads, strict=True)
        ]

    def index(self, rows: Rows) -> list[Any]:
        return numbered(rows)

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        return [python_cells(column) for column in self.arrow(rows, columns)]

    def arrow(self, rows: Rows, columns: Range) -> list[Any]:
        page = self.array[rows]
        if self.names:
            return [page[name] for name in self.names[slice(*columns)]]
        if page.ndim == 1:
            return [page] * (columns[1] - columns[0])
        return [page[:, n] for n in range(*columns)]

    def column(self, number: int, rows: slice, task: Task) -> Column:
        return column_makers.of_numpy(self.arrow(rows, (number, number + 1))[0], task)


class _Arrow:
    """A pyarrow Table or RecordBatch."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.rows, self.columns = table.num_rows, table.num_columns

    def header(self, columns: Range) -> list[Heading]:
        fields = [self.table.schema.field(n) for n in range(*columns)]
        return [(field.name, str(field.type), kinds.of_arrow(field.type)) for field in fields]

    def index(self, rows: Rows) -> list[Any]:
        return numbered(rows)

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        return [column.to_pylist() for column in self.arrow(rows, columns)]

    def arrow(self, rows: Rows, columns: Range) -> list[Any]:
        return [_arrow_rows(self.table.column(n), rows) for n in range(*columns)]

    def column(self, number: int, rows: slice, task: Task) -> Column:
        pyarrow = genuine.library("pyarrow")
        values = self.table.column(number)
        if not genuine.library_kind(values, "pyarrow", "ChunkedArray"):
            values = pyarrow["chunked_array"]([values])
        return column_makers.of_arrow(_arrow_rows(values, rows), task)


#: Types of Arrow that single rows cannot be taken from, and what they are taken as.
_WITHOUT_TAKE: Final = {"string_view": "large_string", "binary_view": "large_binary"}


def _arrow_rows(values: Any, rows: Rows) -> Any:
    if isinstance(rows, slice):
        start, stop, step = rows.indices(len(values))
        if step == 1:
            return values.slice(start, max(stop - start, 0))
        rows = list(range(start, stop, step))
    pyarrow = genuine.library("pyarrow")
    view = _WITHOUT_TAKE.get(str(values.type))
    if view is not None:
        values = values.cast(pyarrow[view]())
    return values.take(pyarrow["array"](rows, pyarrow["int64"]()))


class _Polars:
    """A polars DataFrame."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.rows, self.columns = frame.height, frame.width

    def header(self, columns: Range) -> list[Heading]:
        series = [self.frame.to_series(n) for n in range(*columns)]  # the frame's lists name all columns
        return [(one.name, str(one.dtype), kinds.of_polars(one.dtype)) for one in series]

    def index(self, rows: Rows) -> list[Any]:
        return numbered(rows)

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        return [column.to_list() for column in self._page(rows, columns)]

    def arrow(self, rows: Rows, columns: Range) -> list[Any]:
        return [column.to_arrow() for column in self._page(rows, columns)]

    def _page(self, rows: Rows, columns: Range) -> list[Any]:
        return [self.frame.to_series(n)[rows] for n in range(*columns)]

    def column(self, number: int, rows: slice, task: Task) -> Column:
        return column_makers.of_polars(self.frame.to_series(number)[rows], task)


def source_of(obj: Any) -> Source:
    """The source of a table-like object.

    Raises:
        InvalidRequest: it is none; the message says what is.
    """
    kind = facts.data_kind(obj, exact=False)
    if kind is not None:
        make = _BY_KIND.get(kind)
        if make is None:
            raise refusal(f"a single {genuine.type_name(type(obj))}")
        return make(obj)
    if genuine.is_kind(obj, dict):
        return Columns(dict(genuine.dict_page(obj)), source_of)
    if genuine.is_kind(obj, list, tuple):
        exact = type(obj) is list or type(obj) is tuple
        return _of_rows(obj if exact else genuine.elements(obj))
    raise refusal(f"an object of type {genuine.qualified_name(type(obj))}")


def _of_rows(records: Sequence[Any]) -> Source:
    head = records[:SEARCHED]
    if all(genuine.is_kind(row, dict) for row in head):
        return Records(records)
    if all(genuine.is_kind(row, list, tuple) for row in head):
        return RowLists(records)
    raise refusal("a list whose rows are neither all dicts nor all lists")


def _index(values: Any) -> Source:
    return _Levels(values) if genuine.library_kind(values, "pandas", "MultiIndex") else _Series(values)


def _arrow_column(values: Any) -> Source:
    table = genuine.library("pyarrow")["table"]
    return _Arrow(table([values], names=["0"]))


_BY_KIND: Final[dict[str, Callable[[Any], Source]]] = {
    "numpy.ndarray": _Array,
    "pandas.DataFrame": _Frame,
    "pandas.Series": _Series,
    "pandas.Index": _index,
    "pyarrow.Table": _Arrow,
    "pyarrow.RecordBatch": _Arrow,
    "pyarrow.ChunkedArray": _arrow_column,
    "pyarrow.Array": _arrow_column,
    "polars.DataFrame": _Polars,
    "polars.Series": lambda values: _Polars(values.to_frame()),
}
