"""How large the processes of a kernel are, and how large they may be, as the system tells; Linux's does.

Rules: cheap enough for once a second: a few small files for each process. A process that is gone counts
nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_GROUPS: Final = Path("/sys/fs/cgroup")


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            tasks = os.listdir(_PROC / str(pid) / "task")
        except OSError:
            continue
        for task in tasks:
            try:
                children = (_PROC / str(pid) / "task" / task / "children").read_text()
            except OSError:
                continue
            todo += map(int, children.split())
    return found


def resident(pid: int) -> int:
    """Bytes that a process has in memory; 0 where nobody tells."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def address_limit(pid: int) -> int | None:
    """Bytes of address space that a process may have; None for no limit that is known."""
    if sys.platform != "linux":
        return None
    import resource

    try:
        limit, _ = resource.prlimit(pid, resource.RLIMIT_AS)
    except (OSError, ValueError):
        return None
    return None if limit == resource.RLIM_INFINITY else limit


class ControlGroup:
    """The control group of a process: what it may have in memory, and whom that cost its life."""

    def __init__(self, pid: int) -> None:
        self._folder: Path | None = None
        try:
            lines = (_PROC / str(pid) / "cgroup").read_text().splitlines()
        except OSError:
            return
        for line in lines:
            # Version 2 has one hierarchy, of number 0.
            if line.startswith("0::"):
                self._folder = _GROUPS / line[3:].lstrip("/")
        self._killed_before = self._killed()

    def _read(self, name: str) -> str:
        try:
            return "" if self._folder is None else (self._folder / name).read_text()
        except OSError:
            return ""

    def _killed(self) -> int:
        for line in self._read("memory.events").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    def killed(self) -> int:
        """How many processes the system has ended there for want of memory since this was made."""
        return 0 if self._folder is None else self._killed() - self._killed_before

    def limit(self) -> int | None:
        """Bytes that all processes of it may have; None for no limit that is known."""
        text = self._read("memory.max").strip()
        return int(text) if text.isdecimal() else None
