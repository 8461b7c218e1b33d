"""What goes wrong with a file, as errors of the protocol that say what to do.

Rules: ``reason`` is stable; the text names the file and never what is in it.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from ..wire.errors import StorageFailed

#: ``full``: no space is left. ``read_only``: it may not be written. ``corrupt``: it is damaged, or no file of
#: ours. ``newer``: a later version wrote it. ``signature``: it is not what its owner wrote. ``key``: the
#: owner's key cannot be used. ``busy``: another process writes it. ``missing``: there is none. ``refused``:
#: its owner or kind is wrong. ``io``: the system failed.
Reason = Literal[
    "full", "read_only", "corrupt", "newer", "signature", "key", "busy", "missing", "refused", "io"
]

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
_OF_SYSTEM: Final[dict[int, Reason]] = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.ENOENT: "missing",
    errno.ELOOP: "refused",
}


def failed(reason: Reason, message: str) -> StorageFailed:
    """The error of a reason."""
    return StorageFailed(message, reply={"reason": reason})


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What SQLite and the system raise within, as errors that name the file."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        reason, text = _CORRUPT if code is None else _OF_SQLITE.get(code & 0xFF, _CORRUPT)
        raise failed(reason, text.format(path=path, error=error)) from None
    except UnicodeDecodeError as error:
        # Text of a damaged file, which SQLite quotes in its error.
        reason, text = _CORRUPT
        raise failed(reason, text.format(path=path, error=error.reason)) from None
    except OSError as error:
        reason = _OF_SYSTEM.get(error.errno or 0, "io")
        raise failed(reason, f"{path}: {error.strerror or error}.") from None
