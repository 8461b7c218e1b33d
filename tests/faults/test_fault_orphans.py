"""Whoever started a kernel is killed: the kernel and its process group are gone, whatever it does then."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from needs import TOLD

import snakekernel

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs descriptors of processes"),
]

#: What is promised, and what a busy machine may make of it.
PROMISED, SLACK = 1.0, 3.0
STARTER = Path(__file__).with_name("starter.py")


@contextmanager
def _starter(how: str, busy: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    process = subprocess.Popen([sys.executable, STARTER, how, busy], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    groups: list[int] = []
    try:
        # A kernel without a parent says on its standard output how to reach it.
        told = next((line for line in process.stdout if line[:1].isdigit()), None)
        assert told is not None, "the starter has ended"
        kernel, child = map(int, told.split())
        groups.append(kernel)
        yield process, kernel, child
    finally:
        process.kill()
        process.wait()
        # Not read to its end: a kernel that stays has it open.
        process.stdout.close()
        for group in groups:
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)


def _gone(pidfd: int, seconds: float) -> bool:
    return bool(select.select([pidfd], [], [], seconds)[0])


@pytest.mark.promise("fault-8", "fault-9")
@pytest.mark.parametrize(
    "how", ["snakekernel", "manager", "thread", "zygote", "snakekernel+held", "manager+held", "zygote+held"]
)
def test_a_killed_starter_leaves_no_kernel(how: str, tmp_path: Path, record_property: Any) -> None:
    with _starter(how, tmp_path / "busy") as (process, kernel, child):
        watched = [os.pidfd_open(kernel), os.pidfd_open(child)]
        try:
            assert not any(_gone(pidfd, 0) for pidfd in watched)
            process.kill()
            killed = time.monotonic()
            assert all(_gone(pidfd, PROMISED * SLACK) for pidfd in watched)
            took = time.monotonic() - killed
        finally:
            for pidfd in watched:
                os.close(pidfd)
        record_property(TOLD, f"{how}: kernel and its group gone after {took * 1000:.0f} ms (promised: 1 s)")


def test_an_independent_kernel_stays(tmp_path: Path) -> None:
    with _starter("independent", tmp_path / "busy") as (process, kernel, _):
        connection = (tmp_path / "busy").with_suffix(".connection").read_text()
        process.kill()
        process.wait()
        with snakekernel.connect(connection) as snake:
            assert snake.call("os.getpid") == kernel
            # A kernel's own polls are once a second.
            snake.call("time.sleep", args=[1.5])
            assert snake.call("os.getpid") == kernel


def test_the_kernel_has_no_child_that_it_knows_nothing_of() -> None:
    with snakekernel.start() as snake, pytest.raises(ChildProcessError):
        snake.call("os.wait")
