"""The pools of this machine's user, known to each other by files: ``pool-<pid>-<n>.json``.

Rules: a file is its owner's alone (0600, in a folder of 0700), complete whenever it is read, written at most
once a second and only where something has changed, and removed with its pool. What a process that is gone
left behind is removed by whoever reads. A pool goes on where its file cannot be written.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from jupyter_core.paths import jupyter_runtime_dir

from .status import PoolStatus, process_mark

_log: Final = logging.getLogger("snakekernel.pool")
#: Seconds between two writes, and how many times the time of one write, where that is long.
_PAUSE: Final = 1.0
_SHARE: Final = 50
_numbers = itertools.count(1)


def status_folder() -> Path:
    """Where the files are."""
    return Path(jupyter_runtime_dir()) / "snakekernel-pools"


def _remove(path: Path, pid: int | None = None) -> None:
    # A forked child that ends must not take its parent's file along.
    if pid in (None, os.getpid()):
        for left in (path, path.with_suffix(".new")):
            with suppress(OSError):
                left.unlink()


class StatusFile:
    """The file of one pool, from ``open`` to ``close``; of the pool's event loop.

    Args:
        status: says how the pool stands.
    """

    def __init__(self, status: Callable[[], PoolStatus]) -> None:
        self._status = status
        self._path: Path | None = status_folder() / f"pool-{os.getpid()}-{next(_numbers)}.json"
        # It goes with this object, at the latest when Python exits.
        self._remove = weakref.finalize(self, _remove, self._path, os.getpid())
        self._timer: asyncio.TimerHandle | None = None
        self._pause = _PAUSE
        self._write()

    def changed(self) -> None:
        """Write it, soon: what changes meanwhile is in it too."""
        if self._timer is None and self._path is not None:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._write)

    def close(self) -> None:
        """Remove it. Idempotent."""
        self._path = None
        if self._timer is not None:
            self._timer.cancel()
        self._remove()

    def _write(self) -> None:
        self._timer = None
        if self._path is None:
            return
        began = time.monotonic()
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A new file takes the place of the last one: nobody reads half of one.
            new = self._path.with_suffix(".new")
            with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.json.encode(self._status()))
            os.replace(new, self._path)
        except OSError as error:
            _log.warning("No status file: %s", error)
            self._path = None
        # A pool of very many kernels and sessions spends little of its time on this.
        self._pause = max(_PAUSE, _SHARE * (time.monotonic() - began))


def read_local() -> list[PoolStatus]:
    """The pools of this user that run on this machine, by name; files of others that ended are removed."""
    found = []
    for path in status_folder().glob("pool-*.json"):
        try:
            status = msgspec.json.decode(path.read_bytes(), type=PoolStatus)
        except (OSError, msgspec.DecodeError):
            # Removed meanwhile, or of another version of ours.
            continue
        if status.host != socket.gethostname():
            # The folder may be shared by machines; only their own can tell who lives there.
            continue
        if status.process != process_mark(status.pid):
            _remove(path)
            continue
        found.append(status)
    return sorted(found, key=lambda status: (status.name, status.pid, status.opened))
