"""What is in each column of a table: how many cells, which range, how they are spread.

Rules: missing cells count as missing and in nothing else; numbers as pandas gives them (standard deviation
with one degree of freedom, linear quantiles). Large tables are summed up from evenly spaced rows, and the
answer says so; a column that fails or takes too long gets an ``error``, the others are there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from snakekernel.inspection import masks, timed
from snakekernel.inspection.budget import Clock
from snakekernel.inspection.column import Column
from snakekernel.inspection.kinds import Kind
from snakekernel.inspection.numbers import spread_of_array, spread_of_list
from snakekernel.inspection.table_cells import Cells, read
from snakekernel.inspection.table_order import NEVER_SAMPLED, Orders
from snakekernel.inspection.table_query import View
from snakekernel.inspection.table_sources import Source, source_of
from snakekernel.inspection.tables import check_range, order_of, sampled_of
from snakekernel.inspection.task import Task
from snakekernel.inspection.text import clip
from snakekernel.wire.errors import SnakeError

#: Columns of one answer.
_MOST_COLUMNS: Final = 500

#: Characters of a text among ``top``, and of an error.
_TEXT: Final = 200

#: Seconds that a cell takes.
_COST: Final = {"object": 1.5e-6, "Object": 1.5e-6}
_TYPED: Final = 1.5e-7

#: Kinds whose most frequent cells say nothing where no cell comes twice.
_MEASURED: Final = ("integer", "number", "datetime", "duration")


@dataclass(frozen=True, slots=True)
class Summaries:
    """Summaries of some columns.

    Attributes:
        summaries: one dict a column, see the protocol reference.
        total_rows, total_columns: size of the whole table. matched_rows: rows that were summed up, or would
            have been, had they all been looked at.
        sampled: ``{"rows": n, "of": N}`` where only n rows were looked at, or ``None``.
        truncated: columns were left off, or one has an error. masked: a secret was left out.
    """

    summaries: list[dict[str, Any]]
    total_rows: int
    matched_rows: int
    total_columns: int
    sampled: dict[str, int] | None
    truncated: bool
    masked: bool = False


def summarize(
    obj: Any,
    columns: tuple[int, int] | None = None,
    *,
    view: View | None = None,
    bins: int = 20,
    top: int = 10,
    seconds: float = 2.0,
    orders: Orders | None = None,
    task: Task | None = None,
) -> Summaries:
    """Summaries of the columns ``[from, to)`` of a table-like object, of the first 50 if not given.

    Args:
        view: only of the rows that its filter and search find.
        bins: of the histograms. top: how many of the most frequent cells. seconds: time for all of it.

    Raises:
        InvalidRequest: the object is no table, or the range or the view does not fit it.
        Unresolvable: the object raised while it was read, or took too long.
    """
    task, view, clock = task or Task(), view or View(), Clock(seconds)
    check_range("columns", columns)
    source: Source = read(lambda: source_of(obj), clock)
    low, high = columns or (0, 50)
    low, high = min(low, source.columns), min(high, source.columns)
    last = min(high, low + _MOST_COLUMNS)
    header = read(lambda: source.header((low, last)), clock)
    order = order_of(obj, source, view, orders, task, Clock(seconds / 2))
    step, rows = (1, None) if order is None else (order.step, order.rows)
    matched = source.rows if rows is None else len(rows)
    each = sum(_COST.get(dtype, _TYPED) for _, dtype, _ in header)
    every = max(math.ceil(2 * each * matched / seconds), 1) if matched > NEVER_SAMPLED else 1
    looked_at = len(range(0, matched, every))
    cells = Cells(clock, _TEXT)
    made = []
    for n, (label, dtype, kind) in enumerate(header, low):
        task.progress(n - low, last - low, "summing up")
        summary = _empty(n, cells.cell(label), clip(dtype, _TEXT)[0], kind)

        def work(n: int = n, summary: dict[str, Any] = summary) -> None:
            column = _column(source, n, rows, every, task)
            summary.update(_of_column(column, bins, top, cells, header[n - low][0]))

        summary["error"] = _attempted(work, clock)
        made.append(summary)
    failed = any(summary["error"] for summary in made)
    sampled = sampled_of(source.rows, step)
    if every > 1 and sampled is None:
        sampled = {"rows": looked_at, "of": matched}
    elif sampled is not None:
        sampled = {**sampled, "rows": -(-sampled["rows"] // every)}
    return Summaries(
        made,
        source.rows,
        matched,
        source.columns,
        sampled,
        last < high or failed or cells.truncated,
        cells.masked,
    )


def _attempted(work: Callable[[], None], clock: Clock) -> str | None:
    """Run it within the time; what went wrong, or ``None``."""
    stopped: list[SnakeError] = []

    def run() -> None:
        try:
            work()
        except SnakeError as error:  # the task's: the whole request is over
            stopped.append(error)

    outcome = timed.attempt(run, clock.left())
    if stopped:
        raise stopped[0]
    if outcome.ok:
        return None
    return "took too long" if outcome.timed_out else f"raised {outcome.error}"


def _column(source: Source, number: int, rows: Any, every: int, task: Task) -> Column:
    if rows is None:
        return source.column(number, slice(0, source.rows, every), task)
    return source.column(number, slice(0, source.rows), task).take(rows[::every])


def _empty(position: int, name: Any, dtype: str, kind: Kind) -> dict[str, Any]:
    return {
        "position": position,
        "name": name,
        "dtype": dtype,
        "kind": kind,
        "count": 0,
        "missing": 0,
        "distinct": None,
        "min": None,
        "max": None,
        "mean": None,
        "std": None,
        "quantiles": None,
        "histogram": None,
        "top": [],
        "true": None,
        "false": None,
        "error": None,
    }


def _of_column(column: Column, bins: int, top: int, cells: Cells, label: Any) -> dict[str, Any]:
    missing = masks.count(column.missing())
    found: dict[str, Any] = {"count": len(column) - missing, "missing": missing}
    distinct, frequent = column.counts(top)
    if column.kind in _MEASURED and distinct == found["count"]:
        frequent = []
    found["distinct"] = distinct
    found["top"] = [[str(cells.named(label, cell)), count] for cell, count in frequent]
    numbers = column.numbers()
    if numbers is None or len(numbers) == 0:
        if column.kind == "boolean":
            found.update({"true": 0, "false": 0})
        return found
    if column.kind == "boolean":
        true = masks.count(numbers)
        return {**found, "true": true, "false": len(numbers) - true}
    spread = (spread_of_list if type(numbers) is list else spread_of_array)(numbers, bins)
    return {**found, **_as_cells(spread, column, cells)}


def _as_cells(spread: dict[str, Any], column: Column, cells: Cells) -> dict[str, Any]:
    """The figures as cells of the column: those of times are times, the deviation of times is none."""
    if column.kind in ("integer", "number"):
        return spread

    def cell(number: Any) -> Any:
        return cells.cell(column.cell(number))

    histogram = spread["histogram"]
    return {
        **{name: cell(spread[name]) for name in ("min", "max", "mean")},
        "std": cell(spread["std"]) if column.kind == "duration" and spread["std"] is not None else None,
        "quantiles": {name: cell(number) for name, number in spread["quantiles"].items()},
        "histogram": histogram and {**histogram, "edges": [cell(edge) for edge in histogram["edges"]]},
    }
