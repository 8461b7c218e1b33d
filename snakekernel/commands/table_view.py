"""What ``table`` and ``summarize`` share: sort keys and conditions of a request."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from .. import inspection
from ..inspection.table_query import Condition, Op, SortKey, View
from .scope import Scope

#: Sort keys, and conditions, of one request.
_MOST: Final = 64

#: Position of a column, from 0.
Position = Annotated[int, msgspec.Meta(ge=0)]

#: Seconds that reading, sorting, filtering and summing up may take.
Budget = Annotated[float, msgspec.Meta(gt=0, le=60)]

#: A text to look for; the empty one looks for nothing.
Search = Annotated[str, msgspec.Meta(max_length=1024)]


class Sort(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sort key; the first counts most, missing cells come last in both directions."""

    column: Position
    descending: bool = False


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One condition on a column; all must hold. ``case``: whether upper and lower case differ in texts."""

    column: Position
    op: Op
    value: Any = None
    case: bool = False


Sorts = Annotated[list[Sort], msgspec.Meta(max_length=_MOST)]
Filters = Annotated[list[Filter], msgspec.Meta(max_length=_MOST)]


def view_of(scope: Scope, sort: list[Sort], filter: list[Filter], search: str) -> View:
    """The view that a request asks for; values may be any plain data of the grammar."""
    conditions = []
    for n, part in enumerate(filter):
        at = f"$.filter[{n}]"
        value = scope.decode(part.value, at=f"{at}.value")
        condition = Condition(part.column, part.op, value, part.case)
        conditions.append(inspection.checked_condition(condition, at))
    keys = tuple(SortKey(key.column, key.descending) for key in sort)
    return View(keys, tuple(conditions), search)
