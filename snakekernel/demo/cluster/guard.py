"""Takes a network of hosts away: processes, namespaces, devices, folder.

Run as a script by ``hosts.Network``, with the network's name and folder. It waits for the end of its standard
input, which comes when the network is closed and also when the process that made it dies. It imports nothing
of ours: what it does must work where nothing else does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

_PATIENCE = 20


def _ip(*arguments: str) -> list[str]:
    try:
        done = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines()


def _processes(name: str) -> list[int]:
    """Those with the network's mark, and those of its namespaces, whatever their environment is."""
    found = set()
    mark = b"SNAKEKERNEL_DEMO_HOST=" + name.encode() + b"-"
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and mark in open(f"/proc/{entry}/environ", "rb").read():
                found.add(int(entry))
    for namespace in _namespaces(name):
        found.update(int(pid) for pid in _ip("netns", "pids", namespace))
    return list(found)


def _namespaces(name: str) -> list[str]:
    return [line.split()[0] for line in _ip("netns", "list") if line.startswith(f"{name}-")]


def clean_up(name: str, folder: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (pids := _processes(name)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for namespace in _namespaces(name):
        # Its end of each link goes with it, and so the other end.
        _ip("netns", "delete", namespace)
    _ip("link", "delete", name)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    clean_up(*sys.argv[1:3])
