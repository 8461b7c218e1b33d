"""Tables made of lists and dicts: lists of records, lists of rows, dicts of columns.

Rules: only the page's cells are read, by the built-in types' own iteration; short rows and missing keys are
filled up with ``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from snakekernel.inspection import column_makers, facts, genuine, kinds
from snakekernel.inspection.column import Column
from snakekernel.inspection.kinds import LOOKED_AT, Kind
from snakekernel.inspection.task import Task
from snakekernel.wire.errors import InvalidRequest

#: Rows of a list of records that are searched for column names.
SEARCHED: Final = 1_000

#: Types of column labels that records are searched for: hashing others would run user code.
_LABELS: Final = genuine.Table.of(str, int, float, bool, type(None))

Range = tuple[int, int]

#: Rows of a page: a slice, or row numbers in their order.
Rows = slice | list[int]


def chosen(records: Sequence[Any], rows: Rows) -> Sequence[Any]:
    """Those elements of a list or tuple."""
    return records[rows] if isinstance(rows, slice) else [records[n] for n in rows]


def numbered(rows: Rows) -> list[Any]:
    """The numbers of the rows: the labels of a table that has none."""
    return rows if isinstance(rows, list) else list(range(rows.start, rows.stop))


class Records:
    """A list or tuple of dicts; the columns are the keys of its first 1,000 rows."""

    def __init__(self, records: Sequence[Any]) -> None:
        self.records = records
        names: dict[Any, None] = {}
        before: list[Any] = []
        for record in records[:SEARCHED]:
            keys = [name for name, _ in genuine.dict_page(record)]
            _check_labels(keys)
            if keys != before:  # most records have the keys of the one before
                names.update(dict.fromkeys(keys))
                before = keys
        self.names = list(names)
        self.rows, self.columns = len(records), len(self.names)

    def header(self, columns: Range) -> list[tuple[Any, str, Kind]]:
        names = self.names[slice(*columns)]
        heads = self.cells(slice(LOOKED_AT), columns) if self.rows else [[] for _ in names]
        return [(name, "object", kinds.of_cells(head)) for name, head in zip(names, heads, strict=True)]

    def index(self, rows: Rows) -> list[Any]:
        return numbered(rows)

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        page = chosen(self.records, rows)
        if not all(genuine.is_kind(record, dict) for record in genuine.one_of_each_type(page)):
            raise refusal("a list whose rows are not all dicts")
        return [[dict.get(record, name) for record in page] for name in self.names[slice(*columns)]]

    def arrow(self, rows: Rows, columns: Range) -> None:
        return None

    def column(self, number: int, rows: slice, task: Task) -> Column:
        return column_makers.of_cells(self.cells(rows, (number, number + 1))[0], task)


def _check_labels(names: list[Any]) -> None:
    for name in genuine.one_of_each_type(names):
        if type(name) not in _LABELS:
            raise refusal(f"records with a column label of type {genuine.type_name(type(name))}")


class RowLists:
    """A list or tuple of lists or tuples; short rows are filled up with ``None``."""

    def __init__(self, records: Sequence[Any]) -> None:
        self.records = records
        self.rows = len(records)
        widths = [facts.facts_of(row).length or 0 for row in records[:SEARCHED]]
        self.columns = max(widths, default=0)

    def header(self, columns: Range) -> list[tuple[Any, str, Kind]]:
        heads = self.cells(slice(LOOKED_AT), columns)
        return [(n, "object", kinds.of_cells(head)) for n, head in zip(range(*columns), heads, strict=True)]

    def index(self, rows: Rows) -> list[Any]:
        return numbered(rows)

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        page = chosen(self.records, rows)
        if not all(genuine.is_kind(row, list, tuple) for row in genuine.one_of_each_type(page)):
            raise refusal("a list whose rows are not all lists or tuples")
        if all(type(row) is list or type(row) is tuple for row in genuine.one_of_each_type(page)):
            parts = [row[slice(*columns)] for row in page]
        else:
            parts = [genuine.elements(row, *columns) for row in page]
        width = columns[1] - columns[0]
        return [[part[n] if n < len(part) else None for part in parts] for n in range(width)]

    def arrow(self, rows: Rows, columns: Range) -> None:
        return None

    def column(self, number: int, rows: slice, task: Task) -> Column:
        return column_makers.of_cells(self.cells(rows, (number, number + 1))[0], task)


class Columns:
    """A dict of equally long lists, tuples, one-dimensional arrays or Series.

    Args:
        source_of: makes the source of an array or a Series.
    """

    def __init__(self, columns: Mapping[Any, Any], source_of: Callable[[Any], Any]) -> None:
        self.labels = [label for label, _ in columns.items()]
        self.values = [value for _, value in columns.items()]
        self.source_of = source_of
        lengths = [_column_length(value) for value in self.values]
        if len(set(lengths)) > 1:
            raise refusal(f"a dict of columns of different lengths ({min(lengths)} to {max(lengths)})")
        self.rows, self.columns = lengths[0] if lengths else 0, len(lengths)

    def _parts(self, columns: Range) -> list[Any]:
        return [
            _Cells(value) if facts.data_kind(value, exact=False) is None else self.source_of(value)
            for value in self.values[slice(*columns)]
        ]

    def header(self, columns: Range) -> list[tuple[Any, str, Kind]]:
        labels, parts = self.labels[slice(*columns)], self._parts(columns)
        return [(label, *part.header((0, 1))[0][1:]) for label, part in zip(labels, parts, strict=True)]

    def index(self, rows: Rows) -> list[Any]:
        return numbered(rows)

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        return [part.cells(rows, (0, 1))[0] for part in self._parts(columns)]

    def arrow(self, rows: Rows, columns: Range) -> None:
        return None

    def column(self, number: int, rows: slice, task: Task) -> Column:
        column: Column = self._parts((number, number + 1))[0].column(0, rows, task)
        return column


class _Cells:
    """A list or tuple as one column of ``Columns``."""

    def __init__(self, values: Sequence[Any]) -> None:
        exact = type(values) is list or type(values) is tuple
        self.values: Sequence[Any] = values if exact else genuine.elements(values)

    def header(self, columns: Range) -> list[tuple[Any, str, Kind]]:
        return [(0, "object", kinds.of_cells(self.values[:LOOKED_AT]))]

    def cells(self, rows: Rows, columns: Range) -> list[list[Any]]:
        return [list(chosen(self.values, rows))]

    def column(self, number: int, rows: slice, task: Task) -> Column:
        return column_makers.of_cells(list(self.values[rows]), task)


def _column_length(value: Any) -> int:
    if type(value) is list:
        return len(value)
    known = facts.facts_of(value, exact=False)
    column = genuine.is_kind(value, list, tuple) or len(known.shape or ()) == 1
    if known.length is None or not column:
        raise refusal(f"a dict with a value of type {genuine.type_name(type(value))}, which is no column")
    return known.length


def refusal(what: str) -> InvalidRequest:
    """The error for what is no table."""
    return InvalidRequest(
        f"the target is no table but {what}; tables are data frames, series, arrays of one or two "
        "dimensions, lists of dicts or of lists, and dicts of equally long columns",
        at="$.target",
    )
