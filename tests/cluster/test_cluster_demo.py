"""``make demo-cluster``, as a person runs it who is not root: its hosts are loopback addresses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.kernel
def test_the_demo_loses_a_host_and_opens_its_session_anew(tmp_path: Path) -> None:
    # Dask, for it is there in a moment; on Ray the same is tested beside this.
    demo = [sys.executable, "-m", "snakekernel.demo.cluster", "--engine", "dask", "--loopback"]
    done = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    for text in (
        "which cannot be cut off",
        "The session 'alice' has a kernel on worker-",
        "✓ WorkerLost after",
        "✓ alice is opened anew, on worker-",
        "✓ bob's kernel went on all the time",
        "✓ nothing of it is left on this machine",
    ):
        assert text in done.stdout
