"""How much memory a process and all its descendants have, as the system counts it.

Rules: shared pages are counted once, in parts (PSS), so that forked kernels are not charged for each other.
Where the system does not tell, the resident set is taken; a process that is gone counts nothing.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


def memory_of(pid: int) -> int | None:
    """Bytes of a process tree; None where this system does not tell, or the process is gone."""
    if sys.platform == "linux":
        counted = [found for process in _tree(pid) if (found := _of_one(process)) is not None]
        return sum(counted) if counted else None
    try:
        # Comes with ipykernel, but for the newest Pythons.
        psutil: Any = import_module("psutil")
    except ImportError:
        return None
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None


def _tree(pid: int) -> list[int]:
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


def _of_one(pid: int) -> int | None:
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1_024
    except OSError:
        pass
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return None
