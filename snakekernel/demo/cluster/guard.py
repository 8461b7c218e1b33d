"""Takes a network of hosts away: processes, namespaces, devices, folder.

Run as a script by ``hosts.Network``, with the network's name and folder. It waits for the end of its standard
input, which comes when the network is closed and also when the process that made it dies. It imports nothing
of ours: what it does must work where nothing else does.
"""

from __future__ import annotations

import contextlib
import glob
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


def _processes(name: str) -> set[int]:
    """Those with the network's mark, those of its namespaces, and those that any of these started.

    A process that gave itself another title has no mark to be read any more; its parents have.
    """
    mark = b"SNAKEKERNEL_DEMO_HOST=" + name.encode() + b"-"
    found: set[int] = set()
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{entry}/environ", "rb") as stream:
                if mark in stream.read():
                    found.add(int(entry))
            with open(f"/proc/{entry}/stat", "rb") as stream:
                parent = int(stream.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    for namespace in _namespaces(name):
        found.update(int(pid) for pid in _ip("netns", "pids", namespace))
    open_ones = list(found)
    while open_ones:
        new = set(children.get(open_ones.pop(), ())) - found
        found |= new
        open_ones += new
    return found


def _namespaces(name: str) -> list[str]:
    return [line.split()[0] for line in _ip("netns", "list") if line.startswith(f"{name}-")]


def _devices(name: str) -> list[str]:
    found = [line.split(":")[1].split("@")[0].strip() for line in _ip("-oneline", "link")]
    return [device for device in found if device.startswith(name)]


def clean_up(name: str, folder: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (pids := _processes(name)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for device in _devices(name):
        # Not left to the end of its namespace, which comes some time after its deletion.
        _ip("link", "delete", device)
    for namespace in _namespaces(name):
        _ip("netns", "delete", namespace)
    for one in (folder, *glob.glob(f"/etc/netns/{name}-*")):
        shutil.rmtree(one, ignore_errors=True)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    clean_up(*sys.argv[1:3])
