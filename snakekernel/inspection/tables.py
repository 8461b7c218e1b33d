"""Pages of table-like objects, for viewers that scroll through tables of any size.

Rules: only the page asked for is read; every cell is bounded; what the caps or the bounds cut says so
(``truncated``). Cells are Python objects that the encoder keeps exactly, or short texts in their place.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from snakekernel.inspection import facts, genuine, timed
from snakekernel.inspection.budget import Clock
from snakekernel.inspection.steps import is_plain
from snakekernel.inspection.table_sources import Range, Source, source_of
from snakekernel.inspection.text import Texts, clip
from snakekernel.wire.errors import InvalidRequest, SnakeError, Unresolvable, Unsupported


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
        columns: ``[{"name": label, "dtype": text}]`` of the page's columns.
        index: labels of the page's rows.
        data: the page column by column, as Python objects; empty for the arrow format.
        rows, columns_range: ``[from, to]`` of what the page holds; ``to`` is excluded.
        total_rows, total_columns: size of the whole table.
        truncated: the caps left off some of what was asked for, or cells were shortened or became texts.
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
    arrow: Any = None


#: Scalars of the data libraries whose ``str`` says all there is, in their usual form.
_WORDED: Final = {
    "pandas": ("Timestamp", "Timedelta", "Period", "Interval"),
    "numpy": ("datetime64", "timedelta64"),
}

_LONGEST_TUPLE: Final = 16


def table_page(
    obj: Any,
    rows: tuple[int, int] | None = None,
    columns: tuple[int, int] | None = None,
    *,
    format: Literal["json", "arrow"] = "json",
    limits: TableLimits | None = None,
) -> TablePage:
    """A page of ``obj``: rows and columns ``[from, to)``, clipped to the table and to the caps.

    Serves pandas DataFrame, Series and Index, numpy arrays of one or two dimensions and structured ones,
    pyarrow and polars tables and columns, lists of dicts, lists of lists, and dicts of equally long columns.

    Args:
        rows, columns: ``None`` for the first 100 rows and 50 columns.
        format: ``"arrow"`` puts the page into ``TablePage.arrow`` instead of ``data``.

    Raises:
        InvalidRequest: the object is no table, or a range is negative or ends before it begins.
        Unresolvable: the object raised while it was read, or took too long.
        Unsupported: the arrow format without pyarrow installed.
    """
    limits = limits or TableLimits()
    if format not in ("json", "arrow"):
        raise InvalidRequest(f'format must be "json" or "arrow", not {format!r}', at="$.format")
    for name, asked in (("rows", rows), ("columns", columns)):
        if asked is not None and not 0 <= asked[0] <= asked[1]:
            raise InvalidRequest(f"{name} must be [from, to] with 0 <= from <= to", at=f"$.{name}")
    clock = Clock(limits.seconds)
    source: Source = _read(lambda: source_of(obj), clock)
    across, cut_across = _range(columns, source.columns, limits.columns, limits.most_columns)
    width = max(across[1] - across[0], 1)
    most_rows = min(limits.most_rows, max(limits.most_cells // width, 1))
    down, cut_down = _range(rows, source.rows, limits.rows, most_rows)
    cells = _Cells(clock, limits.text)
    header = _read(lambda: source.header(across), clock)
    index = _read(lambda: source.index(down), clock)
    names = [{"name": cells.cell(label), "dtype": clip(dtype, limits.text)[0]} for label, dtype in header]
    labels = [cells.cell(label) for label in index]
    data: list[list[Any]] = []
    block: Any = None
    if format == "arrow":
        block = _arrow_block(source, down, across, [label for label, _ in header], cells)
    else:
        read = _read(lambda: source.cells(down, across), clock)
        data = [[cells.cell(cell) for cell in column] for column in read]
    return TablePage(
        columns=names,
        index=labels,
        data=data,
        rows=list(down),
        columns_range=list(across),
        total_rows=source.rows,
        total_columns=source.columns,
        truncated=cut_across or cut_down or cells.truncated,
        arrow=block,
    )


def _range(asked: tuple[int, int] | None, total: int, default: int, most: int) -> tuple[Range, bool]:
    if asked is None:
        return (0, min(total, default, most)), False
    low, high = min(asked[0], total), min(asked[1], total)
    return (low, min(high, low + most)), high > low + most


def _read(code: Callable[[], Any], clock: Clock) -> Any:
    """Run a library's reading, which may run a subclass's hooks, within the time."""
    refused: list[SnakeError] = []

    def run() -> Any:
        try:
            return code()
        except SnakeError as error:  # ours, about the object; all else is the object's own failure
            refused.append(error)
            return None

    outcome = timed.attempt(run, clock.left())
    if refused:
        raise refused[0]
    if not outcome.ok:
        why = "took too long" if outcome.timed_out else f"raised {outcome.error}"
        raise Unresolvable(f"the table cannot be read: it {why}", at="$.target", fault="target")
    return outcome.value


class _Cells:
    """Turns objects into bounded cells, and remembers whether one was shortened."""

    def __init__(self, clock: Clock, text: int) -> None:
        self.clock = clock
        self.texts = Texts(clock, depth=2)
        self.text = text
        self.truncated = False

    def cell(self, obj: Any) -> Any:
        """``obj`` if the encoder keeps it exactly and shortly, ``None`` if missing, else a short text."""
        if is_plain(obj, self.text):
            return obj
        if type(obj) is str:
            self.truncated = True
            return clip(obj, self.text)[0]
        if _is_missing(obj):
            return None
        if type(obj) is tuple and len(obj) <= _LONGEST_TUPLE:
            return tuple(self.cell(part) for part in obj)
        if _is_worded(obj):
            return clip(str(obj), self.text)[0]
        if facts.data_kind(obj) == "numpy.generic" and is_plain(obj.item(), self.text):
            return obj.item()
        self.truncated = True
        return self.texts.outline(obj, self.text)[0]


def _is_missing(obj: Any) -> bool:
    pandas = genuine.library("pandas")
    return obj is pandas.get("NaT", _is_missing) or obj is pandas.get("NA", _is_missing)


def _is_worded(obj: Any) -> bool:
    return any(
        genuine.library_kind(obj, root, *names) and genuine.is_librarys_own(type(obj), root)
        for root, names in _WORDED.items()
    )


def _arrow_block(source: Source, rows: Range, columns: Range, labels: list[Any], cells: _Cells) -> Any:
    """The page as a ``pyarrow.Table``; columns that Arrow cannot hold become columns of texts."""
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
    except ImportError:
        raise Unsupported(
            'the arrow format needs pyarrow in the kernel: install snakekernel[arrow], or ask for "json"',
            at="$.format",
        ) from None
    clock = cells.clock
    read = _read(lambda: source.arrow(rows, columns), clock)
    listed = _read(lambda: source.cells(rows, columns), clock) if read is None else None
    built = []
    for n, column in enumerate(read or listed or []):
        # Objects in the column may have hooks of their own for Arrow.
        made = timed.attempt(functools.partial(_arrow_column, pyarrow, column), clock.left())
        if made.ok:
            built.append(made.value)
            continue
        at = columns[0] + n
        cut = listed[n] if listed else _read(functools.partial(_cells_of, source, rows, at), clock)
        cells.truncated = True
        built.append(pyarrow.array([_cell_text(cells.cell(cell)) for cell in cut], type=pyarrow.string()))
    names = [label if type(label) is str else cells.texts.text(label, cells.text)[0] for label in labels]
    return pyarrow.table(built, names=names)


def _cells_of(source: Source, rows: Range, column: int) -> list[Any]:
    return source.cells(rows, (column, column + 1))[0]


def _arrow_column(pyarrow: Any, column: Any) -> Any:
    if facts.data_kind(column) in ("pyarrow.ChunkedArray", "pyarrow.Array"):
        return column
    return pyarrow.array(column, from_pandas=facts.data_kind(column) == "pandas.Series")


def _cell_text(cell: Any) -> str | None:
    return None if cell is None else str(cell)
