"""The owner's key: 32 random bytes in a file that only its owner may read.

Rules: made once, whole or not at all, whoever else makes it at the same time. A key whose file or folder
others could have written or read is refused, never mended: what it signed cannot be told from what they did.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Final

from .failures import failed, told

SIZE: Final = 32
#: Not everywhere; a link in the key's place is then found by its kind alone.
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
#: Opening a pipe does not wait for its writer.
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022


def owner_key(path: Path) -> bytes:
    """The key in this file, made where there is none. Raises StorageFailed (``key``)."""
    with told(path):
        if not os.path.lexists(path):
            _make(path)
        return _read(path)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_folder(path.parent)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)
    try:
        try:
            os.write(file, secrets.token_bytes(SIZE))
            os.fsync(file)
        finally:
            os.close(file)
        try:
            # Unlike renaming, linking leaves the key of whoever was faster.
            os.link(fresh, path)
        except FileExistsError:
            pass
    finally:
        fresh.unlink()
    sync_folder(path.parent)


def _read(path: Path) -> bytes:
    _check_folder(path.parent)
    try:
        file = os.open(path, os.O_RDONLY | _NO_FOLLOW | _NO_WAIT)
    except OSError as error:
        raise failed("key", f"The owner's key {path} cannot be read: {error.strerror}.") from None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise failed("key", f"The owner's key {path} is no plain file; it is not used.")
        _check_owner(path, found)
        if sys.platform != "win32" and found.st_mode & _OTHERS:
            raise failed(
                "key", f"Others may read the owner's key {path}: mode {found.st_mode & 0o777:o}, not 600."
            )
        key = os.read(file, SIZE + 1)
    finally:
        os.close(file)
    if len(key) != SIZE:
        raise failed("key", f"The owner's key {path} is damaged: it has not {SIZE} bytes.")
    return key


def _check_folder(folder: Path) -> None:
    found = os.stat(folder)
    _check_owner(folder, found)
    if sys.platform != "win32" and found.st_mode & _OTHERS_WRITE:
        raise failed("key", f"Others may write to {folder}, the folder of the owner's key.")


def _check_owner(path: Path, found: os.stat_result) -> None:
    # Windows has no owners of this kind: there the profile's own rights protect the file.
    if sys.platform != "win32" and found.st_uid != os.geteuid():
        raise failed("key", f"{path} belongs to another user (uid {found.st_uid}); it is not used.")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a loss of power."""
    if sys.platform == "win32":
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
