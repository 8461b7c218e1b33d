"""What tests of pools share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

#: Seconds within which what must happen has happened, on a busy machine too.
PATIENCE = 60.0

#: Code for ``builtins.exec`` in a kernel: touch a file, then wait for another.
MEET = """
import pathlib, time
pathlib.Path({mine!r}).touch()
while not pathlib.Path({other!r}).exists():
    time.sleep(0.01)
"""


def meet(mine: Path, other: Path) -> str:
    """Code that tells by one file that it runs, and runs until there is the other."""
    return MEET.format(mine=str(mine), other=str(other))


async def until(is_so: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
