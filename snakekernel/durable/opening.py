"""Making and opening the SQLite file of a ``Database``.

Rules: a file of another program, another user or another kind is refused with nothing of it changed, its log
included.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from ..wire.errors import NotFound, StorageFailed
from .failures import PATIENCE, failed
from .keys import sync_folder

#: "snak": what SQLite files of ours say they are.
APPLICATION: Final = 0x736E616B


def make(path: Path) -> None:
    """An empty file, of which SQLite makes a database."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    sync_folder(path.parent)


def check_file(path: Path) -> tuple[int, int]:
    """Device and number of the file. Raises StorageFailed for what is no file of ours, NotFound for none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    if not stat.S_ISREG(found.st_mode):
        raise failed("refused", f"{path} is no plain file.")
    if sys.platform != "win32" and found.st_uid != os.geteuid():
        raise failed("refused", f"{path} belongs to another user (uid {found.st_uid}).")
    if found.st_size:
        # Before it is opened as a database: SQLite would work off what is in another program's log. Read by
        # SQLite: closing any other descriptor of a file gives up the locks that this process has on it.
        with closing(_opened(f"{path.absolute().as_uri()}?immutable=1&mode=ro")) as db:
            # Has a file read whose end is in its log alone: another works that off, or was killed at it.
            db.execute("PRAGMA writable_schema=ON")
            (application,) = db.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION:
            raise not_ours(path)
    return found.st_dev, found.st_ino


def not_ours(path: Path) -> StorageFailed:
    """The error of a file of another program."""
    return failed("corrupt", f"{path} is no file of snakekernel's.")


def connect(path: Path) -> sqlite3.Connection:
    """The database of a file of ours. Raises what SQLite does."""
    uri = path.absolute().as_uri()
    db = _opened(f"{uri}?mode=rw")
    try:
        db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        db.close()
        log = path.with_name(path.name + "-wal")
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _CLOSED or log.exists():
            raise
        # Where nothing can be written beside it, as on a read-only disk, and nothing is.
        return _opened(f"{uri}?immutable=1&mode=ro")
    return db


def use_log(db: sqlite3.Connection) -> None:
    """Have a database write ahead to a log. Raises what SQLite does."""
    # SQLite itself does not wait for another that does the same at this moment.
    until = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


_CLOSED: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def _opened(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=32
    )
