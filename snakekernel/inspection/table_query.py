"""What rows of a table are asked for, in which order: data only, so that a kernel starts with no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

#: Comparisons with one value; a missing cell fulfils none.
Comparison = Literal["eq", "lt", "le", "gt", "ge"]
#: How a text is looked for.
Match = Literal["contains", "starts", "ends", "regex"]

Op = Comparison | Match | Literal["ne", "between", "in", "missing", "present"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. ``column``: its position; ``value``: as ``op`` needs it, a tuple for several."""

    column: int
    op: Op
    value: Any = None
    case: bool = False


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key: the position of a column, and the direction."""

    column: int
    descending: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What rows of a table, in which order."""

    sort: tuple[SortKey, ...] = ()
    filter: tuple[Condition, ...] = ()
    search: str = ""

    @property
    def whole(self) -> bool:
        """Whether these are all rows as they are."""
        return not (self.sort or self.filter or self.search)

    def columns(self, total: int) -> list[int]:
        """The columns that decide it, each once."""
        if self.search:
            return list(range(total))
        return list(dict.fromkeys([key.column for key in self.sort] + [part.column for part in self.filter]))
