"""Which rows of a table fulfil conditions, or hold a text in any column.

Rules: all conditions must hold. A missing cell fulfils only ``missing`` and ``ne``: ``ne`` is true wherever
``eq`` is not. ``contains``, ``starts``, ``ends``, ``regex`` and the search look at the cell's text as a page
shows it, and do not tell upper from lower case unless asked to; ``eq`` and ``in`` always do. ``between``
includes both ends; an end that is ``None`` is open.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Iterable
from typing import Any, Final, cast, get_args

from snakekernel.inspection import genuine, masks
from snakekernel.inspection.column import Column
from snakekernel.inspection.masks import Mask, Positions
from snakekernel.inspection.operands import Mismatch, TextTest
from snakekernel.inspection.table_query import Comparison, Condition, Match
from snakekernel.inspection.task import Task
from snakekernel.wire.errors import InvalidRequest

_MATCHES: Final = frozenset(get_args(Match))

#: Values of an ``in``.
_MOST_VALUES: Final = 10_000

_PLAIN: Final = genuine.Table.of(
    *(type(None), bool, int, float, str, decimal.Decimal),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
)


def checked_condition(condition: Condition, at: str) -> Condition:
    """The condition with a hashable value.

    Raises:
        InvalidRequest: the value is not what the operation takes, or not plain.
    """
    op, value = condition.op, condition.value
    if op in ("missing", "present"):
        return Condition(condition.column, op)
    if op in ("in", "between"):
        if type(value) not in (list, tuple) or (op == "between" and len(value) != 2):
            shape = "[low, high]" if op == "between" else "a list of values"
            raise InvalidRequest(f"{op} takes {shape}", at=f"{at}.value")
        if len(value) > _MOST_VALUES:
            raise InvalidRequest(f"in takes at most {_MOST_VALUES} values", at=f"{at}.value")
        value = tuple(value)
        parts = value
    else:
        parts = (value,)
    if op in _MATCHES and type(value) is not str:
        raise InvalidRequest(f"{op} takes a text", at=f"{at}.value")
    if any(type(part) not in _PLAIN for part in parts):
        raise InvalidRequest("values are numbers, texts, booleans and times", at=f"{at}.value")
    if op not in ("between", "in") and value is None:
        raise InvalidRequest(f"{op} needs a value; missing cells are found by missing", at=f"{at}.value")
    return Condition(condition.column, op, value, condition.case)


def matching_rows(
    column_of: Callable[[int], Column],
    conditions: tuple[Condition, ...],
    searched: Iterable[Mask] | None,
    task: Task,
) -> Positions | None:
    """Positions of the rows that fulfil all, ascending; ``None``: nothing was asked.

    Args:
        column_of: the column of a number.
        searched: where a text was found, of one column after the other; ``None``: none is sought.
    """
    found: Mask = None
    for n, condition in enumerate(conditions):
        task.progress(n, len(conditions), "filtering")
        mask = _holds(column_of(condition.column), condition, f"$.filter[{n}]")
        found = mask if found is None else masks.both(found, mask)
    anywhere: Mask = None
    for mask in searched or ():
        anywhere = mask if anywhere is None else masks.either(anywhere, mask)
    if anywhere is not None:
        found = anywhere if found is None else masks.both(found, anywhere)
    return None if found is None else masks.positions(found)


def _holds(column: Column, condition: Condition, at: str) -> Mask:
    op, value = condition.op, condition.value
    try:
        if op == "missing":
            return column.missing()
        if op == "present":
            return masks.flipped(column.missing())
        if op == "ne":
            return masks.flipped(column.compare("eq", value))
        if op == "in":
            return _among(column, value)
        if op == "between":
            return _between(column, *value)
        if op in _MATCHES:
            return column.matching(TextTest(cast(Match, op), value, condition.case))
        return column.compare(cast(Comparison, op), value)
    except Mismatch as error:
        raise InvalidRequest(f"{error}", at=f"{at}.value") from None


def _among(column: Column, values: tuple[Any, ...]) -> Mask:
    mask = column.among([value for value in values if value is not None])
    return masks.either(mask, column.missing()) if None in values else mask


def _between(column: Column, low: Any, high: Any) -> Mask:
    mask = masks.flipped(column.missing())
    if low is not None:
        mask = masks.both(mask, column.compare("ge", low))
    return mask if high is None else masks.both(mask, column.compare("le", high))
