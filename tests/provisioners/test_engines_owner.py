"""The owner of a kernel and what fences it, without any engine: leases, late starts, ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from engine_clusters import PATIENCE, is_gone

from snakekernel.kernel.fence import VARIABLE, clock
from snakekernel.provisioners.owner import KernelOwner, StartFailed

pytestmark = pytest.mark.kernel
if sys.platform != "linux":
    pytest.skip("fences are Linux's", allow_module_level=True)

KERNEL = ["{python}", "-m", "snakekernel", "-f", "{connection_file}"]
#: Seconds that no test waits for.
LONG = 600.0


@pytest.fixture
def owner() -> Iterator[KernelOwner]:
    one = KernelOwner(f"test-{os.getpid()}", "127.0.0.1")
    yield one
    one.close()
    assert not one._folder.exists()


def test_a_lease_that_nobody_renews_ends_the_kernel(owner: KernelOwner) -> None:
    # Stopped, it cannot end itself.
    pid = owner.start(["sh", "-c", "kill -STOP $$"], {}, None, None, clock() + 1.0)["pid"]
    _, code = owner.beat(0.0, PATIENCE)
    assert code == -signal.SIGKILL
    assert is_gone(pid)


@pytest.mark.parametrize("deaf", ["ctypes.PyDLL(None).sleep(600)", "os.kill(os.getpid(), signal.SIGSTOP)"])
def test_a_kernel_that_runs_no_python_is_ended_without_its_owner(deaf: str) -> None:
    # Nobody but itself ends it here: its owner hangs.
    reader, writer = os.pipe()
    code = f"import ctypes, os, signal\nfrom snakekernel.kernel.fence import guard\nguard()\n{deaf}"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, VARIABLE: f"{reader}:{clock() + 2}"},
        pass_fds=[reader],
    ) as process:
        os.close(reader)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    os.close(writer)


def test_a_start_that_comes_late_is_refused_and_so_is_a_second(owner: KernelOwner) -> None:
    with pytest.raises(StartFailed, match="too late"):
        owner.start(KERNEL, {}, None, None, clock() - 0.001)
    with pytest.raises(StartFailed, match="could not be started"):
        owner.start(["/there/is/none"], {}, None, None, clock() + LONG)
    owner.start(KERNEL, {}, None, None, clock() + LONG)
    with pytest.raises(StartFailed, match="already"):
        owner.start(KERNEL, {}, None, None, clock() + LONG)
    connection = dict(owner.listens(PATIENCE))
    owner.send_signal(signal.SIGKILL)
    assert owner.beat(0.0, PATIENCE)[1] == -signal.SIGKILL
    owner.start(KERNEL, {}, None, None, clock() + LONG, keep_ports=True)
    assert owner.listens(PATIENCE) == connection


def test_owners_that_begin_at_once_leave_each_other_their_folders() -> None:
    def make(number: int) -> tuple[KernelOwner, Path]:
        one = KernelOwner(f"test-{os.getpid()}-{number}", "127.0.0.1")
        return one, one._folder

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(make, range(40)))
    try:
        assert all((folder / "lock").exists() for _, folder in made)
    finally:
        for one, _ in made:
            one.close()
