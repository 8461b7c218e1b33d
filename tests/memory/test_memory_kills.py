"""Whichever side is killed, with whatever in flight: the other goes on, and no memory is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from processes import MIB, attach, eventually, is_shared, kernel_pid, segments
from stock_client import PATIENCE

import snakekernel
from snakekernel import Client
from snakekernel.memory.peers import SUPPORTED

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(not SUPPORTED, reason="segments need Linux")]

#: A client in a process of its own: it attaches, does what it is told and says so; it never ends by itself.
_CLIENT = """
import signal, sys, numpy, snakekernel
from processes import attach
snake = snakekernel.connect(sys.argv[1])
attach(snake)
big = numpy.arange(1 << 18)
print("ready", flush=True)
exec(sys.stdin.readline())
print("done", flush=True)
signal.pause()
"""
_HERE = Path(__file__).parent


class Other:
    """A client in a process to be killed."""

    def __init__(self, snake: Client) -> None:
        command = [sys.executable, "-c", _CLIENT, snake.connection_file or ""]
        path = os.pathsep.join(map(str, (_HERE, _HERE.parent)))
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.pid = self.process.pid
        self._hear("ready")

    def _hear(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"

    def do(self, line: str) -> None:
        """Run a line of code there."""
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)
        self._hear("done")

    def kill(self) -> None:
        """Kill it. Idempotent."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def other(client: Client) -> Iterator[Other]:
    """Another client of the module's kernel."""
    started = Other(client)
    yield started
    started.kill()


@pytest.fixture
def client(snake: Client) -> Client:
    """The module's client, with its attachment open and nothing stored."""
    attach(snake)
    eventually(lambda: not segments(kernel_pid(snake)))
    return snake


def test_a_client_is_killed_while_it_holds_what_is_stored(client: Client, other: Other) -> None:
    other.do("snake.store('x', big); kept = snake.retrieve('x', returns='value')")
    eventually(lambda: segments(other.pid) == segments(kernel_pid(client)))
    other.kill()
    assert numpy.array_equal(client.retrieve("x", returns="value"), numpy.arange(1 << 18))
    client.delete_stored("x")
    eventually(lambda: not segments(kernel_pid(client)) | segments(os.getpid()))


@pytest.fixture
def busy(client: Client, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """The kernel's shell is busy until this is called."""
    begun, end = tmp_path / "begun", tmp_path / "end"
    code = (
        "import pathlib, time\n"
        f"pathlib.Path({str(begun)!r}).touch()\n"
        f"while not pathlib.Path({str(end)!r}).exists(): time.sleep(0.01)\n"
    )
    thread = threading.Thread(target=lambda: client.call("builtins.exec", args=[code, {}]))
    thread.start()
    eventually(begun.exists)

    def release() -> None:
        end.touch()
        thread.join(PATIENCE)

    yield release
    release()


def test_a_client_is_killed_with_its_request_in_flight(
    client: Client, other: Other, busy: Callable[[], None]
) -> None:
    other.do("waiting = snake.submit('builtins.dict', kwargs={'big': big}, store_as='late')")
    other.kill()
    busy()
    assert "late" not in client.list_stored()
    eventually(lambda: not segments(kernel_pid(client)))


def test_a_reply_waits_for_a_silent_client_and_goes_with_a_killed_one(
    client: Client, other: Other, busy: Callable[[], None]
) -> None:
    other.do("waiting = snake.submit('numpy.ones', args=[1 << 20], returns='value')")
    # It sleeps from here on and reads nothing.
    busy()
    eventually(lambda: segments(kernel_pid(client)))
    (waiting,) = segments(kernel_pid(client))
    for _ in range(5):
        client.call("numpy.ones", args=[MIB // 8], returns="value")
    eventually(lambda: segments(kernel_pid(client)) == {waiting})
    other.kill()
    eventually(lambda: not segments(kernel_pid(client)))


def test_a_killed_kernel_leaves_its_clients_their_views(fresh_kernel: Callable[..., Any]) -> None:
    before = segments(os.getpid())
    snake, _ = fresh_kernel()
    attach(snake)
    array = numpy.random.default_rng(0).random(MIB)
    snake.store("x", array)
    view = snake.retrieve("x", returns="value")
    assert is_shared(view)
    os.kill(kernel_pid(snake), signal.SIGKILL)
    with pytest.raises(snakekernel.errors.KernelLost):
        snake.call("builtins.len", args=[array])
    assert numpy.array_equal(view, array)
    view[0] = 7
    assert view[0] == 7
    del view
    eventually(lambda: segments(os.getpid()) <= before)


def test_a_kernel_is_killed_with_a_request_in_flight(fresh_kernel: Callable[..., Any]) -> None:
    before = segments(os.getpid())
    snake, _ = fresh_kernel()
    attach(snake)
    with pytest.raises(snakekernel.errors.KernelLost):
        snake.call("builtins.exec", args=["import os; os.kill(os.getpid(), 9)", {"big": numpy.ones(MIB)}])
    with pytest.raises(snakekernel.errors.KernelLost):
        snake.store("x", numpy.ones(MIB))
    eventually(lambda: segments(os.getpid()) <= before)


def test_a_restarted_kernel_is_attached_to_again(fresh_kernel: Callable[..., Any]) -> None:
    snake, _ = fresh_kernel()
    attach(snake)
    snake.manager.restart_kernel(now=True)
    array = numpy.ones(MIB)

    def works() -> bool:
        try:
            return is_shared(snake.call("copy.copy", args=[array], returns="value"))
        except (snakekernel.errors.KernelLost, snakekernel.errors.OutcomeUnknown):
            # The new kernel may be reached with the epoch of the old one, and refuses that.
            return False

    eventually(works)
    snake.store("x", array)
    eventually(lambda: len(segments(kernel_pid(snake))) == 1)


def test_a_closed_client_keeps_its_views(client: Client) -> None:
    with snakekernel.connect(client.connection_file) as other:
        attach(other)
        view = other.call("numpy.ones", args=[MIB], returns="value")
    assert view.sum() == MIB
    eventually(lambda: not segments(kernel_pid(client)))
