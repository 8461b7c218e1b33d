"""How much memory a process and all its descendants have, as the system counts it.

Rules: shared pages are counted once, in parts (PSS), so that forked kernels are not charged for each other.
Where the system does not tell, the resident set is taken; a process that is gone counts nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ..client.sizes import resident, tree

_PROC = Path("/proc")


def memory_of(pid: int) -> int | None:
    """Bytes of a process tree; None where this system does not tell, or the process is gone."""
    if sys.platform == "linux":
        counted = [found for process in tree(pid) if (found := _of_one(process)) is not None]
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


def _of_one(pid: int) -> int | None:
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1_024
    except OSError:
        pass
    return resident(pid) or None
