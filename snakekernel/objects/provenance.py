"""Which cell or call made a stored object, and the versions of a name before it.

Rules: a maker is kept as it is at hand when an object is stored, and told in words when somebody asks, for
storing is hot. A history is made where a name is stored again or renamed, never for the first object of a
name, and holds no objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from .entries import Entry

#: Versions of a name that are remembered.
MOST: Final = 20
_LONGEST: Final = 200

#: A cell by its number; a call by its operation, what it calls (text, or parts of a path) and its user's
#: name; None for the notebook outside of cells.
Maker = int | tuple[str, Any, str] | None

Action = Literal["stored", "replaced", "renamed"]


#: An earlier version of a name: how many there are from it on, its number, action, time, maker and size,
#: and the one before it.
Past = tuple[int, int, Action, float, Maker, int | None, "Past | None"]


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


def past_of(entry: Entry) -> Past:
    """What is remembered of an entry when another takes its place."""
    at, by = entry.told or (entry.created, entry.by)
    before = entry.past
    count = 1 if before is None else before[0] + 1
    if before is not None and count > 2 * MOST:
        # Now and then, not every time.
        before = _shortened(before)
        count = before[0] + 1
    return count, entry.version, entry.action, at, by, entry.size, before


def _shortened(past: Past) -> Past:
    kept: list[Past] = []
    last: Past | None = past
    while len(kept) < MOST and last is not None:
        kept.append(last)
        last = last[6]
    made: Past | None = None
    for count, one in enumerate(reversed(kept), 1):
        made = (count, *one[1:6], made)
    assert made is not None
    return made


def history_of(entry: Entry) -> list[dict[str, Any]]:
    """The versions of an entry's name, newest first."""
    found: list[dict[str, Any]] = []
    past: Past | None = past_of(entry)
    while past is not None and len(found) < MOST:
        _, version, action, at, by, size, past = past
        found.append({"version": version, "action": action, "at": at, "made_by": made_by(by), "size": size})
    return found
