"""A column of Python objects: cells of a list of records, or of an array of objects.

Rules: nothing of an object's own code runs but its comparison when it is sorted or compared, and its repr
when texts are sought; the caller bounds the time. Long work looks at its task every few thousand cells.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import marshal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from snakekernel.inspection import facts, genuine, kinds, masks, operands, timed
from snakekernel.inspection.kinds import Kind
from snakekernel.inspection.masks import Positions
from snakekernel.inspection.operands import OPERATORS, Mismatch, TextTest
from snakekernel.inspection.table_query import Comparison
from snakekernel.inspection.task import Task
from snakekernel.inspection.text import object_text

#: Cells between two looks at the task.
_CHUNK: Final = 8_192

_WORDED: Final = {
    "pandas": ("Timestamp", "Timedelta", "Period", "Interval"),
    "numpy": ("datetime64", "timedelta64"),
}

_PLAIN: Final = genuine.Table.of(int, float, bool, str, decimal.Decimal)

_NUMBERS: Final = genuine.Table.of(int, float, bool, decimal.Decimal)

_TIMES: Final = genuine.Table.of(datetime.datetime, datetime.date, datetime.time, datetime.timedelta)

#: Types that hash and compare by the interpreter's own code.
_HASHABLE: Final = genuine.Table.of(int, float, bool, str, bytes, decimal.Decimal)

#: Types that marshal writes exactly.
_MARSHALLED: Final = genuine.Table.of(int, float, bool, str, bytes, type(None))


def hashed(*parts: Any) -> bytes:
    """A hash of buffers, one after the other."""
    state = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        state.update(part)
    return state.digest()


def is_worded(obj: Any) -> bool:
    """Whether the object is a scalar of a library whose ``str`` says all there is."""
    if type(obj) is datetime.datetime:
        return genuine.library_kind(obj.tzinfo, "zoneinfo", "ZoneInfo") is not None
    return any(
        genuine.library_kind(obj, root, *names) and genuine.is_librarys_own(type(obj), root)
        for root, names in _WORDED.items()
    )


def cell_texts(cells: Sequence[Any]) -> list[str]:
    """The texts that cells are sought by: those a page shows."""
    types = genuine.one_of_each_type(cells)
    if all(_is_said_by_str(cell) for cell in types):
        return ["" if cell is None else str(cell) for cell in cells]
    said = {id(type(cell)) for cell in types if _is_said_by_str(cell)}
    return [str(cell) if id(type(cell)) in said else _repr(cell) for cell in cells]


def _is_said_by_str(cell: Any) -> bool:
    """Whether a cell of this type is shown as its ``str``, by code of the interpreter or a data library."""
    known = cell is None or type(cell) in _PLAIN or type(cell) in _TIMES or is_worded(cell)
    return known or facts.data_kind(cell) == "numpy.generic"


def _repr(cell: Any) -> str:
    try:
        return genuine.clean(repr(cell))
    except Exception:  # the object's own failure; what it is called can still be sought
        return object_text(cell)


class ListColumn:
    """Cells in a list.

    Args:
        kind: what they are; found out where it is not given.
    """

    def __init__(self, cells: list[Any], kind: Kind | None = None, task: Task | None = None) -> None:
        self.cells = cells
        self.kind: Kind = kind or kinds.of_cells(cells[: kinds.LOOKED_AT])
        self.task = task or Task()

    def __len__(self) -> int:
        return len(self.cells)

    def _chunks(self) -> Iterator[list[Any]]:
        for start in range(0, len(self.cells), _CHUNK):
            self.task.check()
            yield self.cells[start : start + _CHUNK]

    def take(self, rows: Positions) -> ListColumn:
        return ListColumn([self.cells[n] for n in masks.listed(rows)], self.kind, self.task)

    def missing(self) -> list[bool]:
        return [gone for chunk in self._chunks() for gone in kinds.missing_of(chunk)]

    def compare(self, op: Comparison, value: Any) -> list[bool]:
        as_given: Callable[[Any], Any] = _same
        if self.kind == "datetime":
            value, as_given = operands.instant(value).wall, _moment
        elif self.kind == "duration":
            value = datetime.timedelta(microseconds=operands.span(value) / 1_000)
        elif self.kind in operands.CHECKS:
            operands.CHECKS[self.kind](value)
        compare = OPERATORS[op]
        kept: list[bool] = []
        try:
            for chunk in self._chunks():
                kept += [
                    not gone and bool(compare(as_given(cell), value))
                    for cell, gone in zip(chunk, kinds.missing_of(chunk), strict=True)
                ]
        except TypeError as error:  # "'<' not supported between instances of …"
            raise Mismatch(f"its cells cannot be compared with that value: {timed.summary(error)}") from None
        return kept

    def among(self, values: list[Any]) -> list[bool]:
        if self.kind not in ("datetime", "duration") and all(type(value) in _HASHABLE for value in values):
            wanted = set(values)
            return [
                type(cell) in _HASHABLE and cell in wanted and not gone
                for chunk in self._chunks()
                for cell, gone in zip(chunk, kinds.missing_of(chunk), strict=True)
            ]
        found = [False] * len(self.cells)
        for value in values:
            found = masks.either(found, self.compare("eq", value))
        return found

    def matching(self, test: TextTest) -> list[bool]:
        kept: list[bool] = []
        for chunk in self._chunks():
            kept += test.keep(cell_texts(chunk))
        return [keep and not gone for keep, gone in zip(kept, self.missing(), strict=True)]

    def argsort(self, descending: bool) -> list[int]:
        missing = self.missing()
        here = masks.positions(masks.flipped(missing))
        cells = self.cells
        try:
            here.sort(key=cells.__getitem__, reverse=descending)
        except TypeError as error:
            raise Mismatch(f"its cells cannot be put in order: {timed.summary(error)}") from None
        return here + masks.positions(missing)  # type: ignore[no-any-return]

    def counts(self, top: int) -> tuple[int | None, list[tuple[Any, int]]]:
        there = self._there()
        samples = genuine.one_of_each_type(there)
        if not all(type(cell) in _HASHABLE or is_worded(cell) for cell in samples):
            return self._by_text(there, top)
        if len(samples) == 1:
            found = Counter(there)
            return len(found), found.most_common(top)
        typed = Counter((type(cell), cell) for cell in there)  # 1 and True are not the same cell
        return len(typed), [(cell, count) for (_, cell), count in typed.most_common(top)]

    def _by_text(self, there: list[Any], top: int) -> tuple[int | None, list[tuple[Any, int]]]:
        standard = all(type(cell) in _TIMES for cell in genuine.one_of_each_type(there))
        if not there or not standard:
            return None, []
        found = Counter(map(str, there))
        return len(found), found.most_common(top)

    def _there(self) -> list[Any]:
        return [
            cell
            for chunk in self._chunks()
            for cell, gone in zip(chunk, kinds.missing_of(chunk), strict=True)
            if not gone
        ]

    def numbers(self) -> list[Any] | None:
        if self.kind not in ("integer", "number", "boolean"):
            return None
        there = self._there()
        return there if all(type(cell) in _NUMBERS for cell in genuine.one_of_each_type(there)) else None

    def cell(self, number: Any) -> Any:
        return number

    def digest(self) -> bytes:
        try:
            # Version 2 writes no references, which depend on who else holds a cell.
            return hashed(marshal.dumps(self.cells, 2))
        except ValueError:  # objects; what they keep inside is not looked at
            return hashed(marshal.dumps(_marks(self.cells), 2))


def _same(cell: Any) -> Any:
    return cell


def _moment(cell: Any) -> Any:
    """A date as the midnight it begins with, which compares with other times."""
    return datetime.datetime(cell.year, cell.month, cell.day) if type(cell) is datetime.date else cell


def _marks(cells: list[Any]) -> list[Any]:
    """What tells whether a cell is still the same: its value, its text, or which object it is."""
    marks: dict[int, Callable[[Any], Any]] = {}
    for cell in genuine.one_of_each_type(cells):
        if type(cell) in _MARSHALLED:
            marks[id(type(cell))] = _same
        else:
            marks[id(type(cell))] = str if _is_said_by_str(cell) else id
    return [marks[id(type(cell))](cell) for cell in cells]
