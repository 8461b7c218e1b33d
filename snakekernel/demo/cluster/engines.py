"""Ray and Dask clusters on the hosts of a network, started by their own commands as a person would.

Rules: the pool's own host is part of a Ray cluster (a Ray driver needs a raylet beside it) and holds its
control plane; of a Dask cluster it is a client alone, with the scheduler on a host of its own. All of Dask
speaks TLS with certificates made for this cluster.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from .hosts import Host, Network

#: Seconds for a host to take part in a cluster, and how often that is tried.
_PATIENCE = 60
_TRIES = 4
#: The command ``ray`` as it is where only ``ray`` itself is installed, without what ``ray[default]`` adds:
#: fewer processes, which start in half the time.
RAY = """
import sys
sys.modules["grpc"] = None
from ray.scripts.scripts import main
main()
"""
_RAY_IS_THERE = "Ray runtime started"

#: Ray's head takes a host for dead after three unanswered probes: here in 3 s, by default in 20 s.
_TUNED = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "8",
    "RAY_enable_metrics_collection": "0",
}


class Cluster(Protocol):
    """A running engine: its worker hosts, and how a pool's provisioner reaches it."""

    engine: str
    workers: list[Host]
    #: Variables that a process needs to take part, beside the settings.
    env: dict[str, str]

    @property
    def config(self) -> dict[str, Any]:
        """The provisioner's settings that name this cluster."""

    def kill_control_plane(self) -> None:
        """End what places kernels (Ray's GCS, Dask's scheduler) at once, and nothing else."""


class RayCluster:
    """A head beside this process and one raylet on each of several hosts.

    Args:
        network: where the hosts come from.
        workers: the CPUs of each host beside this one.
    """

    engine = "ray"

    def __init__(self, network: Network, *, workers: Sequence[int] = (2, 2)) -> None:
        here = network.here
        port = _free_port()
        self.address = f"{here.address}:{port}"
        self.workers = [network.add(f"worker-{number}") for number in range(1, len(workers) + 1)]
        self._here = here
        token = network.folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        head = ("--head", f"--port={port}")
        self._start({here: 4}, *head, "--include-dashboard=false", "--no-monitor")
        # Not all at once: on busy cores none of them would be there in time.
        self._start(dict(zip(self.workers, workers, strict=True)), f"--address={self.address}")

    @property
    def config(self) -> dict[str, Any]:
        return {"address": self.address}

    def kill_control_plane(self) -> None:
        _kill(self._here, "gcs_server")

    def _start(self, cpus: dict[Host, int], *options: str) -> None:
        """Start a raylet on each host; one whose agents are late, on busy cores, ends and is tried again."""
        missing = set(cpus)
        together = [missing]
        for _ in range(_TRIES):
            for hosts in together:
                for host in hosts:
                    self._spawn(host, cpus[host], *options)
                missing = missing - {host for host in hosts if _says(host, _RAY_IS_THERE)}
                for host in missing & hosts:
                    host.kill()
            if not missing:
                return
            # They were in each other's way.
            together = [{host} for host in missing]
        said = "\n".join(f"{host.name}:\n{_output(host)[-2000:]}" for host in missing)
        raise RuntimeError(f"Ray did not start:\n{said}")

    def _spawn(self, host: Host, cpus: int, *options: str) -> None:
        command = [
            *(sys.executable, "-c", RAY, "start"),
            f"--node-ip-address={host.address}",
            f"--num-cpus={cpus}",
            "--object-store-memory=80000000",
            "--disable-usage-stats",
            "--include-log-monitor=false",
            f"--temp-dir={host.folder}/r",
            *options,
            "--block",
        ]
        host.spawn(command, env={**_TUNED, **self.env})


class DaskCluster:
    """A scheduler on one host and one worker on each of several others.

    Args:
        network: where the hosts come from.
        workers: the threads of each host beside the scheduler's.
    """

    engine = "dask"

    def __init__(self, network: Network, *, workers: Sequence[int] = (2, 2)) -> None:
        self.env: dict[str, str] = {}
        self._head = network.add("scheduler")
        self.workers = [network.add(f"worker-{number}") for number in range(1, len(workers) + 1)]
        self.tls = make_certificate(network.folder)
        files = [f"{option}={self.tls[name]}" for option, name in _TLS.items()]
        self.address = f"tls://{self._head.address}:8786"
        dask = [sys.executable, "-m"]
        options = [f"--host={self.address}", "--no-dashboard", "--no-show"]
        self._head.spawn([*dask, "distributed.cli.dask_scheduler", *options, *files], env=_DASK)
        for host, cpus in zip(self.workers, workers, strict=True):
            options = [f"--host={host.address}", f"--nthreads={cpus}", f"--name={host.name}"]
            options += [
                f"--local-directory={host.folder}",
                "--memory-limit=0",
                "--no-dashboard",
                "--no-nanny",
            ]
            worker = ["distributed.cli.dask_worker", self.address, "--protocol=tls", *options]
            host.spawn([*dask, *worker, *files], env=_DASK)
        for host in self.workers:
            if not _says(host, "Registered to:"):
                raise RuntimeError(f"Dask did not start on {host.name}:\n{_output(host)[-2000:]}")

    @property
    def config(self) -> dict[str, Any]:
        return {"address": self.address, "tls": self.tls}

    def kill_control_plane(self) -> None:
        self._head.kill()


_TLS = {"--tls-ca-file": "tls_ca_file", "--tls-cert": "tls_client_cert", "--tls-key": "tls_client_key"}
#: A worker is taken for dead after 6 s without a heartbeat, by default after 300 s, and what cannot be
#: connected to after 5 s, by default after 30 s.
_DASK = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "6s", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}


def make_certificate(folder: Path) -> dict[str, str]:
    """A certificate and its key, made anew, which all of a cluster and its clients use.

    Returns:
        The files, by the names of Dask's settings.
    """
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-noenc", "-days", "2", "-subj", "/CN=snakekernel", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    # Signed by itself: whoever has this one key is of this cluster, and nobody else is.
    return {"tls_ca_file": cert, "tls_client_cert": cert, "tls_client_key": key}


def _kill(host: Host, part: str) -> None:
    """SIGKILL for the processes of a host that run this program."""
    for pid in host.pids():
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if os.path.basename(arguments[0].decode()) == part:
            os.kill(pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _output(host: Host) -> str:
    return (host.folder / "output").read_text(errors="replace")


def _says(host: Host, text: str) -> bool:
    """Wait until what was started on a host says so; False where it ends before, or takes too long."""
    deadline = time.monotonic() + _PATIENCE
    while text not in _output(host):
        if time.monotonic() > deadline or not host.is_busy():
            return text in _output(host)
        time.sleep(0.05)
    return True
