"""A column of Python objects: cells of a list of records, or of an array of objects.

Rules: nothing of an object's own code runs but its comparison when it is sorted or compared, and its repr
when texts are sought; the caller bounds the time. Long work looks at its task every few thousand cells.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import marshal
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from snakekernel.inspection import facts, genuine, kinds, masks, operands, timed
from snakekernel.inspection.kinds import Kind
from snakekernel.inspection.masks import Positions
from snakekernel.inspection.operands import Comparison, Mismatch, TextTest
from snakekernel.inspection.task import Task
from snakekernel.inspection.text import object_text

#: Cells between two looks at the task.
_CHUNK: Final = 8_192

_WORDED: Final = {
    "pandas": ("Timestamp", "Timedelta", "Period", "Interval"),
    "numpy": ("datetime64", "timedelta64"),
}

_PLAIN: Final = genuine.Table.of(int, float, bool, str, decimal.Decimal)

_TIMES: Final = genuine.Table.of(datetime.datetime, datetime.date, datetime.time, datetime.timedelta)

#: Types that hash and compare by the interpreter's own code.
_HASHABLE: Final = frozenset((int, float, bool, str, bytes, decimal.Decimal))

_OPERATORS: Final[dict[Comparison, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


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
    return [cell if type(cell) is str else _text(cell) for cell in cells]


def _text(cell: Any) -> str:
    known = type(cell) in _PLAIN or type(cell) in _TIMES or is_worded(cell)
    if known or facts.data_kind(cell) == "numpy.generic":
        return str(cell)
    if cell is None:
        return ""
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
        is_missing = kinds.is_missing
        return [is_missing(cell) for chunk in self._chunks() for cell in chunk]

    def compare(self, op: Comparison, value: Any) -> list[bool]:
        as_given: Callable[[Any], Any] = _same
        if self.kind == "datetime":
            value, as_given = operands.instant(value).wall, _moment
        elif self.kind == "duration":
            value = datetime.timedelta(microseconds=operands.span(value) / 1_000)
        elif self.kind in operands.CHECKS:
            operands.CHECKS[self.kind](value)
        compare, is_missing = _OPERATORS[op], kinds.is_missing
        kept: list[bool] = []
        try:
            for chunk in self._chunks():
                kept += [not is_missing(cell) and bool(compare(as_given(cell), value)) for cell in chunk]
        except TypeError as error:  # "'<' not supported between instances of …"
            raise Mismatch(f"its cells cannot be compared with that value: {timed.summary(error)}") from None
        return kept

    def among(self, values: list[Any]) -> list[bool]:
        if self.kind not in ("datetime", "duration") and all(type(value) in _HASHABLE for value in values):
            wanted = set(values)
            return [
                type(cell) in _HASHABLE and cell in wanted and not kinds.is_missing(cell)
                for chunk in self._chunks()
                for cell in chunk
            ]
        found = [False] * len(self.cells)
        for value in values:
            found = masks.either(found, self.compare("eq", value))
        return found

    def matching(self, test: TextTest) -> list[bool]:
        kept: list[bool] = []
        for chunk in self._chunks():
            kept += test.keep(cell_texts(chunk))
        if test.text == "" or test.how == "regex":  # the empty text of a missing cell is none
            return masks.both(kept, masks.flipped(self.missing()))  # type: ignore[no-any-return]
        return kept

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
        types = set(map(id, map(type, there)))
        if not all(type(cell) in _HASHABLE or is_worded(cell) for cell in _one_of_each_type(there)):
            return self._by_text(there, top)
        if len(types) == 1:
            found = Counter(there)
            return len(found), found.most_common(top)
        typed = Counter((type(cell), cell) for cell in there)  # 1 and True are not the same cell
        return len(typed), [(cell, count) for (_, cell), count in typed.most_common(top)]

    def _by_text(self, there: list[Any], top: int) -> tuple[int | None, list[tuple[Any, int]]]:
        standard = all(type(cell) in _TIMES for cell in _one_of_each_type(there))
        if not there or not standard:
            return None, []
        found = Counter(map(str, there))
        return len(found), found.most_common(top)

    def _there(self) -> list[Any]:
        is_missing = kinds.is_missing
        return [cell for chunk in self._chunks() for cell in chunk if not is_missing(cell)]

    def numbers(self) -> list[Any] | None:
        if self.kind not in ("integer", "number", "boolean"):
            return None
        there = self._there()
        return there if all(type(cell) in _PLAIN and type(cell) is not str for cell in there) else None

    def cell(self, number: Any) -> Any:
        return number

    def digest(self) -> bytes:
        try:
            # Version 2 writes no references, which depend on who else holds a cell.
            return hashed(marshal.dumps(self.cells, 2))
        except ValueError:  # objects; what they keep inside is not looked at
            return hashed(marshal.dumps([_mark(cell) for cell in self.cells], 2))


def _same(cell: Any) -> Any:
    return cell


def _moment(cell: Any) -> Any:
    """A date as the midnight it begins with, which compares with other times."""
    return datetime.datetime(cell.year, cell.month, cell.day) if type(cell) is datetime.date else cell


def _one_of_each_type(cells: list[Any]) -> list[Any]:
    return list({id(type(cell)): cell for cell in cells}.values())


def _mark(cell: Any) -> Any:
    if type(cell) in _HASHABLE and type(cell) is not decimal.Decimal:
        return cell
    if cell is None or is_worded(cell) or type(cell) in _TIMES:
        return str(cell)
    return id(cell)
