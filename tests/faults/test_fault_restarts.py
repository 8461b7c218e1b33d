"""Many restarts of a kernel leave nothing behind: in the program, in its zygote, on the machine.

``make soak`` restarts it four times as often.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest
from jupyter_core.paths import jupyter_runtime_dir
from needs import MEASURED

import snakekernel
from snakekernel import Client
from snakekernel.cli.app import main
from snakekernel.errors import OutcomeUnknown
from snakekernel.provisioners.forking import close_zygotes

pytestmark = [pytest.mark.kernel, pytest.mark.promise("fault-15")]

CYCLES: Final = int(os.environ.get("SOAK_CYCLES", "50"))
#: Restarts of a kernel that has no zygote: each is a new Python.
PLAIN: Final = max(1, CYCLES // 50)
PATIENCE: Final = 60.0
#: A kernel has some more or fewer, by what its threads have opened yet; a leak is one for each restart.
_WITHIN: Final = {"descriptors of the kernel and its zygote": 4}
#: Enough to go through shared memory.
_DATA: Final = os.urandom(2 << 20)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where all files of these kernels are, and none of kernels of other tests."""
    # Not pytest's: the path of a socket has a hundred characters at most.
    with tempfile.TemporaryDirectory(dir="/tmp") as text:
        for kind in ("RUNTIME", "DATA", "CONFIG"):
            monkeypatch.setenv(f"JUPYTER_{kind}_DIR", f"{text}/{kind.lower()}")
        monkeypatch.setenv("TMPDIR", text)
        monkeypatch.setattr(tempfile, "tempdir", text)
        yield Path(text)
        close_zygotes()


@pytest.fixture
def forked() -> str:
    """The kernelspec of kernels that a zygote forks."""
    assert main(["install", "--user", "--provisioner", "zygote", "--name", "restarted"]) == 0
    return "restarted"


def _use(snake: Client) -> int:
    """Have big data go both ways, by a kernel that may still start; returns its process."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            assert snake.call("builtins.bytes", args=[_DATA], timeout=PATIENCE) == _DATA
            pid: int = snake.call("os.getpid", timeout=PATIENCE)
            return pid
        except OutcomeUnknown:
            # Of its predecessor, whose end is told once; the sockets connect again by themselves.
            assert time.monotonic() < deadline
            time.sleep(0.005)


def _segments() -> int:
    """Segments of shared memory that this process has mapped or open."""
    maps = Path("/proc/self/maps").read_text().count("memfd:snakekernel")
    folder = Path("/proc/self/fd")
    links = [os.readlink(link) for link in folder.iterdir() if link.is_symlink()]
    return maps + sum("memfd:snakekernel" in link for link in links)


def _there() -> dict[str, int]:
    """What there is now of all that a restart could leave behind."""
    gc.collect()
    process = psutil.Process()
    below = process.children(recursive=True)
    files = [*Path(tempfile.gettempdir()).rglob("snakekernel-*"), *Path(jupyter_runtime_dir()).rglob("*")]
    connections = [c for p in (process, *below) for c in p.net_connections("inet")]
    ports = [c for c in connections if c.status == psutil.CONN_LISTEN]
    return {
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
        "segments": _segments(),
        "processes": len(below),
        "descriptors of the kernel and its zygote": sum(p.num_fds() for p in below),
        "files": len(files),
        "ports": len(ports),
        "named shared memory": len(list(Path("/dev/shm").glob("snakekernel*"))),
    }


def _more(before: dict[str, int], now: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {
        name: (before[name], now[name]) for name in now if now[name] > before[name] + _WITHIN.get(name, 0)
    }


def _restart(snake: Client, times: int) -> tuple[dict[str, int], dict[str, int]]:
    """Restart so often; what there was after the first, and what there is after the last."""
    pids = {_use(snake)}
    before: dict[str, int] = {}
    for cycle in range(times + 1):
        # Every fifth ends by itself, the others are killed.
        snake.manager.restart_kernel(now=cycle % 5 != 0)
        pids.add(_use(snake))
        if cycle == 0:
            before = _there()
    assert len(pids) == times + 2
    # Segments are let go, and lines to the old kernel closed, by threads of their own.
    deadline = time.monotonic() + PATIENCE
    while _more(before, now := _there()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return before, now


@pytest.mark.timeout(120 + 2 * CYCLES)
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_restarts_leave_nothing_behind(
    forked: str, transport: str, record_property: Callable[[str, object], None]
) -> None:
    times = CYCLES if transport == "ipc" else CYCLES // 10
    with snakekernel.start(forked, transport=transport) as snake:
        before, now = _restart(snake, times)
    assert _more(before, now) == {}
    said = ", ".join(f"{count} {name}" for name, count in now.items())
    record_property(MEASURED, f"after {times} restarts over {transport} as after one: {said}")


@pytest.mark.timeout(120 + 20 * PLAIN)
def test_restarts_without_a_zygote_leave_nothing_behind() -> None:
    with snakekernel.start() as snake:
        before, now = _restart(snake, PLAIN)
    assert _more(before, now) == {}
