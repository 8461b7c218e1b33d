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


def answers(host: str, port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex((host, port)) == 0


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
        until(lambda: answers("127.0.0.1", port), "the scheduler listens")
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
    host, port = own_address(), free_port()
    # Ray's sockets lie in it, and their names may not be long.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(16)
    process = None
    try:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("ray")),
                *("start", "--head", "--block", "--disable-usage-stats", "--include-dashboard=false"),
                *(f"--port={port}", f"--temp-dir={folder}", "--num-cpus=4", '--resources={"spot": 1}'),
                *(f"--node-ip-address={host}", f"--object-store-memory={100 << 20}"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: answers(host, port), "the head listens")
        yield f"{host}:{port}"
    finally:
        if process is not None:
            end(process)
        del os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"]
        shutil.rmtree(folder, ignore_errors=True)


CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}
