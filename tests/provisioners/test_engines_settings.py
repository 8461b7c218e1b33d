"""Settings of engines' provisioners, checked before anything is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine_clusters import is_gone, until
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import TraitError

from snakekernel.client.launch import kernel_spec
from snakekernel.errors import Unsupported
from snakekernel.provisioners.actors import DriverError
from snakekernel.provisioners.dask import DaskProvisioner
from snakekernel.provisioners.driver import _told
from snakekernel.provisioners.on_dask import refuse_plain
from snakekernel.provisioners.ray import RayProvisioner
from snakekernel.provisioners.sidecar import close_all


@pytest.mark.kernel
async def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    manager = AsyncKernelManager()
    spec = kernel_spec()
    placed = {"provisioner_name": "snakekernel-dask", "config": {"address": "tcp://127.0.0.1:1"}}
    spec["metadata"]["kernel_provisioner"] = placed
    manager._kernel_spec = KernelSpec(**spec)
    with pytest.raises(Unsupported, match=r"snakekernel\[dask\]"):
        await manager.start_kernel()
    close_all()


#: Stands for an engine's library that waits for what is gone.
HANGS = """
import pathlib, time
def init(**options):
    pathlib.Path({there!r}).touch()
    time.sleep(1000)
"""
PROGRAM = """
import sys
from snakekernel.provisioners.sidecar import take_part
print(take_part("ray", {"address": "auto", "timeout": 5.0}).pid, flush=True)
sys.stdin.read()
sys.exit()
"""


@pytest.mark.kernel
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_sidecar_whose_engine_hangs_ends_with_its_program(tmp_path: Path, is_killed: bool) -> None:
    there = tmp_path / "there"
    (tmp_path / "ray.py").write_text(HANGS.format(there=str(there)))
    words = [sys.executable, "-c", PROGRAM]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        sidecar = int(program.stdout.readline())
        until(there.exists, "it connects to its engine")
        if is_killed:
            program.kill()
        program.stdin.close()
    until(lambda: is_gone(sidecar), "the sidecar is gone")


def test_settings_are_checked() -> None:
    with pytest.raises(TraitError, match="no setting 'cpu'; it has address, cpus"):
        DaskProvisioner(cpu=1)
    with pytest.raises(TraitError, match="lease must be seconds"):
        RayProvisioner(lease=0)
    with pytest.raises(TraitError, match="cannot be negative"):
        RayProvisioner(gpus=-1)
    with pytest.raises(TraitError, match="no driver"):
        RayProvisioner(address="ray://head:10001").connection_options()
    with pytest.raises(TraitError, match="tls needs tls_ca_file"):
        DaskProvisioner(tls={"tls_ca_file": "ca.pem"})


def test_what_a_cluster_could_not_give_is_told_without_secrets() -> None:
    provisioner = RayProvisioner(gpus=2, runtime_env={"pip": ["x"], "env_vars": {"TOKEN": "secret"}})
    assert _told(provisioner.wants()) == "cpus 1.0, gpus 2.0, runtime_env pip, env_vars"


@pytest.mark.parametrize("address", ["tls://10.0.0.1:8786", "tcp://127.0.0.1:8786", "localhost:8786"])
def test_keys_go_to_other_hosts_under_tls_alone(address: str) -> None:
    refuse_plain(address, False)
    refuse_plain("tcp://10.0.0.1:8786", True)
    with pytest.raises(DriverError, match="without TLS"):
        refuse_plain("tcp://10.0.0.1:8786", False)
