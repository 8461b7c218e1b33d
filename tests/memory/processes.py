"""What processes hold of segments, as the system tells it, and whether an array lies in one."""

from __future__ import annotations

import gc
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from stock_client import PATIENCE

import snakekernel

MIB = 1 << 20
_MARK = "/memfd:snakekernel-"
_LEDGER = 4096


def kernel_pid(snake: snakekernel.Client) -> int:
    """The process of a kernel that this client started."""
    pid: int = snake.manager.provisioner.pid
    return pid


def segments(pid: int) -> set[str]:
    """The segments that a process holds, by descriptor or mapping."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
            if target.startswith(_MARK) and link.stat().st_size > _LEDGER:
                found.add(target)
        except OSError:
            continue
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        _, mark, name = line.partition(_MARK)
        if mark:
            found.add(mark + name)
    return found


def descriptors(pid: int) -> int:
    """How many descriptors a process has."""
    return psutil.Process(pid).num_fds()


def is_shared(array: Any) -> bool:
    """Whether an array's memory is a mapping, not a message's."""
    while not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
        if array is None:
            return False
    return True


def eventually(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds; fails when it does not for long."""
    deadline = time.monotonic() + PATIENCE
    while True:
        gc.collect()
        if condition():
            return
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def attach(snake: snakekernel.Client) -> None:
    """Wait until big results come in shared memory."""
    eventually(lambda: is_shared(snake.call("numpy.ones", args=[MIB // 8], returns="value")))
