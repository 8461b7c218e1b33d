"""Signal handlers that use the client or raise, at any moment; Ctrl-C while threads share it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from snakekernel import Client
from snakekernel.client.shield import Shield
from snakekernel.errors import KernelLost
from snakekernel.wire.names import request_type

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")]


class _BrokeInError(Exception):
    """What a handler raises."""


def _raise(*_: object) -> None:
    raise _BrokeInError


@contextmanager
def _handled(number: int, handler: Callable[..., object]) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _request(snake: Client) -> Any:
    return snake._link.message(request_type("ping"), b"{}")


def _sum(snake: Client, a: int, b: int) -> Any:
    return snake.call("operator.add", args=[a, b], timeout=20)


def test_a_handler_in_a_thread_that_follows(snake: Client) -> None:
    answers: list[object] = []
    with (
        ThreadPoolExecutor(1) as pool,
        _handled(signal.SIGUSR1, lambda *_: answers.append(_sum(snake, 1, 2))),
    ):
        leader = pool.submit(snake.call, "time.sleep", args=[0.6])
        while snake._turns._leader is None:
            assert not leader.done()
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        assert snake.call("time.sleep", args=[0.3], timeout=30) is None
        timer.join()
    assert answers == [3]


def test_a_call_in_the_middle_of_a_message_is_refused(snake: Client, tmp_path: Path) -> None:
    """As by a handler that breaks into the sending: its thread holds the link's lock."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # It ends when the other end is opened; what has come already can be told without reading.
    future = snake.submit("os.open", args=[str(gate), os.O_RDONLY])
    with snake._link.lock:
        for use in (lambda: _sum(snake, 1, 2), lambda: snake.submit("math.pi"), future.done, snake.close):
            with pytest.raises(RuntimeError, match="middle of a message"):
                use()
    os.close(os.open(gate, os.O_WRONLY))
    snake.call("os.close", args=[future.result(30)])
    assert _sum(snake, 3, 4) == 7


def test_a_call_by_the_thread_that_just_took_the_lead(snake: Client) -> None:
    with snake._turns._leading:
        assert _sum(snake, 1, 2) == 3
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_sum, snake, 3, 4).result(30) == 7


@pytest.mark.parametrize("frame", range(6))
def test_a_message_cut_in_two_is_dropped(snake: Client, frame: int) -> None:
    waiting = snake.submit("time.sleep", args=[0.2])
    message = _request(snake)
    # No frame: sending ends here by an exception, as by one of a handler.
    message.frames[frame] = object()
    with pytest.raises(TypeError):
        snake._turns.request(message, "ping", lambda content, buffers: content)
    assert _sum(snake, 1, 2) == 3
    if frame:
        # Its reply goes to the connection that was given up.
        assert isinstance(waiting.exception(30), KernelLost)


def test_a_message_cut_in_its_buffers_is_dropped(snake: Client) -> None:
    message = _request(snake)
    bad: Any = object()
    with pytest.raises(TypeError):
        snake._turns.request(
            message._replace(buffers=[memoryview(b"first"), bad]), "ping", lambda content, buffers: content
        )
    assert _sum(snake, 1, 2) == 3


def test_a_reply_read_in_part_is_told_as_lost(snake: Client) -> None:
    future = snake.submit("time.sleep", args=[0.3])
    door = snake._link._doors["shell"]
    with snake._link.lock:
        # What an exception leaves that breaks into the reading.
        door.socket.poll(10_000, zmq.POLLIN)
        door.torn = door.unread = True
        door.recv(zmq.NOBLOCK)
    with pytest.raises(KernelLost, match="broke into"):
        future.result(30)
    assert _sum(snake, 1, 2) == 3


@pytest.mark.parametrize("threads", [0, 2])
def test_handlers_that_raise_leave_the_client_usable(snake: Client, threads: int) -> None:
    over = threading.Event()

    def work() -> int:
        done = 0
        while not over.is_set():
            try:
                done += _sum(snake, 0, 1)
            except KernelLost:
                # Its reply was lost with a message that was cut.
                continue
        return done

    def storm(until: float) -> None:
        while time.monotonic() < until:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.004))
                while True:
                    assert _sum(snake, 1, 2) == 3
            except (_BrokeInError, KernelLost):
                continue

    with ThreadPoolExecutor(2) as pool, _handled(signal.SIGALRM, _raise):
        others = [pool.submit(work) for _ in range(threads)]
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                storm(end)
            except _BrokeInError:
                continue
        # None is left to come: each came before the next was asked for, or is held here.
        with pytest.raises(_BrokeInError):
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            threading.Event().wait(30)
        over.set()
        assert all(other.result(30) for other in others)
    assert _sum(snake, 1, 2) == 3


def test_handlers_that_call_get_answers_or_are_refused(snake: Client) -> None:
    answers: list[object] = []
    inside = False

    def handler(*_: object) -> None:
        nonlocal inside
        if inside:
            return
        inside = True
        try:
            answers.append(_sum(snake, len(answers), 0))
        except RuntimeError:
            answers.append(len(answers))
        finally:
            inside = False

    with ThreadPoolExecutor(1) as pool, _handled(signal.SIGALRM, handler):
        other = pool.submit(lambda: [_sum(snake, i, 0) for i in range(500)])
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            assert [_sum(snake, i, 1) for i in range(1000)] == list(range(1, 1001))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert other.result(30) == list(range(500))
    assert answers == list(range(len(answers)))


def test_ctrl_c_again_and_again_while_threads_share_the_client(snake: Client) -> None:
    over = threading.Event()

    def work() -> int:
        done = 0
        while not over.is_set():
            done += _sum(snake, 0, 1)
        return done

    def press() -> None:
        for _ in range(300):
            time.sleep(random.uniform(0.0002, 0.008))
            os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(work) for _ in range(4)]
        pressing.start()
        while pressing.is_alive():
            try:
                while pressing.is_alive():
                    assert _sum(snake, 1, 2) == 3
            except KeyboardInterrupt:
                continue
        over.set()
        assert all(other.result(30) for other in others)
    assert _sum(snake, 1, 2) == 3


_CLOSING = """
import os, signal, threading
import snakekernel

snake = snakekernel.start()
folder, process = os.path.dirname(snake.manager.ip), snake.manager.provisioner.process
# It does not answer, so that closing waits for it.
os.kill(process.pid, signal.SIGSTOP)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    snake.close()
except KeyboardInterrupt:
    print("interrupted", process.poll() is not None, os.path.exists(folder))
"""


def test_ctrl_c_while_closing_leaves_no_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", _CLOSING], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["interrupted", "True", "False"], (done.returncode, done.stderr[-1500:])


_FORKING = """
import os, signal, threading
from snakekernel.client.shield import Shield

def fork():
    child = os.fork()
    if child == 0:
        held = False
        try:
            with Shield():
                signal.raise_signal(signal.SIGINT)
                held = True
        except KeyboardInterrupt:
            pass
        os._exit(0 if held else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

thread = threading.Thread(target=fork)
thread.start()
thread.join()
"""


def test_a_child_forked_by_another_thread_shields_its_main_thread() -> None:
    done = subprocess.run([sys.executable, "-c", _FORKING], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0"


def test_a_shield_that_was_broken_off_holds_nothing_back() -> None:
    before = signal.getsignal(signal.SIGINT)

    def broken_off() -> None:
        # As an exception leaves it that another signal's handler raises at the first line of ``__exit__``.
        Shield().__enter__()

    broken_off()
    assert signal.getsignal(signal.SIGINT) is not before
    with pytest.raises(KeyboardInterrupt), Shield():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
