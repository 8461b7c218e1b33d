"""The durable objects of a kernel: names whose object is also on the disk, for as long as it is theirs.

Rules: an object is on the disk before it is stored; where its name is stored anew, deleted, expires or goes
with its session, what the disk holds of it goes too, before the next request of that thread. Only names that
this kernel stored as durable or restored are looked after: what an earlier one left in the file stays.
Removal never waits for another thread that writes, which does it then, nor long for another process or a
checkpoint; what is left is removed with the next change, after the checkpoint, and at the end.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..objects.entries import Change, Space
from ..wire.errors import NotFound, SnakeError
from .checkpoint import Report, check_room
from .failures import PATIENCE, failed
from .pickles import Pickled
from .places import Places

if TYPE_CHECKING:
    from .database import Database, Writing

_log: Final = logging.getLogger(__name__)

#: Seconds that a removal waits for another writer of the file: it may be made on a thread that serves all.
_BRIEFLY: Final = 0.1
#: And at the end of the kernel, whose manager does not wait long for it either.
_AT_END: Final = 1.0


class _Batch(threading.local):
    is_open = False


class Durable:
    """What a kernel keeps on the disk.

    Attributes:
        places: where. at_start: what was restored when the kernel started; None where nothing was to be.
    """

    def __init__(self, places: Places | None = None) -> None:
        self.places = places or Places()
        self.at_start: Report | None = None
        #: By session and name: the serial number of the session, 0 for the kernel-wide namespace.
        self._kept: dict[tuple[str, str], int] = {}
        self._gone: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._batch = _Batch()
        self._database: Database | None = None
        self._pid = 0

    # -- storing -----------------------------------------------------------------------------------

    def path(self, at: str) -> Path:
        """The file. Raises Unsupported where none is kept."""
        return self.places.own_file(at)

    def write(
        self,
        space: Space,
        name: str,
        pickled: Pickled,
        *,
        type: str,
        module: str,
        now: float,
        expires_at: float | None,
    ) -> None:
        """Have an object on the disk; it is looked after from ``keep`` on. Raises StorageFailed."""
        session = session_of(space)
        with self._writing() as writing:
            writing.put(session, name, pickled, type=type, module=module, created=now, expires_at=expires_at)
            check_room(writing)
            # An earlier object's removal that failed must not take this one.
            self._gone.discard((session, name))
        # Nor must what the store is about to tell of the new one.
        self._kept.pop((session, name), None)

    def keep(self, space: Space, name: str) -> None:
        """Look after a name whose object is on the disk."""
        self._kept[session_of(space), name] = 0 if space is None else space[1]

    def leave(self, space: Space, name: str) -> None:
        """No longer look after a name; what the disk holds of it stays."""
        self._kept.pop((session_of(space), name), None)

    def drop(self, space: Space, name: str) -> None:
        """Remove what the disk holds of a name."""
        self._kept.pop((session_of(space), name), None)
        self._gone.add((session_of(space), name))
        self._remove()

    def is_kept(self, space: Space, name: str) -> bool:
        """Whether a name's object is on the disk."""
        return self._kept.get((session_of(space), name)) == (0 if space is None else space[1])

    # -- following the store -----------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """A name was stored anew or deleted; called by the store for each change."""
        if not self._kept:
            return
        key = (change.session_id or "", change.name)
        if self._kept.get(key) == change.serial and change.action != "changed":
            del self._kept[key]
            self._gone.add(key)
            self._remove()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What goes within goes from the disk at once, at the end."""
        was, self._batch.is_open = self._batch.is_open, True
        try:
            yield
        finally:
            self._batch.is_open = was
            self._remove()

    def settle(self) -> None:
        """Remove from the disk what another writer of the file kept from being removed."""
        self._remove()

    @contextmanager
    def renaming(self, space: Space, name: str, to: str) -> Iterator[None]:
        """The store renames within; the disk then holds the object under the new name, or nothing changed."""
        if not self.is_kept(space, name) or name == to:
            yield
            return
        session = session_of(space)
        with self._writing() as writing:
            was_there = writing.rename(session, name, to)
            serial = self._kept.pop((session, name))
            self._gone.discard((session, to))
            try:
                yield
            except BaseException:
                self._kept[session, name] = serial
                raise
        if was_there:
            self._kept[session, to] = serial

    def _remove(self, patience: float = _BRIEFLY) -> None:
        while self._gone and not self._batch.is_open and self._lock.acquire(blocking=False):
            taken: set[tuple[str, str]] = set()
            try:
                if self._is_forked():
                    self._gone.clear()
                    return
                while self._gone:
                    # One by one: other threads add to it meanwhile.
                    taken.add(self._gone.pop())
                with self._opened().writing(patience) as writing:
                    for session, name in taken:
                        writing.delete(session, name)
            except NotFound:
                # The file itself was deleted.
                continue
            except SnakeError as error:
                # Tried again with the next; the object is gone from the kernel in any case.
                self._gone.update(taken)
                _log.warning("Deleted objects are still on the disk: %s", error)
                return
            except BaseException:  # an interrupt of a cell that deletes
                self._gone.update(taken)
                raise
            finally:
                self._lock.release()

    # -- the file ----------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[Writing]:
        if not self._lock.acquire(timeout=PATIENCE):
            raise failed("busy", "Another request writes durable objects; try again.")
        try:
            with self._opened(create=True).writing() as writing:
                yield writing
        finally:
            self._lock.release()
            self._remove()

    def _opened(self, *, create: bool = False) -> Database:
        database = self._database
        if self._is_forked():
            raise failed("refused", "A forked process writes no durable objects: their kernel does.")
        if database is not None and not database.is_in_place:
            # Deleted or replaced: what is written to it would be lost.
            database.close()
            database = self._database = None
        if database is None:
            database = self._database = self.open(self.places.own_file("$.durable"), create=create)
            self._pid = os.getpid()
        return database

    def open(self, path: Path, *, create: bool = False) -> Database:
        """Open a file of the owner's. Raises what ``Database`` does."""
        # Not at the kernel's start: SQLite is loaded with it.
        from .database import Database

        return Database(path, self.places.owner_key(), create=create)

    def close(self) -> None:
        """Remove what is left to remove, and let go of the file."""
        self._remove(_AT_END)
        with self._lock:
            if self._database is not None and not self._is_forked():
                self._database.close()
            self._database = None

    def _is_forked(self) -> bool:
        return self._database is not None and self._pid != os.getpid()


def session_of(space: Space) -> str:
    """A namespace as files name it: they know no serial numbers."""
    return "" if space is None else space[0]
