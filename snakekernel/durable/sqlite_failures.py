"""What SQLite raises, as errors of the protocol that say what to do.

Rules: apart from the others, which a kernel has that never opens a file: SQLite is loaded with this module.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from . import failures
from .failures import Reason, failed

_OF_SQLITE: Final[dict[int, tuple[Reason, str]]] = {
    sqlite3.SQLITE_FULL: ("full", "No space is left for {path}; what it held before is unchanged."),
    sqlite3.SQLITE_READONLY: ("read_only", "{path} may not be written."),
    sqlite3.SQLITE_CANTOPEN: ("io", "{path} cannot be opened."),
    sqlite3.SQLITE_PERM: ("read_only", "{path} may not be written."),
    sqlite3.SQLITE_AUTH: ("read_only", "{path} may not be written."),
    sqlite3.SQLITE_BUSY: ("busy", "Another process writes {path}; try again."),
    sqlite3.SQLITE_LOCKED: ("busy", "{path} is in use; try again."),
    sqlite3.SQLITE_IOERR: ("io", "The system failed to read or write {path}: {error}."),
    sqlite3.SQLITE_NOMEM: ("io", "There is not enough memory for {path}."),
    sqlite3.SQLITE_TOOBIG: ("io", "A part of {path} is too large for SQLite."),
}
_CORRUPT: Final[tuple[Reason, str]] = ("corrupt", "{path} is damaged, or no file of snakekernel's: {error}.")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What SQLite and the system raise within, as errors that name the file."""
    try:
        with failures.told(path):
            yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        reason, text = _CORRUPT if code is None else _OF_SQLITE.get(code & 0xFF, _CORRUPT)
        raise failed(reason, text.format(path=path, error=error)) from None
    except UnicodeDecodeError as error:
        # Text of a damaged file, which SQLite quotes in its error.
        reason, text = _CORRUPT
        raise failed(reason, text.format(path=path, error=error.reason)) from None
