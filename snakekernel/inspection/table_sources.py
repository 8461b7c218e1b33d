"""The table-like objects: what each is made of, and how a page of it is cut out.

Rules: a source knows its totals without reading cells; ``block`` cuts out one page with the library's own
slicing, never the whole table; ``column`` gives that page's cells as Python objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from snakekernel.inspection import facts, genuine
from snakekernel.wire.errors import InvalidRequest

#: Rows of a list of records that are searched for column names.
_SEARCHED: Final = 1_000

#: Types of column labels that records are searched for: hashing others would run user code.
_LABELS: Final = genuine.Table.of(str, int, float, bool, type(None))

Range = tuple[int, int]


class Source(Protocol):
    """A table-like object. Column numbers and row numbers count from 0; ranges exclude their end."""

    rows: int
    columns: int

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        """Label and dtype text of each column."""
        ...

    def index(self, rows: Range) -> list[Any]:
        """Labels of the rows."""
        ...

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        """The page, column by column, as Python objects."""
        ...

    def arrow(self, rows: Range, columns: Range) -> list[Any] | None:
        """The page's columns for ``pyarrow.array`` (arrays of a library), or ``None``: use the cells."""
        ...


class _Frame:
    """A pandas DataFrame."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.rows, self.columns = frame.shape

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        labels = self.frame.columns[slice(*columns)].tolist()
        dtypes = self.frame.dtypes.iloc[slice(*columns)].tolist()
        return [(label, str(dtype)) for label, dtype in zip(labels, dtypes, strict=True)]

    def index(self, rows: Range) -> list[Any]:
        return _pandas_cells(self.frame.index[slice(*rows)])

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        return [_pandas_cells(column) for column in self.arrow(rows, columns)]

    def arrow(self, rows: Range, columns: Range) -> list[Any]:
        page = self.frame.iloc[slice(*rows), slice(*columns)]
        return [page.iloc[:, n] for n in range(page.shape[1])]


class _Series:
    """A pandas Series, or an Index of one level: a table of one column."""

    columns = 1

    def __init__(self, values: Any) -> None:
        self.values = values
        self.rows = len(values)
        self.labels = getattr(values, "index", None)  # an Index has none

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        name = 0 if self.values.name is None else self.values.name
        return [(name, str(self.values.dtype))] * (columns[1] - columns[0])

    def index(self, rows: Range) -> list[Any]:
        return list(range(*rows)) if self.labels is None else _pandas_cells(self.labels[slice(*rows)])

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        return [_pandas_cells(column) for column in self.arrow(rows, columns)]

    def arrow(self, rows: Range, columns: Range) -> list[Any]:
        page = (self.values if self.labels is None else self.values.iloc)[slice(*rows)]
        return [page] * (columns[1] - columns[0])


class _Levels:
    """A pandas MultiIndex: a column for each level."""

    def __init__(self, index: Any) -> None:
        self.values = index
        self.rows, self.columns = len(index), index.nlevels

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        levels = list(zip(self.values.names, self.values.levels, strict=True))
        chosen = list(enumerate(levels))[slice(*columns)]
        return [(n if name is None else name, str(level.dtype)) for n, (name, level) in chosen]

    def index(self, rows: Range) -> list[Any]:
        return list(range(*rows))

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        return [_pandas_cells(column) for column in self.arrow(rows, columns)]

    def arrow(self, rows: Range, columns: Range) -> list[Any]:
        page = self.values[slice(*rows)]
        return [page.get_level_values(n) for n in range(*columns)]


def _pandas_cells(column: Any) -> list[Any]:
    cells: list[Any] = column.tolist()
    if getattr(column.dtype, "kind", "O") in "fc":
        return cells
    # Where NaN is no number it stands for a missing value.
    return [None if type(cell) is float and cell != cell else cell for cell in cells]


class _Array:
    """A numpy array of one or two dimensions; the fields of a structured one are its columns."""

    def __init__(self, array: Any) -> None:
        ndarray = genuine.library("numpy")["ndarray"]
        self.array = ndarray.view(array, ndarray)
        if self.array.ndim not in (1, 2) or (self.array.dtype.names and self.array.ndim != 1):
            raise _refusal(f"an array of shape {self.array.shape}")
        self.names: Sequence[Any] | None = self.array.dtype.names
        self.rows = self.array.shape[0]
        self.columns = len(self.names) if self.names else 1 if self.array.ndim == 1 else self.array.shape[1]

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        if self.names:
            return [(name, str(self.array.dtype[name])) for name in self.names[slice(*columns)]]
        return [(n, str(self.array.dtype)) for n in range(*columns)]

    def index(self, rows: Range) -> list[Any]:
        return list(range(*rows))

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        return [_python_cells(column) for column in self.arrow(rows, columns)]

    def arrow(self, rows: Range, columns: Range) -> list[Any]:
        page = self.array[slice(*rows)]
        if self.names:
            return [page[name] for name in self.names[slice(*columns)]]
        if page.ndim == 1:
            return [page] * (columns[1] - columns[0])
        return [page[:, n] for n in range(*columns)]


def _python_cells(column: Any) -> list[Any]:
    if column.dtype.kind in "mM" or column.ndim > 1:
        return list(column)  # tolist() would turn nanoseconds into bare integers
    cells: list[Any] = column.tolist()
    return cells


class _Arrow:
    """A pyarrow Table or RecordBatch."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.rows, self.columns = table.num_rows, table.num_columns

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        fields = [self.table.schema.field(n) for n in range(*columns)]
        return [(field.name, str(field.type)) for field in fields]

    def index(self, rows: Range) -> list[Any]:
        return list(range(*rows))

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        return [column.to_pylist() for column in self.arrow(rows, columns)]

    def arrow(self, rows: Range, columns: Range) -> list[Any]:
        return [self.table.column(n).slice(rows[0], rows[1] - rows[0]) for n in range(*columns)]


class _Polars:
    """A polars DataFrame."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.rows, self.columns = frame.height, frame.width

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        names, dtypes = self.frame.columns[slice(*columns)], self.frame.dtypes[slice(*columns)]
        return [(name, str(dtype)) for name, dtype in zip(names, dtypes, strict=True)]

    def index(self, rows: Range) -> list[Any]:
        return list(range(*rows))

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        return [column.to_list() for column in self._page(rows, columns)]

    def arrow(self, rows: Range, columns: Range) -> list[Any]:
        return [column.to_arrow() for column in self._page(rows, columns)]

    def _page(self, rows: Range, columns: Range) -> list[Any]:
        names = self.frame.columns[slice(*columns)]
        return [self.frame.get_column(name).slice(rows[0], rows[1] - rows[0]) for name in names]


class _Records:
    """A list or tuple of dicts; the columns are the keys of its first 1,000 rows."""

    def __init__(self, records: Sequence[Any]) -> None:
        self.records = records
        names: dict[Any, None] = {}
        for record in records[:_SEARCHED]:
            for name, _ in genuine.dict_page(record):
                names.setdefault(_hashable(name))
        self.names = list(names)
        self.rows, self.columns = len(records), len(self.names)

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        return [(name, "object") for name in self.names[slice(*columns)]]

    def index(self, rows: Range) -> list[Any]:
        return list(range(*rows))

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        page = self.records[slice(*rows)]
        if not all(genuine.is_kind(record, dict) for record in page):
            raise _refusal("a list whose rows are not all dicts")
        return [[dict.get(record, name) for record in page] for name in self.names[slice(*columns)]]

    def arrow(self, rows: Range, columns: Range) -> None:
        return None


def _hashable(name: Any) -> Any:
    if type(name) not in _LABELS:
        raise _refusal(f"records with a column label of type {genuine.type_name(type(name))}")
    return name


class _Rows:
    """A list or tuple of lists or tuples; short rows are filled up with ``None``."""

    def __init__(self, records: Sequence[Any]) -> None:
        self.records = records
        self.rows = len(records)
        widths = [facts.facts_of(row).length or 0 for row in records[:_SEARCHED]]
        self.columns = max(widths, default=0)

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        return [(n, "object") for n in range(*columns)]

    def index(self, rows: Range) -> list[Any]:
        return list(range(*rows))

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        page = self.records[slice(*rows)]
        if not all(genuine.is_kind(row, list, tuple) for row in page):
            raise _refusal("a list whose rows are not all lists or tuples")
        parts = [genuine.elements(row, *columns) for row in page]
        width = columns[1] - columns[0]
        return [[part[n] if n < len(part) else None for part in parts] for n in range(width)]

    def arrow(self, rows: Range, columns: Range) -> None:
        return None


class _Columns:
    """A dict of equally long lists, tuples, one-dimensional arrays or Series."""

    def __init__(self, columns: Mapping[Any, Any]) -> None:
        self.labels = [label for label, _ in columns.items()]
        self.values = [value for _, value in columns.items()]
        lengths = [_column_length(value) for value in self.values]
        if len(set(lengths)) > 1:
            raise _refusal(f"a dict of columns of different lengths ({min(lengths)} to {max(lengths)})")
        self.rows, self.columns = lengths[0] if lengths else 0, len(lengths)

    def header(self, columns: Range) -> list[tuple[Any, str]]:
        chosen = zip(self.labels[slice(*columns)], self.values[slice(*columns)], strict=True)
        return [(label, facts.facts_of(value).dtype or "object") for label, value in chosen]

    def index(self, rows: Range) -> list[Any]:
        return list(range(*rows))

    def cells(self, rows: Range, columns: Range) -> list[list[Any]]:
        return [_column_cells(value, rows) for value in self.values[slice(*columns)]]

    def arrow(self, rows: Range, columns: Range) -> None:
        return None


def _column_length(value: Any) -> int:
    known = facts.facts_of(value, exact=False)
    column = genuine.is_kind(value, list, tuple) or len(known.shape or ()) == 1
    if known.length is None or not column:
        raise _refusal(f"a dict with a value of type {genuine.type_name(type(value))}, which is no column")
    return known.length


def _column_cells(value: Any, rows: Range) -> list[Any]:
    if facts.data_kind(value, exact=False) is None:
        return genuine.elements(value, *rows)
    return source_of(value).cells(rows, (0, 1))[0]


def source_of(obj: Any) -> Source:
    """The source of a table-like object.

    Raises:
        InvalidRequest: it is none; the message says what is.
    """
    kind = facts.data_kind(obj, exact=False)
    if kind is not None:
        make = _BY_KIND.get(kind)
        if make is None:
            raise _refusal(f"a single {genuine.type_name(type(obj))}")
        return make(obj)
    if genuine.is_kind(obj, dict):
        return _Columns(dict(genuine.dict_page(obj)))
    if genuine.is_kind(obj, list, tuple):
        exact = type(obj) is list or type(obj) is tuple
        return _of_rows(obj if exact else genuine.elements(obj))
    raise _refusal(f"an object of type {genuine.qualified_name(type(obj))}")


def _of_rows(records: Sequence[Any]) -> Source:
    head = records[:_SEARCHED]
    if all(genuine.is_kind(row, dict) for row in head):
        return _Records(records)
    if all(genuine.is_kind(row, list, tuple) for row in head):
        return _Rows(records)
    raise _refusal("a list whose rows are neither all dicts nor all lists")


def _refusal(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"the target is no table but {what}; tables are data frames, series, arrays of one or two "
        "dimensions, lists of dicts or of lists, and dicts of equally long columns",
        at="$.target",
    )


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
