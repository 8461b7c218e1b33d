"""Hosts made of network namespaces: they reach each other, can be cut off, and leave nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from snakekernel.demo.cluster import Host, Network

pytestmark = pytest.mark.cluster

_PATIENCE = 20
_ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], 7))
while True:
    peer, _ = server.accept()
    while said := peer.recv(100):
        peer.sendall(said)
"""
_MAKES_A_NETWORK = """
import sys, time
from snakekernel.demo.cluster import Network
network = Network()
network.add("one").spawn([sys.executable, "-c", "import time; time.sleep(100)"])
print(network.name, network.folder, flush=True)
time.sleep(100)
"""


def _connect(host: Host) -> socket.socket:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return socket.create_connection((host.address, 7), timeout=_PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline


def test_a_host_that_is_cut_off_hears_nothing_until_it_is_healed(network: Callable[[], Network]) -> None:
    host = network().add("one")
    host.spawn([sys.executable, "-c", _ECHO, host.address])
    with closing(_connect(host)) as peer:
        peer.sendall(b"1")
        assert peer.recv(1) == b"1"
        host.cut()
        peer.sendall(b"2")
        peer.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        host.heal()
        peer.settimeout(_PATIENCE)
        assert peer.recv(1) == b"2"
        assert len(host.pids()) == 1
        host.lose_power()
        assert not host.pids()


def test_a_network_goes_with_the_process_that_made_it() -> None:
    # In a process of its own, which is killed.
    if os.geteuid() != 0:
        pytest.skip("the test above says why")
    maker = subprocess.Popen([sys.executable, "-c", _MAKES_A_NETWORK], stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    with maker.stdout:
        name, folder = maker.stdout.readline().split()
        maker.send_signal(signal.SIGKILL)
        maker.wait(_PATIENCE)
    deadline = time.monotonic() + _PATIENCE
    while _traces(name) or os.path.exists(folder):
        assert time.monotonic() < deadline, _traces(name)
        time.sleep(0.05)


def _traces(name: str) -> list[str]:
    shown = "".join(
        subprocess.run(["ip", *what], capture_output=True, text=True, check=True).stdout
        for what in (["netns", "list"], ["-oneline", "link"])
    )
    return [line for line in shown.splitlines() if name in line]
