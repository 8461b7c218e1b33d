"""Saving and restoring the objects of a namespace, with a list of what could not be, and why.

Rules: an object that fails never stops the others; a failure of the file itself, or a stop of the request,
stops all, and then the file is as it was. Nothing is kept of an object once it is written or given out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..objects.entries import Entry
from ..objects.secrets import Secrets
from ..wire.errors import (
    InvalidRequest,
    LimitExceeded,
    Raised,
    SnakeError,
    StorageFailed,
    Unserializable,
)
from .pickles import Pickled, unpickled
from .rows import Row

if TYPE_CHECKING:
    from .database import Reading, Writing

#: Objects of one file.
MOST: Final = 10_000
#: Failures that are an object's own.
_OWN: Final = (Raised, Unserializable)

Failure = dict[str, Any]


@dataclass
class Report:
    """The names that went well, in order, and the others: ``id``, ``session_id``, ``reason``, ``type`` of the
    object (null where there is none) and ``error``, the name of what was raised."""

    done: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    bytes: int = 0

    def fail(self, name: str, session: str, kind: str | None, error: SnakeError) -> None:
        """Note a failure."""
        self.failed.append(
            {
                "id": name,
                "session_id": session or None,
                "reason": error.message,
                "type": kind,
                "error": error.ename,
            }
        )


def check_room(writing: Writing) -> None:
    """Raise LimitExceeded where a file would hold too many objects."""
    if len(writing.rows) > MOST:
        raise LimitExceeded(f"A file holds {MOST:,} objects at most; it is unchanged.")


def save(
    writing: Writing,
    session: str,
    entries: Iterable[Entry],
    *,
    only: bool,
    pickle: Callable[[str, Any], Pickled],
) -> Report:
    """Write objects of one namespace.

    What a file holds of an object that now fails stays as it was, and the failure says ``"kept": true``.

    Args:
        only: whether others of the namespace that the file holds stay, too.
        pickle: takes a name and its object, and runs user code; raises Raised or Unserializable for a
            failure of the object's own.
    """
    report = Report()
    seen: set[str] = set()
    for entry in entries:
        name, kind = entry.name, f"{entry.module}.{entry.type}"
        seen.add(name)
        try:
            name.encode()
            whole = pickle(name, entry.obj)
        except UnicodeEncodeError:
            report.fail(name, session, kind, Unserializable("UTF-8 cannot hold its name."))
        except _OWN as error:
            report.fail(name, session, kind, error)
            report.failed[-1]["kept"] = (session, name) in writing.rows
        else:
            row = writing.put(
                session,
                name,
                whole,
                type=entry.type,
                module=entry.module,
                created=entry.created,
                expires_at=entry.expires_at,
            )
            check_room(writing)
            report.done.append(name)
            report.bytes += row.size
    if not only:
        for theirs, name in list(writing.rows):
            if theirs == session and name not in seen:
                writing.delete(session, name)
    return report


def restore(
    reading: Reading,
    session: str,
    names: Sequence[str] | None,
    *,
    now: float,
    load: Callable[[Callable[[], Any]], Any],
    put: Callable[[Row, Any], None],
    is_taken: Callable[[str], bool],
    secrets: Secrets,
) -> Report:
    """Give the objects of one namespace out.

    Args:
        names: those that are wanted; None: all.
        load: runs what it is given, which is user code; raises Raised for what that raises.
        put: stores an object. is_taken: whether a name is to stay as it is.
        secrets: where keys that the objects hold are registered.
    """
    report = Report()
    rows = {row.name: row for row in reading.rows if row.session == session}
    for name in rows if names is None else dict.fromkeys(names):
        row = rows.get(name)
        if row is None:
            report.fail(name, session, None, InvalidRequest("The file holds no object of this name."))
            continue
        kind = f"{row.module}.{row.type}"
        try:
            if row.expires_at is not None and row.expires_at <= now:
                raise InvalidRequest("Its time to live ended.")
            if is_taken(name):
                raise InvalidRequest("There is an object of this name; overwrite is not asked for.")
            # Nothing of it is kept while the next one is loaded.
            put(row, load(partial(unpickled, *reading.parts(row), secrets)))
        except (*_OWN, InvalidRequest, LimitExceeded, StorageFailed) as error:
            report.fail(name, session, kind, error)
            continue
        except MemoryError:
            report.fail(name, session, kind, LimitExceeded("There is not enough memory for it."))
            continue
        report.done.append(name)
        report.bytes += row.size
    return report
