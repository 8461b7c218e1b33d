"""What processes hold in memory.

Rules: RSS counts shared pages in full, so that two kinds of kernel compare whatever else runs; PSS divides
them among those who share, so that it may be added up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


def megabytes(pids: Iterable[int]) -> tuple[float, float]:
    """Summed RSS and PSS of the processes that are still there, in MB; PSS is 0 where there is none.

    Raises:
        ImportError: psutil is not installed.
    """
    import psutil

    resident = proportional = 0.0
    for pid in pids:
        try:
            memory = psutil.Process(pid).memory_full_info()
        except psutil.NoSuchProcess:
            continue
        resident += memory.rss / 1e6
        proportional += getattr(memory, "pss", 0) / 1e6
    return resident, proportional


def descendants() -> set[int]:
    """The processes that this one started, and theirs."""
    import psutil

    return {child.pid for child in psutil.Process().children(recursive=True)}


def parents(pids: Iterable[int]) -> set[int]:
    """The processes that started these, without this one."""
    import psutil

    return {psutil.Process(pid).ppid() for pid in pids} - {os.getpid()}
