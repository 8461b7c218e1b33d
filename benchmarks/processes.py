"""Server processes of peers: started, and gone with the benchmark however that ends.

Rules: a server is a module run as a program; it says its address in one line on stdout and ends when its
stdin does, which is when whoever started it is gone. Ctrl-C reaches the benchmark alone, which then ends
its servers in order.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from .peer import LeftOut

#: Where the package ``benchmarks`` is imported from.
ROOT: Final = Path(__file__).parents[1]


class Started(NamedTuple):
    """A server that listens."""

    address: str
    pid: int


def environment() -> dict[str, str]:
    """The environment of a process that imports ``benchmarks``."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def in_environment(settings: Mapping[str, str]) -> Iterator[None]:
    """These environment variables for what starts within the block."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def server(module: str, *arguments: str) -> Iterator[Started]:
    """Run ``python -m module arguments…`` until the block is left.

    Raises:
        LeftOut: it ended before it listened.
    """
    command = [sys.executable, "-m", module, *arguments]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(),
            start_new_session=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                log.seek(0)
                said = log.read().strip().splitlines() or ["it said nothing"]
                raise LeftOut(f"its server did not start: {said[-1]}")
            yield Started(address, process.pid)
        finally:
            process.kill()


def listening(address: str) -> None:
    """In a server: say where it listens, and end with whoever started it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print(address, flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for sockets and files, removed with all that is in it; its path is short, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)
