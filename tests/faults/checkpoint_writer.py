"""Writes states into a file of objects, in children that are killed; commands come on stdin, one a line.

``write N``: write states N, N + 1, … until killed; tells the child's id, then ``done N`` of each that is on
the disk, and ``ended`` when it is gone. ``limit N BYTES``: write state N where a file that grows beyond so
many bytes ends the child; tells ``ended`` and its status.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
from saved_files import write


def _state(path: Path, number: int, length: int) -> None:
    array = np.full(length, float(number))
    write(path, {("", "number"): number, ("", "array"): array, ("a session", "list"): [number] * 10})


def _child(path: Path, number: int, limit: int | None) -> None:
    if limit is None:
        while True:
            _state(path, number, 100_000)
            os.write(1, f"done {number}\n".encode())
            number += 1
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    _state(path, number, 12_000)


def main() -> None:
    path = Path(sys.argv[1])
    # Killed children leave no core files.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _state(path, 0, 12_000)
    print("ready", flush=True)
    for line in sys.stdin:
        op, number, *rest = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                _child(path, int(number), int(rest[0]) if rest else None)
                os._exit(0)
            finally:
                os._exit(1)
        if op == "write":
            os.write(1, f"pid {pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(1, f"ended {status}\n".encode())


main()
