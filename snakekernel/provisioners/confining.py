"""What a sandbox takes of this host: its process, the thread that starts it, its sockets and its user.

Rules: bwrap ends with the thread that started it, so that is one which does nothing else and lives as long as
bwrap. Who is who in the sandbox is read from /proc, of processes that cannot be mistaken: the first
one there is watched by its descriptor, and the kernel is the second.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

_BACKLOG: Final = 128


class Confined(subprocess.Popen[bytes]):
    """bwrap's process; where the kernel ended by a signal it says so as Popen does, and not as shells do."""

    _code: int | None = None

    @property
    def returncode(self) -> int | None:
        """As of Popen, for the kernel."""
        return self._code

    @returncode.setter
    def returncode(self, code: int | None) -> None:
        self._code = 128 - code if code is not None and 128 < code <= 128 + signal.NSIG else code


def started(start: Callable[[], subprocess.Popen[bytes]]) -> Future[None]:
    """Start a process on a thread that lives as long as it does, for it ends with whichever started it."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            process = start()
        except BaseException as error:  # whoever asked for it gets it
            future.set_exception(error)
            return
        future.set_result(None)
        # Reaped by whoever it belongs to, maybe already.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    threading.Thread(target=run, name="sandbox", daemon=True).start()
    return future


def listening(path: str, user: int | None) -> socket.socket:
    """A socket that listens there already, for that user."""
    Path(path).unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(path)
        if user is not None:
            os.chown(path, user, user)
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def read_object(reader: int) -> bytes:
    """A JSON object from a pipe, or what there was when its other end was closed."""
    text = b""
    while more := os.read(reader, 4096):
        text += more
        if text.rstrip().endswith(b"}"):
            break
    return text


def second(init: int) -> int | None:
    """What is process 2 in the sandbox of that first process: the kernel; None where it has ended."""
    try:
        children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
        for child in children:
            status = Path(f"/proc/{child}/status").read_text().splitlines()
            if any(line.startswith("NSpid:") and line.split()[-1] == "2" for line in status):
                return int(child)
    except OSError:
        # They have just ended.
        pass
    return None


def ids(wanted: range) -> set[int]:
    """Those among user ids that exist in the namespace of this process."""
    found = set[int]()
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        found.update(range(max(first, wanted.start), min(first + count, wanted.stop)))
    return found


def users_running() -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.add(folder.stat().st_uid)
    return found


def allowed(name: str, value: int) -> int:
    """Not more than this process may have itself."""
    most = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
    return value if most == resource.RLIM_INFINITY else min(value, most)
