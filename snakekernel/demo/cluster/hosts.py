"""Hosts on one machine: network namespaces on a bridge, whose links can be cut and healed.

Rules: this process stands on the bridge too, as one more host. Processes of a host share files and process
numbers with this machine, so what runs on a host that is cut off can still be looked at from here. Where
namespaces cannot be had, hosts are addresses of the loopback device, which cannot be cut.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

#: Set in every process of a host, so that those that left their parents are found as well. Not named as our
#: own variables are: kernels are started without those.
MARK = "CLUSTER_DEMO_HOST"
#: Seconds for a host's processes to be gone after SIGKILL, and for `ip` to do what it is told.
_PATIENCE = 20
#: Addresses set aside for measuring networks: no machine has them of its own (RFC 2544).
_BLOCK = "198.18"
#: Where `ip netns exec` finds files of a namespace's own.
CONFIGURATION = Path("/etc/netns")

_numbers = itertools.count()


class NotPossible(Exception):
    """This machine gives us no network namespaces; the text says why."""


class Host:
    """One host of a network.

    Attributes:
        name: its name, the one given to ``Network.add``.
        address: its IPv4 address.
        folder: a folder of its own, with a short path: sockets have to fit into 107 bytes.
    """

    def __init__(self, network: Network, name: str, address: str, device: str | None) -> None:
        self.name = name
        self.address = address
        self.folder = network.folder / name
        self.folder.mkdir()
        self._network = network
        self._mark = f"{network.name}-{name}"
        #: This end of its link; None for hosts without a namespace of their own.
        self._device = device
        self._last: subprocess.Popen[bytes] | None = None

    def spawn(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, log: str = "output"
    ) -> subprocess.Popen[bytes]:
        """Start a process on this host, in a process group of its own; its output goes to ``folder/log``."""
        if self._device is not None:
            named = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name)
            command = ("ip", "netns", "exec", self._mark, *named, *command)
        with open(self.folder / log, "ab") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **(env or {}), MARK: self._mark},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._last = process
        self._network.processes.append(process)
        return process

    def is_busy(self) -> bool:
        """Whether what was started last still runs."""
        return self._last is not None and self._last.poll() is None

    def pids(self) -> set[int]:
        """The processes that run on this host."""
        if self._device is not None:
            return {int(pid) for pid in _ip("netns", "pids", self._mark).split()}
        return _marked(self._mark)

    def cut(self) -> None:
        """Take this host off the network: nothing it sends arrives, and nothing arrives at it.

        Nobody is told: connections stay open at both ends, as with a switch that died.
        """
        self._link("nomaster")

    def heal(self) -> None:
        """Put this host back on the network."""
        self._link("master", self._network.name)

    def kill(self) -> None:
        """End all processes of this host at once, with SIGKILL."""
        deadline = time.monotonic() + _PATIENCE
        while pids := self.pids():
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes of host {self.name} outlive SIGKILL: {sorted(pids)}")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def lose_power(self) -> None:
        """Take this host away as a power cut does: first off the network, so that no peer hears it go."""
        self.cut()
        self.kill()

    def _link(self, *setting: str) -> None:
        if self._device is None:
            raise NotPossible(f"host {self.name} has no link that can be cut")
        _ip("link", "set", self._device, *setting)


class Network:
    """Hosts that reach each other and this process.

    Args:
        is_isolated: whether hosts are network namespaces. Otherwise they are loopback addresses.

    Raises:
        NotPossible: namespaces are asked for and cannot be had.
    """

    def __init__(self, *, is_isolated: bool = True) -> None:
        self.is_isolated = is_isolated
        self.hosts: list[Host] = []
        #: What was started on them, to be waited for at the end.
        self.processes: list[subprocess.Popen[bytes]] = []
        if is_isolated and (reason := why_not()):
            raise NotPossible(reason)
        #: Names of network devices have 15 characters at most.
        self.name = f"sk{os.getpid()}{chr(ord('a') + next(_numbers) % 26)}"
        # Not the temporary folder that is set: its path may be too long for sockets.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir="/tmp"))
        guard = [sys.executable, str(Path(__file__).with_name("guard.py")), self.name, str(self.folder)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)
        try:
            self.subnet = self._free_subnet()
            #: The address of this very process in the network.
            self.address = f"{_BLOCK if is_isolated else '127.0'}.{self.subnet}.1"
            if is_isolated:
                # An address of its own: otherwise it has that of one of its links, until that one goes.
                own = ":".join(f"{byte:02x}" for byte in (2, *os.urandom(5)))
                _ip("link", "add", "name", self.name, "address", own, "type", "bridge")
                _ip("address", "add", f"{self.address}/24", "dev", self.name)
                _ip("link", "set", self.name, "up")
            #: This very process's host: what is started on it ends with the network, too.
            self.here = Host(self, "here", self.address, None)
        except BaseException:
            self.close()
            raise

    def add(self, name: str) -> Host:
        """One more host."""
        number = len(self.hosts)
        address = f"{self.address.rpartition('.')[0]}.{10 + number}"
        device = f"{self.name}v{number}" if self.is_isolated else None
        host = Host(self, name, address, device)
        self.hosts.append(host)
        if device is not None:
            namespace = f"{self.name}-{name}"
            _ip("netns", "add", namespace)
            ends = ("type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("link", "add", "name", device, *ends)
            _ip("link", "set", device, "master", self.name, "up")
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
            for end in ("lo", "eth0"):
                _ip("-n", namespace, "link", "set", end, "up")
            # Leads nowhere; programs ask for the way out to learn their own address.
            _ip("-n", namespace, "route", "add", "default", "via", self.address)
            # `ip netns exec` puts these in the place of those in /etc: no look-up waits for a name server.
            files = CONFIGURATION / namespace
            files.mkdir(parents=True)
            (files / "hosts").write_text(f"127.0.0.1 localhost\n{address} {name}\n")
            (files / "resolv.conf").write_text("")
        return host

    def close(self) -> None:
        """End all processes of all hosts and take everything away. Idempotent.

        Raises:
            RuntimeError: something is left; the text says what.
        """
        if self._guard.stdin is None or self._guard.stdin.closed:
            return
        # The guard does the same when this process dies: there is one way to clean up.
        self._guard.stdin.close()
        for process in (self._guard, *self.processes):
            process.wait(_PATIENCE)
        if left := self.left_behind():
            raise RuntimeError(f"left behind of network {self.name}: {', '.join(left)}")

    def left_behind(self) -> list[str]:
        """What there is of this network on the machine: processes, namespaces, devices, its folder."""
        found = [f"process {pid}" for pid in sorted(_marked(self.name))]
        if self.is_isolated:
            found += [f"namespace {one}" for one in namespaces(self.name)]
            links: list[dict[str, Any]] = json.loads(_ip("-json", "link") or "[]")
            found += [f"device {one['ifname']}" for one in links if one["ifname"].startswith(self.name)]
        folders = [self.folder, *CONFIGURATION.glob(f"{self.name}-*")]
        return found + [f"folder {folder}" for folder in folders if folder.exists()]

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _free_subnet(self) -> int:
        """A third byte that no network of this machine has; other runs begin elsewhere."""
        taken = _ip("-4", "-oneline", "address") if self.is_isolated else ""
        for step in range(254):
            subnet = 1 + (os.getpid() + step) % 254
            if f" {_BLOCK}.{subnet}." not in taken:
                return subnet
        raise NotPossible(f"all subnets of {_BLOCK}.0.0/16 are taken")


def why_not() -> str | None:
    """Why this machine gives us no network namespaces; None if it does."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2's ip"
    return None


def namespaces(prefix: str) -> list[str]:
    """The network namespaces whose names begin so."""
    names = [line.split()[0] for line in _ip("netns", "list").splitlines() if line.strip()]
    return [name for name in names if name.startswith(prefix)]


def _ip(*arguments: str) -> str:
    done = subprocess.run(("ip", *arguments), capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode != 0:
        raise NotPossible(f"ip {' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _marked(prefix: str) -> set[int]:
    """The processes of hosts whose mark begins so."""
    mark = f"{MARK}={prefix}".encode()
    found = set()
    for entry in os.listdir("/proc"):
        # Of a process that ended and is not waited for yet there is nothing to be read.
        with contextlib.suppress(OSError):
            if entry.isdigit() and mark in Path(f"/proc/{entry}/environ").read_bytes():
                found.add(int(entry))
    return found
