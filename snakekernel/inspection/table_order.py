"""The rows of a table in the order asked for, kept so that paging on does not sort again.

Rules: orders are stable, missing cells last in both directions, the first key counting most. A kept order is
used only while the object looks the same: its shape, its column labels, and the cells it was made from, all
of them in small tables, evenly spaced ones in large tables (``Looks``). What is kept never keeps an object
alive, and is bounded in bytes.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from snakekernel.inspection import masks
from snakekernel.inspection.column import Column
from snakekernel.inspection.list_column import ListColumn, hashed
from snakekernel.inspection.masks import Mask, Positions
from snakekernel.inspection.operands import Mismatch, TextTest
from snakekernel.inspection.table_filter import matching_rows
from snakekernel.inspection.table_query import View
from snakekernel.inspection.table_sources import Source
from snakekernel.inspection.task import Task
from snakekernel.wire.errors import InvalidRequest

#: Cells that are looked at to see whether a table changed.
_LOOKED_AT: Final = 1 << 20

#: Columns of them; more of the columns that a search goes through are not looked at.
_COLUMNS_LOOKED_AT: Final = 512

#: Tables of up to so many rows may have very many columns, each of which costs more to set up than to search:
#: they are searched as objects, a block of columns at a time.
_FEW_ROWS: Final = 256
_BLOCK: Final = 256

#: Rows up to which a table is never sampled.
NEVER_SAMPLED: Final = 20_000

_OBJECTS: Final = ("object", "Object")

#: Seconds a row takes in one column, measured on one slow core.
_COST: Final = {
    "sort": 1.5e-7,
    "sort text": 4e-7,
    "sort objects": 2e-6,
    "filter": 2e-8,
    "filter text": 1e-7,
    "filter objects": 4e-7,
    "search": 2e-7,
    "search objects": 1e-6,
}


@dataclass(frozen=True, slots=True)
class Order:
    """Positions of the rows. ``step``: every how many rows were looked at; above 1 it is a sample."""

    rows: Positions
    step: int = 1


def check_columns(view: View, columns: int) -> None:
    """Raise InvalidRequest where the view names a column that the table does not have."""
    for field, numbers in (
        ("sort", [key.column for key in view.sort]),
        ("filter", [condition.column for condition in view.filter]),
    ):
        for n, number in enumerate(numbers):
            if not 0 <= number < columns:
                raise InvalidRequest(
                    f"the table has no column {number}; it has {columns}, counted from 0",
                    at=f"$.{field}[{n}].column",
                )


def make_order(source: Source, view: View, task: Task, step: int = 1) -> Order:
    """Filter and sort every ``step``-th row.

    Raises:
        InvalidRequest: a column's cells cannot be compared, with each other or with a condition's value.
        Cancelled, DeadlineExceeded: by the task.
    """
    every = slice(0, source.rows, step)
    columns: dict[int, Any] = {}

    def column_of(number: int) -> Any:
        if number not in columns:
            made = source.column(number, every, task)
            if len(view.columns(0)) < 50:  # a search over thousands of columns keeps none of them
                columns[number] = made
            return made
        return columns[number]

    searched = _search(source, column_of, every, view.search, task) if view.search else None
    rows = matching_rows(column_of, view.filter, searched, task)
    count = len(range(*every.indices(source.rows)))
    for done, key in enumerate(reversed(view.sort)):
        task.progress(done, len(view.sort), "sorting")
        try:
            rows = _sorted(column_of(key.column), rows, key.descending)
        except Mismatch as error:
            at = f"$.sort[{len(view.sort) - 1 - done}].column"
            raise InvalidRequest(f"the column cannot be sorted: {error}", at=at) from None
    rows = list(range(count)) if rows is None else rows
    if step > 1:
        rows = [n * step for n in rows] if type(rows) is list else rows * step
    return Order(rows, step)


def _search(
    source: Source, column_of: Callable[[int], Column], every: slice, text: str, task: Task
) -> Iterator[Mask]:
    """Masks of the rows that hold the text, of one column or some columns after the other."""
    test = TextTest("contains", text)
    few = source.rows <= _FEW_ROWS
    for start in range(0, source.columns, _BLOCK if few else 1):
        task.progress(start, source.columns, "searching")
        if not few:
            yield column_of(start).matching(test)
            continue
        columns = source.cells(every, (start, min(start + _BLOCK, source.columns)))
        kept = ListColumn(list(chain.from_iterable(columns)), "other", task).matching(test)
        yield [any(kept[row :: source.rows]) for row in range(source.rows)]


def _sorted(column: Any, rows: Positions | None, descending: bool) -> Positions:
    if rows is None:
        return column.argsort(descending)
    return masks.pick(rows, column.take(rows).argsort(descending))


class Orders:
    """The orders made last.

    Args:
        most_bytes: what the kept ones take up at most; one that is larger is not kept.
    """

    def __init__(self, most_bytes: int = 64 << 20) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._gone: list[Hashable] = []

    def __len__(self) -> int:
        return len(self._kept)

    def order(
        self,
        obj: Any,
        source: Source,
        view: View,
        task: Task,
        *,
        step: int = 1,
        fewer: int = 1,
        fresh: bool = False,
    ) -> Order:
        """The order of the object's rows, made now if none is kept or the object changed.

        Args:
            step: every how many rows to look at. fewer: how many times fewer it turned out to have to be;
                the order is kept all the same for those who ask for ``step`` again.
            fresh: make it now in any case.
        """
        look = _look(source, view, task)
        key = (id(obj), view, step)
        with self._lock:
            self._forget_gone()
            kept = self._kept.get(key)
            if kept is not None and not fresh and kept.look == look and kept.is_of(obj):
                self._kept.move_to_end(key)
                return kept.order
        order = make_order(source, view, task, step * fewer)
        self._keep(key, _Kept(order, look, self._weakly(obj, key), _size(order)))
        return order

    def _keep(self, key: Hashable, kept: _Kept) -> None:
        with self._lock:
            self._drop(key)
            if kept.bytes > self.most_bytes:
                return
            self._kept[key] = kept
            self.bytes += kept.bytes
            while self.bytes > self.most_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.bytes -= kept.bytes

    def _weakly(self, obj: Any, key: Hashable) -> weakref.ref[Any] | None:
        try:
            return weakref.ref(obj, lambda _: self._died(key))
        except TypeError:  # a list or a dict: its looks alone tell it from what comes after it
            return None

    def _died(self, key: Hashable) -> None:
        # Called wherever the object ends, perhaps in this very thread while it holds the lock.
        self._gone.append(key)
        if self._lock.acquire(blocking=False):
            try:
                self._forget_gone()
            finally:
                self._lock.release()

    def _forget_gone(self) -> None:
        while self._gone:
            key = self._gone.pop()
            kept = self._kept.get(key)
            if kept is not None and kept.ref is not None and kept.ref() is None:
                self._drop(key)


@dataclass(frozen=True, slots=True)
class _Kept:
    order: Order
    look: bytes
    ref: weakref.ref[Any] | None
    bytes: int

    def is_of(self, obj: Any) -> bool:
        return self.ref is None or self.ref() is obj


def _look(source: Source, view: View, task: Task) -> bytes:
    """A hash of the table's shape and of the cells that decide the view."""
    columns = view.columns(source.columns)
    columns = columns[:: max(-(-len(columns) // _COLUMNS_LOOKED_AT), 1)]
    room = max(_LOOKED_AT // max(len(columns), 1), 1)
    every = slice(0, source.rows, max(-(-source.rows // room), 1))
    parts = [f"{source.rows} {source.columns}".encode()]
    for column in columns:
        task.check()
        parts.append(source.column(column, every, task).digest())
    return hashed(*parts)


def _size(order: Order) -> int:
    return 64 * len(order.rows) if type(order.rows) is list else int(order.rows.nbytes)


def affordable_step(source: Source, view: View, seconds: float) -> int:
    """Every how many rows to look at, so that making the view takes about half of ``seconds`` at most."""
    if source.rows <= NEVER_SAMPLED:
        return 1
    each = _search_cost(source) if view.search else 0.0
    asked = [("sort", key.column) for key in view.sort]
    asked += [("filter", condition.column) for condition in view.filter]
    for op, column in asked:
        _, dtype, kind = source.header((column, column + 1))[0]
        each += _COST[f"{op} objects" if dtype in _OBJECTS else f"{op} text" if kind == "text" else op]
    return max(math.ceil(2 * each * source.rows / seconds), 1)


def _search_cost(source: Source) -> float:
    """Seconds that a row takes to search, judged by the first columns."""
    head = source.header((0, min(source.columns, 64)))
    costs = [_COST["search objects" if dtype in _OBJECTS else "search"] for _, dtype, _ in head]
    return source.columns * sum(costs) / max(len(costs), 1)
