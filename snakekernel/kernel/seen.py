"""The file in which a kernel's signatures outlive its process, so that no message is taken by the next one.

Rules: it stands beside the connection file, whose key makes the signatures, and belongs to it: the next
process with that file and key takes it over. It goes with the connection file, or when the next kernel of the
same folder starts, but not with its process: a manager may start another with the same file. A kernel holds a
lock on its file, and what is locked is left alone. It is mapped memory, so that writing costs no system call
and a killed process loses nothing. Its room is taken at the beginning: a disk that fills up later cannot end
the process. Its name begins with a dot, for Jupyter looks for kernels by any other name that has their id.
"""

from __future__ import annotations

import hmac
import mmap
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Final

#: Bytes of a digest that are kept.
SIZE: Final = 16
_SUFFIX: Final = ".seen"
_MAGIC: Final = b"snakeseen1"
#: Magic, fingerprint of the key, digests of a generation, which of the two generations is the younger.
_HEAD: Final = Struct("<10s16sQB")
_BEGIN: Final = 64
_NONE: Final = bytes(SIZE)
#: Seconds after its last use in which a manager may still start a kernel again whose process is gone.
_KEPT: Final = 7 * 24 * 3600.0


def bytes_of(generation: int) -> int:
    """The size of a file of that many digests in each generation."""
    return _BEGIN + 2 * generation * SIZE


def seen_file(connection_file: str | os.PathLike[str]) -> Path:
    """Where the signatures of the kernel with this connection file are kept."""
    path = Path(connection_file)
    return path.with_name(f".{path.name}{_SUFFIX}")


class SeenFile:
    """Two generations of ``generation`` digests each.

    Args:
        connection_file: of the kernel; there may be a file of an earlier process of it.
        key: what its messages are signed with; a file of another key is not taken over.
        given: a file of that size, open, which a kernel in a sandbox is given instead; -1 for none.

    Raises OSError where the file cannot be made.
    """

    def __init__(self, connection_file: Path, key: bytes, generation: int, given: int = -1) -> None:
        if sys.platform == "win32":
            raise OSError("a mapped file cannot be removed on this system")
        self.path = seen_file(connection_file)
        self._generation = generation
        self._print = hmac.new(key, b"snakekernel: signatures seen", "sha256").digest()[:16]
        if given >= 0:
            self._take(given)
            self._begin = self._at(self.younger)
            return
        _clean(self.path.parent)
        if not self._open():
            # Of another key or size, or none of ours at all.
            self.path.unlink(missing_ok=True)
            self._make()
        self._begin = self._at(self.younger)

    def _open(self) -> bool:
        """Take over the file that is there; whether there is one that is ours."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return False
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
                return False
            if found.st_uid != os.getuid() or found.st_size != self._bytes:
                return False
            # Linked still, once it is locked: nobody has removed it meanwhile.
            if not _locked(descriptor) or os.fstat(descriptor).st_nlink != 1:
                return False
            os.utime(descriptor)
            # Its own duplicate of the descriptor keeps the lock.
            self._map = mmap.mmap(descriptor, self._bytes)
        finally:
            os.close(descriptor)
        if self._is_ours():
            return True
        self._map.close()
        return False

    def _take(self, given: int) -> None:
        if os.fstat(given).st_size != self._bytes:
            raise OSError("the given file has another size")
        self._map = mmap.mmap(given, self._bytes)
        if not self._is_ours():
            self._map[:] = bytes(self._bytes)
            self.younger = 0
            self._write_head()

    def _is_ours(self) -> bool:
        """Whether the mapped file belongs to this key, and has as many digests."""
        magic, print_, generation, self.younger = _HEAD.unpack_from(self._map)
        known = (magic, print_, generation) == (_MAGIC, self._print, self._generation)
        return known and self.younger in (0, 1)

    def _make(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _locked(descriptor)
            # Writing to mapped memory that the disk has no room for would end the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, self._bytes)
            elif os.write(descriptor, bytes(self._bytes)) < self._bytes:
                raise OSError("there is no room for it")
            self._map = mmap.mmap(descriptor, self._bytes)
        except BaseException:
            self.path.unlink()
            raise
        finally:
            os.close(descriptor)
        self.younger = 0
        self._write_head()

    @property
    def _bytes(self) -> int:
        return bytes_of(self._generation)

    def _write_head(self) -> None:
        _HEAD.pack_into(self._map, 0, _MAGIC, self._print, self._generation, self.younger)

    def _at(self, which: int) -> int:
        return _BEGIN + which * self._generation * SIZE

    def digests(self, which: int) -> Iterator[tuple[int, bytes]]:
        """The digests of a generation, with their places."""
        begin = self._at(which)
        held = self._map[begin : begin + self._generation * SIZE]
        for place in range(self._generation):
            digest = held[place * SIZE : (place + 1) * SIZE]
            if digest != _NONE:
                yield place, digest

    def keep(self, place: int, digest: bytes) -> None:
        """Write a digest into its place in the younger generation."""
        at = self._begin + place * SIZE
        self._map[at : at + SIZE] = digest

    def turn(self) -> None:
        """Let go of the older generation, and begin a new one in its place."""
        older = 1 - self.younger
        begin = self._at(older)
        self._map[begin : begin + self._generation * SIZE] = bytes(self._generation * SIZE)
        self.younger, self._begin = older, begin
        self._write_head()


def _locked(descriptor: int, *, alone: bool = False) -> bool:
    """Lock a file while it is open, beside other kernels of it or alone; False where others forbid it."""
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # There are file systems without locks; it is as good as it can be there.
        pass
    return True


def _clean(folder: Path) -> None:
    """Remove what ended kernels left: without a connection file, or of one that nobody used for long."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.name.startswith(".") and e.name.endswith(_SUFFIX)]
    for name in names:
        _remove_if_left(folder, name)


def clean_up(connection_file: str | os.PathLike[str]) -> None:
    """A manager is through with a kernel: what belonged to its connection file goes, where that went."""
    file = seen_file(connection_file)
    _remove_if_left(file.parent, file.name)


def _remove_if_left(folder: Path, name: str) -> None:
    # Another kernel that starts may be quicker, or it is not ours to remove.
    with suppress(OSError):
        if _is_left(folder, name):
            _remove(folder, name)


def _is_left(folder: Path, name: str) -> bool:
    if not os.path.lexists(folder / name[1 : -len(_SUFFIX)]):
        return True
    return time.time() - os.lstat(folder / name).st_mtime > _KEPT


def _remove(folder: Path, name: str) -> None:
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    try:
        # Asked again: a kernel that starts may have taken it over before it was locked.
        if _locked(descriptor, alone=True) and _is_left(folder, name):
            os.unlink(folder / name)
    finally:
        os.close(descriptor)
