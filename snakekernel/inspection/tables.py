"""Pages of table-like objects, for viewers that scroll through tables of any size.

Rules: only the page asked for is read; every cell is bounded; what the caps or the bounds cut says so
(``truncated``). Cells are Python objects that the encoder keeps exactly, or short texts in their place.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import Any, Final, Literal

from snakekernel.inspection import facts, timed
from snakekernel.inspection.budget import Clock
from snakekernel.inspection.masks import listed
from snakekernel.inspection.table_cells import Cells, TookTooLong, read
from snakekernel.inspection.table_order import (
    NEVER_SAMPLED,
    Order,
    Orders,
    affordable_step,
    check_columns,
)
from snakekernel.inspection.table_query import View
from snakekernel.inspection.table_records import Range, Rows, numbered
from snakekernel.inspection.table_sources import Source, source_of
from snakekernel.inspection.task import Task
from snakekernel.inspection.text import clip
from snakekernel.objects.secret_names import hides, meaning_of
from snakekernel.wire.errors import InvalidRequest, Unsupported


@dataclass(frozen=True, slots=True)
class TableLimits:
    """Bounds of one page.

    Attributes:
        rows, columns: size of a page for which no range was given.
        most_rows, most_columns, most_cells: hard caps (10,000 rows, 1,000 columns, 200,000 cells unless
            set otherwise); what is asked beyond them is left off the page.
        text: characters of a cell, longer ones are cut.
        seconds: time for reading the page, and for the texts of objects in it.
    """

    rows: int = 100
    columns: int = 50
    most_rows: int = 10_000
    most_columns: int = 1_000
    most_cells: int = 200_000
    text: int = 1_000
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class TablePage:
    """One page of a table.

    Attributes:
        columns: ``[{"name": label, "dtype": text, "kind": word, "position": n}]`` of the page's columns.
        index: labels of the page's rows.
        data: the page column by column, as Python objects; empty for the arrow format.
        rows, columns_range: ``[from, to]`` of what the page holds; ``to`` is excluded.
        total_rows, total_columns: size of the whole table.
        matched_rows: rows that can be paged through: those that a filter or search found, or all.
        row_numbers: positions in the whole table of the page's rows.
        sampled: ``{"rows": n, "of": N}`` where sorting or filtering looked only at n rows, evenly spaced.
        truncated: the caps left off some of what was asked for, or cells were shortened or became texts.
        masked: a secret was left out: a text in a column of such a name, or one that looks like it.
        arrow: the page as a ``pyarrow.Table``, for the arrow format: cells whole, not shortened.
    """

    columns: list[dict[str, Any]]
    index: list[Any]
    data: list[list[Any]]
    rows: list[int]
    columns_range: list[int]
    total_rows: int
    total_columns: int
    truncated: bool
    matched_rows: int
    row_numbers: list[int]
    sampled: dict[str, int] | None = None
    masked: bool = False
    arrow: Any = None


#: What a table that is put in order is said to be, where that fails.
_MADE: Final = "sorted and filtered"

#: The part of the time after which fewer rows are tried, and how many times fewer.
_FIRST_TRY: Final = 0.6
_FEWER: Final = 10


def table_page(
    obj: Any,
    rows: tuple[int, int] | None = None,
    columns: tuple[int, int] | None = None,
    *,
    view: View | None = None,
    format: Literal["json", "arrow"] = "json",
    limits: TableLimits | None = None,
    orders: Orders | None = None,
    task: Task | None = None,
    fresh: bool = False,
) -> TablePage:
    """A page of ``obj``: rows and columns ``[from, to)``, clipped to the table and to the caps.

    Serves pandas DataFrame, Series and Index, numpy arrays of one or two dimensions and structured ones,
    pyarrow and polars tables and columns, lists of dicts, lists of lists, and dicts of equally long columns.

    Args:
        rows, columns: ``None`` for the first 100 rows and 50 columns.
        view: sorted and filtered so; rows count within it then.
        orders: keeps the order for the pages to come. fresh: whether a kept order is not good enough.
        format: ``"arrow"`` puts the page into ``TablePage.arrow`` instead of ``data``.

    Raises:
        InvalidRequest: the object is no table, a range is negative or ends before it begins, or the view
            names no column of it or does not fit its cells.
        Unresolvable: the object raised while it was read, or took too long.
        Unsupported: the arrow format without pyarrow installed.
    """
    limits = limits or TableLimits()
    if format not in ("json", "arrow"):
        raise InvalidRequest(f'format must be "json" or "arrow", not {format!r}', at="$.format")
    check_range("rows", rows)
    check_range("columns", columns)
    clock = Clock(limits.seconds)
    source: Source = read(lambda: source_of(obj), clock)
    across, cut_across = _range(columns, source.columns, limits.columns, limits.most_columns)
    order = order_of(obj, source, view or View(), orders, task or Task(), clock, fresh)
    matched = source.rows if order is None else len(order.rows)
    width = max(across[1] - across[0], 1)
    most_rows = min(limits.most_rows, max(limits.most_cells // width, 1))
    down, cut_down = _range(rows, matched, limits.rows, most_rows)
    read_rows: Rows = slice(*down) if order is None else listed(order.rows[slice(*down)])
    cells = Cells(clock, limits.text)
    header = read(lambda: source.header(across), clock)
    index = read(lambda: source.index(read_rows), clock)
    names = [
        {"name": cells.cell(label), "dtype": clip(dtype, limits.text)[0], "kind": kind, "position": n}
        for n, (label, dtype, kind) in enumerate(header, across[0])
    ]
    labels = [cells.cell(label) for label in index]
    data: list[list[Any]] = []
    block: Any = None
    if format == "arrow":
        block = _arrow_block(source, read_rows, across, [heading[0] for heading in header], cells)
    else:
        columns_read = read(lambda: source.cells(read_rows, across), clock)
        data = [cells.column(heading[0], c) for heading, c in zip(header, columns_read, strict=True)]
    return TablePage(
        columns=names,
        index=labels,
        data=data,
        rows=list(down),
        columns_range=list(across),
        total_rows=source.rows,
        total_columns=source.columns,
        truncated=cut_across or cut_down or cells.truncated,
        matched_rows=matched,
        row_numbers=numbered(read_rows),
        sampled=None if order is None else sampled_of(source.rows, order.step),
        masked=cells.masked,
        arrow=block,
    )


def check_range(name: str, asked: tuple[int, int] | None) -> None:
    """Raise InvalidRequest where a range of rows or columns is none."""
    if asked is not None and not 0 <= asked[0] <= asked[1]:
        raise InvalidRequest(f"{name} must be [from, to] with 0 <= from <= to", at=f"$.{name}")


def order_of(
    obj: Any, source: Source, view: View, orders: Orders | None, task: Task, clock: Clock, fresh: bool = False
) -> Order | None:
    """The order of the view, or ``None`` for the table as it is.

    Raises:
        InvalidRequest: the view names no column of the table, or does not fit its cells.
        Unresolvable: the cells raised, or took too long even where only some were looked at.
    """
    if view.whole:
        return None
    check_columns(view, source.columns)
    orders = Orders() if orders is None else orders
    step = read(lambda: affordable_step(source, view, clock.seconds), clock)

    def make(fewer: int = 1) -> Order:
        return orders.order(obj, source, view, task, step=step, fewer=fewer, fresh=fresh)

    if source.rows > NEVER_SAMPLED:
        try:
            made: Order = read(make, Clock(clock.left() * _FIRST_TRY), _MADE)
            return made
        except TookTooLong:  # a busy machine, or cells that are slow to compare
            made = read(lambda: make(_FEWER), clock, _MADE)
            return made
    made = read(make, clock, _MADE)
    return made


def sampled_of(rows: int, step: int) -> dict[str, int] | None:
    """What an answer says of the rows looked at where every ``step``-th was."""
    return None if step == 1 else {"rows": len(range(0, rows, step)), "of": rows}


def _range(asked: tuple[int, int] | None, total: int, default: int, most: int) -> tuple[Range, bool]:
    if asked is None:
        return (0, min(total, default, most)), False
    low, high = min(asked[0], total), min(asked[1], total)
    return (low, min(high, low + most)), high > low + most


def _arrow_block(source: Source, rows: Rows, columns: Range, labels: list[Any], cells: Cells) -> Any:
    """The page as a ``pyarrow.Table``; columns that Arrow cannot hold become columns of texts."""
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
    except ImportError:
        raise Unsupported(
            'the arrow format needs pyarrow in the kernel: install snakekernel[arrow], or ask for "json"',
            at="$.format",
        ) from None
    clock = cells.clock
    columns_read = read(lambda: source.arrow(rows, columns), clock)
    as_cells = read(lambda: source.cells(rows, columns), clock) if columns_read is None else None
    built = []
    for n, column in enumerate(columns_read or as_cells or []):
        at = columns[0] + n
        cut: list[Any] | None = as_cells[n] if as_cells else None
        named = type(labels[n]) is str and meaning_of(labels[n]) != "harmless"
        if named and cut is None:
            cut = read(functools.partial(_cells_of, source, rows, at), clock)
        # Where a cell of it may not be shown it becomes a column of texts.
        if not named or not any(hides(labels[n], cell) for cell in cut or ()):
            # Objects in the column may have hooks of their own for Arrow.
            made = timed.attempt(functools.partial(_arrow_column, pyarrow, column), clock.left())
            if made.ok:
                built.append(made.value)
                continue
        if cut is None:
            cut = read(functools.partial(_cells_of, source, rows, at), clock)
        cells.truncated = True
        texts = [_cell_text(cell) for cell in cells.column(labels[n], cut)]
        built.append(pyarrow.array(texts, type=pyarrow.string()))
    names = [label if type(label) is str else cells.texts.text(label, cells.text)[0] for label in labels]
    return pyarrow.table(built, names=names)


def _cells_of(source: Source, rows: Rows, column: int) -> list[Any]:
    return source.cells(rows, (column, column + 1))[0]


def _arrow_column(pyarrow: Any, column: Any) -> Any:
    if facts.data_kind(column) in ("pyarrow.ChunkedArray", "pyarrow.Array"):
        return column
    return pyarrow.array(column, from_pandas=facts.data_kind(column) == "pandas.Series")


def _cell_text(cell: Any) -> str | None:
    return None if cell is None else str(cell)
