"""Which cell or call made a stored object, and the versions of a name before it.

Rules: a maker is kept as it is at hand when an object is stored, and told in words when somebody asks, for
storing is hot. A history is made where a name is stored again or renamed, never for the first object of a
name, and holds no objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from .store import Entry

#: Versions of a name that are remembered.
MOST: Final = 20
_LONGEST: Final = 200

#: A cell by its number; a call by its operation, what it calls (text, or parts of a path) and its user's
#: name; None for the notebook outside of cells.
Maker = int | tuple[str, Any, str] | None

Action = Literal["stored", "replaced", "renamed"]


@dataclass(slots=True)
class Record:
    """One version of a name. ``at`` is in seconds since 1970; ``size`` in bytes, where it was asked for."""

    version: int
    action: Action
    at: float
    by: Maker
    size: int | None


def made_by(by: Maker) -> dict[str, Any]:
    """A maker in words: ``kind`` (cell, call or notebook), ``label``, and ``client``, the user or None."""
    if by is None:
        return {"kind": "notebook", "label": "notebook", "client": None}
    if isinstance(by, int):
        return {"kind": "cell", "label": f"In [{by}]", "client": None}
    op, target, client = by
    label = target
    if isinstance(target, list):
        label = ".".join(part for part in target if isinstance(part, str))
    return {"kind": "call", "label": (label or op)[:_LONGEST], "client": client or None}


def recorded(entry: Entry, action: Action, old: Entry, **fields: Any) -> tuple[Record, ...]:
    """The history of an entry that came after another; ``by`` and ``at`` where not its own."""
    before = old.history
    if before:
        before[0].size = old.size
    else:
        before = (_record(old, "stored"),)
    return (_record(entry, action, **fields), *before[: MOST - 1])


def _record(entry: Entry, action: Action, *, by: Maker = None, at: float | None = None) -> Record:
    made, made_at = (entry.by, entry.created) if at is None else (by, at)
    return Record(entry.version, action, made_at, made, entry.size)


def history_of(entry: Entry) -> list[dict[str, Any]]:
    """The versions of an entry's name, newest first."""
    records = entry.history or (_record(entry, "stored"),)
    return [
        {
            "version": record.version,
            "action": record.action,
            "at": record.at,
            "made_by": made_by(record.by),
            "size": record.size if number else entry.size,
        }
        for number, record in enumerate(records)
    ]
