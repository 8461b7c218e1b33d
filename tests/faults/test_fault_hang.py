"""Calls that do not stop at their deadline: told within two seconds, and the kernel ended where asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from needs import TOLD

import snakekernel
from snakekernel import AsyncClient, Client, KernelPool
from snakekernel.errors import DeadlineExceeded, KernelHung, KernelLost

pytestmark = pytest.mark.kernel

DEADLINE = 0.5
#: What is promised, and what a busy machine may make of it.
PROMISED, SLACK = 2.0, 3.0
#: Holds the interpreter, and no signal ends it: a lock that its own thread has.
HELD = """
import ctypes
lock, libc = ctypes.create_string_buffer(64), ctypes.PyDLL(None)
libc.pthread_mutex_lock(lock)
libc.pthread_mutex_lock(lock)
"""
#: Handles every interrupt and goes on; other threads run.
STUBBORN = """
import time
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
"""


def _hung(snake: Client, code: str, record_property: Any, what: str) -> KernelHung:
    begun = time.monotonic()
    with pytest.raises(KernelHung) as caught:
        snake.call("builtins.exec", args=[code], deadline=DEADLINE)
    late = time.monotonic() - begun - DEADLINE
    record_property(TOLD, f"{what}: told {late:.2f} s after the deadline, promised are {PROMISED:g} s")
    assert late < PROMISED * SLACK
    return caught.value


@pytest.fixture(scope="module")
def killing() -> Iterator[Client]:
    with snakekernel.start(on_hang="kill") as client:
        yield client


@pytest.mark.promise("fault-4")
def test_one_that_holds_the_gil_is_told_and_killed(killing: Client, record_property: Any) -> None:
    error = _hung(killing, HELD, record_property, "a call that holds the GIL")
    assert isinstance(error, DeadlineExceeded | TimeoutError)
    assert not error.control
    assert error.is_killed
    with pytest.raises(KernelLost) as caught:
        killing.call("math.sqrt", args=[4])
    assert caught.value.cause == "killed"
    killing.restart()
    assert killing.call("math.sqrt", args=[4]) == 2.0


@pytest.mark.promise("fault-5")
def test_one_whose_heartbeat_is_healthy_is_told_and_killed(killing: Client, record_property: Any) -> None:
    error = _hung(killing, STUBBORN, record_property, "a call that ignores interrupts")
    assert error.control
    assert error.is_killed
    killing.restart()
    assert killing.call("math.sqrt", args=[4]) == 2.0


@pytest.mark.promise("fault-4", "fault-5")
def test_told_alone_where_nothing_else_was_asked_for(record_property: Any) -> None:
    with snakekernel.start() as snake:
        error = _hung(snake, STUBBORN, record_property, "a call that ignores interrupts, told alone")
        assert error.control
        assert not error.is_killed
        # The heartbeat knows nothing of it: a thread of zmq's answers it.
        with zmq.Context() as context, context.socket(zmq.REQ) as heart:
            heart.linger = 0
            details = snake.manager.get_connection_info()
            heart.connect(f"{details['transport']}://{details['ip']}-{details['hb_port']}")
            heart.send(b"alive?")
            assert heart.poll(30_000)
        snake.ping(timeout=30)
        snake.kill()


@pytest.mark.promise("fault-4")
async def test_the_async_client_and_the_pool_tell_it_too(record_property: Any) -> None:
    async with AsyncClient.start(on_hang="kill") as client:
        with pytest.raises(KernelHung) as caught:
            await client.call("builtins.exec", args=[HELD], deadline=DEADLINE)
        assert caught.value.is_killed
        with pytest.raises(KernelLost):
            await client.call("math.sqrt", args=[4])
    async with KernelPool(maximum=1) as pool, pool.session("one") as snake:
        before = await snake.call("os.getpid")
        begun = time.monotonic()
        with pytest.raises(KernelHung) as caught:
            await snake.call("builtins.exec", args=[HELD], deadline=DEADLINE)
        late = time.monotonic() - begun - DEADLINE
        record_property(TOLD, f"a call that holds the GIL in a pool: told {late:.2f} s after the deadline")
        assert late < PROMISED * SLACK
        assert caught.value.is_killed
        # The session is opened anew, on another kernel.
        async with pool.session("one") as again:
            assert await again.call("os.getpid") != before
