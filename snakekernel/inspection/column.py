"""One whole column of a table, of whatever library, and what sorting, filtering and summing up ask of it.

Rules: a column never changes what it came from; missing cells fulfil no comparison and come last in both
directions; orders are stable. Typed columns work on numpy arrays at once, without a Python loop.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from snakekernel.inspection import genuine, masks, operands
from snakekernel.inspection.kinds import Kind
from snakekernel.inspection.list_column import ListColumn, cell_texts, hashed
from snakekernel.inspection.masks import Mask, Positions
from snakekernel.inspection.operands import OPERATORS, Instant, Mismatch, TextTest
from snakekernel.inspection.table_query import Comparison


class Column(Protocol):
    """A column. ``kind``: what its cells are."""

    kind: Kind

    def __len__(self) -> int: ...

    def take(self, rows: Positions) -> Column:
        """The column of those rows, in their order."""
        ...

    def missing(self) -> Mask:
        """Which cells have no value."""
        ...

    def compare(self, op: Comparison, value: Any) -> Mask:
        """Which cells compare so with ``value``; raises Mismatch where they cannot."""
        ...

    def among(self, values: list[Any]) -> Mask:
        """Which cells equal one of the values."""
        ...

    def matching(self, test: TextTest) -> Mask:
        """In which cells' texts the test finds its text."""
        ...

    def argsort(self, descending: bool) -> Positions:
        """The stable order of the rows, missing cells last."""
        ...

    def counts(self, top: int) -> tuple[int | None, list[tuple[Any, int]]]:
        """How many distinct cells there are (``None``: cannot be told), and the most frequent ones."""
        ...

    def numbers(self) -> Any:
        """The cells that are there as numbers (an array or a list), or ``None`` if they are none."""
        ...

    def cell(self, number: Any) -> Any:
        """The cell that one of ``numbers``, or a number between two of them, stands for."""
        ...

    def digest(self) -> bytes:
        """A hash of the cells."""
        ...


#: Nanoseconds in a unit of numpy's times.
NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "D": 86_400_000_000_000,
    "W": 604_800_000_000_000,
}


def distinct(values: Any) -> tuple[Any, Any]:
    """The distinct values of an array in the order of their first appearance, and each row's number."""
    pandas = genuine.library("pandas")
    if "factorize" in pandas:
        codes, found = pandas["factorize"](values)
        return found, codes
    numpy = masks.numpy()
    found, first, codes = numpy.unique(values, return_index=True, return_inverse=True)
    order = numpy.argsort(first)
    place = numpy.empty(len(order), dtype=numpy.intp)
    place[order] = numpy.arange(len(order))
    return found[order], place[codes]


def stable(values: Any, descending: bool) -> Any:
    """The stable order of an array without missing values; ties keep their order in both directions."""
    if not descending:
        return values.argsort(kind="stable")
    return len(values) - 1 - values[::-1].argsort(kind="stable")[::-1]


def with_missing_last(values: Any, missing: Any, descending: bool) -> Any:
    """The stable order of an array of which some cells are missing."""
    if missing is None or not missing.any():
        return stable(values, descending)
    here = masks.positions(~missing)
    return masks.numpy().concatenate(
        [here[stable(values[here], descending)], masks.positions(missing)],
    )


def most_frequent(found: Any, codes: Any, top: int) -> list[tuple[int, int]]:
    """Number and count of the most frequent of ``found``, by count, then by first appearance."""
    numpy = masks.numpy()
    counts = numpy.bincount(codes, minlength=len(found))
    order = numpy.argsort(-counts, kind="stable")[:top]
    return [(int(n), int(counts[n])) for n in order]


class NumberColumn:
    """Numbers or booleans in an array of numpy.

    Args:
        values: one-dimensional; ``gone``: which are missing, besides NaN, or ``None``.
        cells: the cells of a page that some of the values are.
    """

    def __init__(
        self, values: Any, gone: Any, kind: Kind, cells: Callable[[Any], list[Any]] | None = None
    ) -> None:
        self.values = values
        self.kind = kind
        self.gone = gone
        self.cells = cells or _plain_cells
        if values.dtype.kind == "f":
            nan = values != values
            self.gone = nan if gone is None else gone | nan
        if self.gone is not None and not self.gone.any():
            self.gone = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Positions) -> NumberColumn:
        gone = None if self.gone is None else self.gone[rows]
        return NumberColumn(self.values[rows], gone, self.kind, self.cells)

    def missing(self) -> Any:
        numpy = masks.numpy()
        return numpy.zeros(len(self.values), bool) if self.gone is None else self.gone

    def compare(self, op: Comparison, value: Any) -> Any:
        return self._present(self._compare(op, operands.CHECKS[self.kind](value)))

    def _compare(self, op: Comparison, value: Any) -> Any:
        if type(value) is not int and type(value) is not bool:
            value = float(value)  # a Decimal; numpy compares arrays with floats
        try:
            return OPERATORS[op](self.values, value)
        except OverflowError:  # an integer beyond what a float can be
            return OPERATORS[op](self.values, float("inf") if value > 0 else float("-inf"))

    def _present(self, mask: Any) -> Any:
        return mask if self.gone is None else mask & ~self.gone

    def among(self, values: list[Any]) -> Any:
        mask = masks.numpy().zeros(len(self.values), bool)
        for value in values:
            mask |= self.compare("eq", value)
        return mask

    def matching(self, test: TextTest) -> Any:
        found, codes = distinct(self.values)
        keep = masks.numpy().array([*test.keep(cell_texts(self.cells(found))), False], bool)
        return self._present(keep[codes])  # the code of NaN is -1

    def argsort(self, descending: bool) -> Any:
        return with_missing_last(self.values, self.gone, descending)

    def _there(self) -> Any:
        return self.values if self.gone is None else self.values[~self.gone]

    def counts(self, top: int) -> tuple[int, list[tuple[Any, int]]]:
        found, codes = distinct(self._there())
        frequent = most_frequent(found, codes, top)
        cells = self.cells(found[[n for n, _ in frequent]])
        return len(found), [(cell, count) for cell, (_, count) in zip(cells, frequent, strict=True)]

    def numbers(self) -> Any:
        return self._there()

    def cell(self, number: Any) -> Any:
        plain: Any = number.item() if hasattr(number, "item") else number
        return plain

    def digest(self) -> bytes:
        numpy = masks.numpy()
        parts = [self.values] if self.gone is None else [self.values, self.gone]
        return hashed(*(numpy.ascontiguousarray(part).view(numpy.uint8) for part in parts))


def _plain_cells(values: Any) -> list[Any]:
    cells: list[Any] = values.tolist()
    return cells


class TimeColumn(NumberColumn):
    """Times or durations as an array of whole numbers.

    Args:
        unit: nanoseconds that one of the numbers is.
        zone: of times that know their zone; the numbers are in UTC then.
    """

    def __init__(
        self,
        values: Any,
        gone: Any,
        kind: Kind,
        cells: Callable[[Any], list[Any]],
        unit: int,
        zone: datetime.tzinfo | None = None,
    ) -> None:
        super().__init__(values, gone, kind, cells)
        self.unit = unit
        self.zone = zone

    def take(self, rows: Positions) -> TimeColumn:
        gone = None if self.gone is None else self.gone[rows]
        return TimeColumn(self.values[rows], gone, self.kind, self.cells, self.unit, self.zone)

    def _compare(self, op: Comparison, value: Any) -> Any:
        ns = value if type(value) is int else self._utc(value)
        below, rest = divmod(ns, self.unit)
        if rest and op == "eq":
            return masks.numpy().zeros(len(self.values), bool)
        above = below + 1 if rest else below
        return OPERATORS[op](self.values, above if op in ("lt", "ge") else below)

    def _utc(self, value: Instant) -> int:
        if self.zone is None:
            if value.aware:
                raise Mismatch("times without a zone are compared with a time without a zone")
            return value.ns
        if value.aware:
            return value.ns
        shift = value.wall.replace(tzinfo=self.zone).utcoffset() or datetime.timedelta()
        return value.ns - operands.span(shift)

    def cell(self, number: Any) -> Any:
        numpy = masks.numpy()
        return self.cells(numpy.array([round(number)], dtype=self.values.dtype))[0]


class CategoryColumn:
    """Numbers of categories, -1 where missing, and the categories' labels.

    Args:
        ordered: the categories compare by their order; else their labels compare.
    """

    kind: Kind = "category"

    def __init__(self, codes: Any, labels: Sequence[Any], ordered: bool) -> None:
        self.codes = codes
        self.labels = list(labels)
        self.ordered = ordered

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Positions) -> CategoryColumn:
        return CategoryColumn(self.codes[rows], self.labels, self.ordered)

    def missing(self) -> Any:
        return self.codes < 0

    def _of_labels(self, mask: list[bool]) -> Any:
        return masks.numpy().array([*mask, False], bool)[self.codes]  # the code -1 takes the last

    def compare(self, op: Comparison, value: Any) -> Any:
        if not self.ordered or op == "eq":
            return self._of_labels(ListColumn(self.labels).compare(op, value))
        place = ListColumn(self.labels).compare("eq", value)
        if True not in place:
            raise Mismatch("a column of ordered categories is compared with one of them")
        return OPERATORS[op](self.codes, place.index(True)) & ~self.missing()

    def among(self, values: list[Any]) -> Any:
        return self._of_labels(ListColumn(self.labels).among(values))

    def matching(self, test: TextTest) -> Any:
        return self._of_labels(test.keep(cell_texts(self.labels)))

    def argsort(self, descending: bool) -> Any:
        return with_missing_last(self.codes, self.missing(), descending)

    def counts(self, top: int) -> tuple[int, list[tuple[Any, int]]]:
        here = self.codes[self.codes >= 0]
        frequent = most_frequent(self.labels, here, len(self.labels))
        there = [(self.labels[n], count) for n, count in frequent if count]
        return len(there), there[:top]

    def numbers(self) -> None:
        return None

    def cell(self, number: Any) -> Any:
        return number

    def digest(self) -> bytes:
        codes = masks.numpy().ascontiguousarray(self.codes).view("u1")
        return hashed(codes, ListColumn(self.labels).digest())
