"""The kernel without its fast lane, as on other systems than Linux: the same tests hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: What looks at order, threads and signals; what the messages say does not depend on the way they take.
MODULES = (
    "test_kernel_busy.py",
    "test_kernel_cancel.py",
    "test_kernel_callbacks.py",
    "test_kernel_concurrent.py",
    "test_kernel_doors.py",
    "test_kernel_frames.py",
    "test_kernel_inspector.py",
    "test_kernel_interrupts.py",
    "test_kernel_order.py",
    "test_kernel_status.py",
    "test_kernel_streams.py",
    "test_kernel_subshells.py",
    "test_kernel_watch.py",
)


def _environment() -> dict[str, str]:
    """This process's, without what says that it is a worker of a run: the one below has its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


@pytest.mark.timeout(600)
def test_ipykernels_own_way(tmp_path: Path) -> None:
    config = tmp_path / "profile_default" / "ipython_kernel_config.py"
    config.parent.mkdir()
    config.write_text("c.SnakeKernel.fast_lane = False\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        # Beside the processes of the run that this is a part of.
        "--numprocesses=1",
        "--dist=loadfile",
        *(str(HERE / m) for m in MODULES),
    ]
    run = subprocess.run(
        command,
        env={**_environment(), "IPYTHONDIR": str(tmp_path)},
        cwd=HERE.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert " passed" in run.stdout
