"""One file of objects: SQLite with a write-ahead log, synced to the disk before a transaction counts.

Rules: a transaction is whole or did not happen, whenever the process or the machine stops. The seal is
checked before anything is read from the file or written to it, and no byte of an object is given out before
it matched its signed hash. A file of a later version, of another owner or of another kind is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..wire.errors import NotFound, StorageFailed
from .failures import PATIENCE, failed
from .keys import sync_folder
from .opening import APPLICATION, check_file, connect, make, not_ours, use_log
from .pickles import Pickled
from .rows import Part, Row, layout_of, row_of
from .signing import SCHEMA, Signer
from .sqlite_failures import told

#: Bytes of one row of ``parts``. What is written is copied and hashed so much at a time.
CHUNK: Final = 4 << 20
#: Bytes of a page. With 4,096 large buffers took half as long again to write, with 65,536 small objects did.
_PAGE: Final = 16_384
#: Bytes of the log that are kept for the next transaction.
_LOG: Final = 16 << 20

_TABLES: Final = (
    "CREATE TABLE seal (id INTEGER PRIMARY KEY CHECK (id = 1), file BLOB NOT NULL, generation INTEGER "
    "NOT NULL, saved REAL NOT NULL, tag BLOB NOT NULL)",
    "CREATE TABLE entries (number INTEGER PRIMARY KEY, session TEXT NOT NULL, name TEXT NOT NULL, "
    "type TEXT NOT NULL, module TEXT NOT NULL, size INTEGER NOT NULL, created REAL NOT NULL, "
    "expires_at REAL, generation INTEGER NOT NULL, layout TEXT NOT NULL, tag BLOB NOT NULL, "
    "UNIQUE (session, name))",
    "CREATE TABLE parts (entry INTEGER NOT NULL, part INTEGER NOT NULL, chunk INTEGER NOT NULL, "
    "data BLOB NOT NULL, UNIQUE (entry, part, chunk))",
)
_COLUMNS: Final = "number, session, name, type, module, size, created, expires_at, generation, layout, tag"


class Writing:
    """A transaction under way.

    Attributes:
        rows: those of the file as they will be, by session and name.
    """

    def __init__(self, db: sqlite3.Connection, signer: Signer, rows: list[Row], generation: int) -> None:
        self._db = db
        self._signer = signer
        self.rows = {(row.session, row.name): row for row in rows}
        self.generation = generation
        self._number = max((row.number for row in rows), default=0)

    def put(
        self,
        session: str,
        name: str,
        pickled: Pickled,
        *,
        type: str,
        module: str,
        created: float,
        expires_at: float | None,
    ) -> Row:
        """Write an object; one of the same name goes."""
        self.delete(session, name)
        self._number = number = self._number + 1
        read_only = pickled.are_read_only
        parts = [
            self._put_part(number, index, part, read_only[index]) for index, part in enumerate(pickled.parts)
        ]
        size = sum(part.size for part in parts)
        times = (float(created), None if expires_at is None else float(expires_at))
        row = Row(number, session, name, type, module, size, *times, self.generation, layout_of(parts))
        return self._insert(row)

    def _put_part(self, number: int, index: int, data: memoryview, is_read_only: bool) -> Part:
        digest = hashlib.sha256()
        for chunk, start in enumerate(range(0, data.nbytes, CHUNK)):
            # A copy: the object may change while it is written, and what is hashed must be what is written.
            piece = bytes(data[start : start + CHUNK])
            digest.update(piece)
            self._db.execute("INSERT INTO parts VALUES (?, ?, ?, ?)", (number, index, chunk, piece))
        return Part(data.nbytes, digest.hexdigest(), is_read_only)

    def _insert(self, row: Row) -> Row:
        row = replace(row, tag=self._signer.tag(row))
        self._db.execute(
            f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row.said(), row.tag),
        )
        self.rows[row.session, row.name] = row
        return row

    def delete(self, session: str, name: str) -> bool:
        """Take an object out; whether it was there."""
        row = self.rows.pop((session, name), None)
        if row is None:
            return False
        self._db.execute("DELETE FROM parts WHERE entry = ?", (row.number,))
        self._db.execute("DELETE FROM entries WHERE number = ?", (row.number,))
        return True

    def rename(self, session: str, name: str, to: str) -> bool:
        """Give an object another name, whose own object goes; whether it was there."""
        row = self.rows.get((session, name))
        if row is None:
            return False
        if not self._signer.is_signed(row):
            raise failed("signature", f"{name!r} is not what its owner wrote.")
        self.delete(session, to)
        self.rows.pop((session, name))
        self._db.execute("DELETE FROM entries WHERE number = ?", (row.number,))
        self._insert(replace(row, name=to, generation=self.generation))
        return True


class Database:
    """An open file. One thread at a time uses it.

    Args:
        path: the file. key: the owner's.
        create: whether it is made where there is none.

    Raises:
        StorageFailed: it cannot be used; ``reply["reason"]`` says why. NotFound: there is none.
    """

    def __init__(self, path: Path, key: bytes, *, create: bool = False) -> None:
        self.path = path
        self._key = key
        with told(path):
            if create:
                make(path)
            self._identity = check_file(path)
            self._db = connect(path)
        try:
            with self._told():
                self._settle()
                self._check_kind(create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        # A log that could not be worked in stays, and is read by whoever opens the file next.
        with suppress(sqlite3.Error):
            self._db.close()

    @property
    def is_in_place(self) -> bool:
        """Whether the path still names the open file."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _told(self) -> Any:
        return told(self.path)

    # -- opening -----------------------------------------------------------------------------------

    def _settle(self) -> None:
        db = self._db
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA cell_size_check=ON")
        db.execute(f"PRAGMA journal_size_limit={_LOG}")
        # Synced at each commit, not only now and then.
        db.execute("PRAGMA synchronous=FULL")

    def _check_kind(self, create: bool) -> None:
        # All of it at one time: another process may be making the file.
        self._db.execute("BEGIN")
        try:
            version, application = self._kind()
            is_new = version == 0 and self._one("SELECT count(*) FROM sqlite_master") == 0
        finally:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
        if application == APPLICATION and version > SCHEMA:
            raise failed(
                "newer",
                f"{self.path} is of version {version}, and this snakekernel reads up to {SCHEMA}: "
                "use a later snakekernel. The file is unchanged.",
            )
        if application == APPLICATION and version == SCHEMA:
            return
        if application not in (0, APPLICATION) or not is_new:
            raise not_ours(self.path)
        if not create:
            raise NotFound(f"Nothing was saved in {self.path} yet.")
        self._lay_out()

    def _kind(self) -> tuple[int, int]:
        return self._one("PRAGMA user_version"), self._one("PRAGMA application_id")

    def _one(self, query: str) -> Any:
        return self._db.execute(query).fetchone()[0]

    def _lay_out(self) -> None:
        db = self._db
        # In this order, before the first table, or they do nothing. What is deleted makes the file smaller.
        db.execute(f"PRAGMA page_size={_PAGE}")
        # Not at once for writing: the file would be begun before it is said what it does with deleted pages.
        with self._transaction(begin="BEGIN"):
            db.execute("PRAGMA auto_vacuum=FULL")
            # Together, as the first writes the file: nobody may find one that does not say whose it is.
            # Before there is a log: it can then be read without touching one.
            db.execute(f"PRAGMA application_id={APPLICATION}")
        use_log(db)
        with self._transaction():
            if self._kind() == (SCHEMA, APPLICATION):
                # Another process was faster.
                return
            for table in _TABLES:
                db.execute(table)
            file, now = secrets.token_bytes(16), time.time()
            tag = Signer(self._key, file).seal(0, now, ())
            db.execute("INSERT INTO seal VALUES (1, ?, 0, ?, ?)", (file, now, tag))
            db.execute(f"PRAGMA user_version={SCHEMA}")
        sync_folder(self.path.parent)

    @contextmanager
    def _transaction(self, patience: float = PATIENCE, *, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        db = self._db
        db.execute(f"PRAGMA busy_timeout={patience * 1000:.0f}")
        db.execute(begin)
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            # SQLite has rolled some failures back by itself.
            with suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            raise

    # -- reading and writing -----------------------------------------------------------------------

    def _sealed(self) -> tuple[Signer, list[Row], int]:
        """The rows, whose seal is right. Raises StorageFailed."""
        try:
            ((file, generation, saved, tag),) = self._db.execute(
                "SELECT file, generation, saved, tag FROM seal"
            )
        except ValueError:
            raise self._not_the_owners() from None
        kinds = tuple(map(type, (file, generation, saved, tag)))
        # Read from the table itself: an index could leave some out.
        found = self._db.execute(f"SELECT {_COLUMNS} FROM entries NOT INDEXED")
        rows = [row_of(columns) for columns in found]
        whole = [row for row in rows if row is not None]
        if kinds != (bytes, int, float, bytes) or len(whole) < len(rows):
            raise self._not_the_owners()
        signer = Signer(self._key, file)
        if not hmac.compare_digest(signer.seal(generation, saved, whole), tag):
            raise self._not_the_owners()
        return signer, sorted(whole, key=lambda row: (row.session, row.number)), generation

    def _not_the_owners(self) -> StorageFailed:
        return failed(
            "signature",
            f"{self.path} is not what the owner of this key wrote: it was changed, damaged, or is another "
            "owner's. Nothing was loaded from it.",
        )

    @contextmanager
    def writing(self, patience: float = PATIENCE) -> Iterator[Writing]:
        """A transaction: on the disk when the block ends, undone when it raises. Raises StorageFailed.

        Args:
            patience: seconds to wait for another that writes.
        """
        with self._told(), self._transaction(patience):
            signer, rows, generation = self._sealed()
            work = Writing(self._db, signer, rows, generation + 1)
            yield work
            saved = time.time()
            tag = signer.seal(work.generation, saved, work.rows.values())
            self._db.execute("UPDATE seal SET generation=?, saved=?, tag=?", (work.generation, saved, tag))

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """The file as it is now, whatever is written to it meanwhile. Raises StorageFailed."""
        with self._told():
            self._db.execute("BEGIN")
            try:
                signer, rows, _ = self._sealed()
                yield Reading(self._db, signer, rows, self._one("SELECT saved FROM seal"), self.path)
            finally:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")


class Reading:
    """A file as it was at one time.

    Attributes:
        rows: what it holds, in the order of sessions and then of writing. saved: when it was last written.
    """

    def __init__(
        self, db: sqlite3.Connection, signer: Signer, rows: list[Row], saved: float, path: Path
    ) -> None:
        self._db = db
        self._signer = signer
        self._path = path
        self.rows = rows
        self.saved = saved

    def is_signed(self, row: Row) -> bool:
        """Whether a row says what its owner wrote; its bytes are not looked at."""
        return self._signer.is_signed(row)

    def parts(self, row: Row) -> tuple[list[bytearray], list[bool]]:
        """The bytes of an object, and which of them were read-only. Raises StorageFailed."""
        with told(self._path):
            # First of all: what an unsigned row says of its sizes must not be believed.
            if not self.is_signed(row):
                raise _changed(row)
            return [self._part(row, n, part) for n, part in enumerate(row.parts)], [
                part.is_read_only for part in row.parts
            ]

    def _part(self, row: Row, index: int, part: Part) -> bytearray:
        query = "SELECT data FROM parts WHERE entry = ? AND part = ? ORDER BY chunk"
        data = bytearray(part.size)
        at = 0
        with closing(self._db.execute(query, (row.number, index))) as chunks:
            for (chunk,) in chunks:
                if type(chunk) is not bytes or at + len(chunk) > part.size:
                    raise _changed(row)
                data[at : at + len(chunk)] = chunk
                at += len(chunk)
        # The very bytes that are given out are those that are checked.
        if at != part.size or not hmac.compare_digest(hashlib.sha256(data).hexdigest(), part.digest):
            raise _changed(row)
        return data


def _changed(row: Row) -> StorageFailed:
    return failed("signature", f"The bytes of {row.name!r} are not those that its owner wrote.")
