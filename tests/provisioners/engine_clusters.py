"""Real clusters of one host for tests: Ray's and Dask's own programs, ended by their process numbers."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from snakekernel.demo.cluster.engines import RAY

PATIENCE = 90.0


def until(is_so: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for something that shows nowhere but in the state of the system."""
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def own_address() -> str:
    """This host's address on its network, as Ray finds it too; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("8.8.8.8", 1))
        except OSError:
            return "127.0.0.1"
        address: str = one.getsockname()[0]
        return address


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started."""
    there = [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in there:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    # What they still write would bring the folder back that goes with them.
    psutil.wait_procs(there, timeout=20)


@contextmanager
def dask_cluster() -> Iterator[str]:
    """A scheduler and a worker; gives the address."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    folder = tempfile.mkdtemp(prefix="dask-")
    started: list[subprocess.Popen[bytes]] = []

    def run(*words: str) -> None:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    try:
        run("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        until(lambda: answers(port), "the scheduler listens")
        worker = ["--host", "127.0.0.1", "--no-dashboard", "--nthreads", "2", "--resources", "CPU=2"]
        run("worker", address, *worker, "--local-directory", folder)
        yield address
    finally:
        for process in reversed(started):
            end(process)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def ray_cluster() -> Iterator[str]:
    """A head that is the only node; gives the address."""
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(16)
    # Ray's sockets lie in it, and their names may not be long.
    folder = Path(tempfile.mkdtemp(prefix="cluster-", dir="/tmp"))
    started: list[subprocess.Popen[bytes]] = []
    try:
        address = None
        for attempt in range(3):
            # On a busy machine a head gives itself up after 30 s.
            address = address or _start_head(folder / str(attempt), started)
        assert address, "no head in three attempts"
        yield address
    finally:
        for process in started:
            end(process)
        del os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"]
        shutil.rmtree(folder, ignore_errors=True)


def _start_head(folder: Path, started: list[subprocess.Popen[bytes]]) -> str | None:
    host, port = own_address(), free_port()
    folder.mkdir()
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", RAY, "start", "--head", "--block"),
                *("--disable-usage-stats", "--include-dashboard=false", "--include-log-monitor=false"),
                *(f"--port={port}", f"--temp-dir={folder}", "--num-cpus=4"),
                *(f"--node-ip-address={host}", f"--object-store-memory={100 << 20}"),
            ],
            stdout=output,
            stderr=output,
        )
    started.append(process)

    def is_ready() -> bool:
        return b"runtime started" in (folder / "output").read_bytes()

    until(lambda: is_ready() or process.poll() is not None, "the head says that it has started")
    return f"{host}:{port}" if is_ready() else None


CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}
