"""Calls that take long, as programs: what they show meanwhile."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakekernel import Client

pytestmark = pytest.mark.kernel

_PROGRAM = [str(Path(sys.executable).parent / "snakekernel")]
_CODE = """
import time
import snakekernel

def counts(n):
    for i in snakekernel.progress(range(n), text="[counting]"):
        time.sleep(0.02)
        print("at", i)
"""


@pytest.fixture(scope="module", autouse=True)
def module(kernel: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Functions that take long, in a module that the kernel can import."""
    folder = tmp_path_factory.mktemp("module")
    Path(folder, "takes_long.py").write_text(_CODE)
    kernel.call("sys.path.append", args=[str(folder)])
    yield
    kernel.call("sys.path.remove", args=[str(folder)])


def test_progress_is_a_bar_where_standard_error_is_a_terminal(kernel: Client) -> None:
    terminal, inner = pty.openpty()
    shown = b""
    command = [*_PROGRAM, "call", "--existing", "takes_long.counts", "20", "--returns=none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=inner, text=True) as program:
        os.close(inner)
        try:
            while part := os.read(terminal, 65536):
                shown += part
        except OSError:
            # Its other end is closed: the program has ended.
            pass
        out, _ = program.communicate(timeout=60)
    os.close(terminal)
    assert out == "".join(f"at {i}\n" for i in range(20))
    assert b"[counting]" in shown
    assert b"/20" in shown


def test_progress_is_not_shown_elsewhere(kernel: Client) -> None:
    command = [*_PROGRAM, "call", "--existing", "takes_long.counts", "2", "--returns=none"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("at 0\nat 1\n", "")
