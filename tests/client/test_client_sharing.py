"""Threads share a Client, tasks an AsyncClient; timeouts and Ctrl-C leave both usable."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from snakekernel import AsyncClient, Client
from snakekernel.errors import Interrupted, KernelLost, ReplyTimeout

pytestmark = pytest.mark.kernel

THREADS, CALLS = 8, 50


def test_threads_share_a_client(snake: Client) -> None:
    """Each gets its own answer, while one makes long calls and one lists on control."""
    start = threading.Barrier(THREADS)

    def work(number: int) -> list[object]:
        start.wait()
        if number == 0:
            return [snake.call("time.sleep", args=[0.1]) for _ in range(5)]
        if number == 1:
            return [snake.ping()["bridge_type"] for _ in range(CALLS)]
        return [snake.call("operator.mul", args=[number, i]) for i in range(CALLS)]

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(work, range(THREADS)))
    assert results[0] == [None] * 5
    assert results[1] == ["snakekernel"] * CALLS
    for number in range(2, THREADS):
        assert results[number] == [number * i for i in range(CALLS)]


def test_threads_that_give_up_do_not_disturb_the_others(snake: Client) -> None:
    def work(number: int) -> object:
        if number % 2:
            with pytest.raises(ReplyTimeout):
                snake.call("time.sleep", args=[1.0], timeout=0.05)
            return None
        return [snake.call("operator.add", args=[number, i]) for i in range(10)]

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(work, range(6)))
    assert results[0::2] == [[n + i for i in range(10)] for n in (0, 2, 4)]


def test_control_answers_while_a_call_runs(snake: Client, tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(snake.call, "builtins.exec", args=[code])
        while not marker.exists():
            time.sleep(0.005)
        snake.list_stored()
        snake.ping()
        assert not long.done()
        snake.interrupt()
        assert isinstance(long.exception(timeout=30), Interrupted)


def test_a_client_made_in_a_thread_serves_others(snake: Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(Client.connect, snake.connection_file).result()
        assert client.call("math.sqrt", args=[4]) == 2.0
        assert pool.submit(client.call, "math.sqrt", args=[9]).result() == 3.0
        pool.submit(client.close).result()
    with pytest.raises(KernelLost):
        client.ping()


def test_a_timeout_raises_and_later_calls_work(snake: Client) -> None:
    begun = time.monotonic()
    with pytest.raises(ReplyTimeout) as caught:
        snake.call("time.sleep", args=[2.0], timeout=0.1)
    assert time.monotonic() - begun >= 0.1
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.code == "outcome_unknown"
    assert snake.call("math.sqrt", args=[4]) == 2.0


@pytest.mark.parametrize("owned", [True, False])
def test_an_interrupt_stops_the_call_and_nothing_else(snake: Client, tmp_path: Path, owned: bool) -> None:
    marker = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"
    with Client.connect(snake.connection_file) as other, ThreadPoolExecutor(1) as pool:
        long = pool.submit(snake.call, "builtins.exec", args=[code])
        while not marker.exists():
            assert not long.done()
        (snake if owned else other).interrupt()
        assert isinstance(long.exception(timeout=30), Interrupted)
    assert snake.call("math.sqrt", args=[4]) == 2.0


async def test_an_async_interrupt(snake: Client, tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"
    async with AsyncClient.connect(snake.connection_file) as client:
        long = asyncio.create_task(client.call("builtins.exec", args=[code]))
        while not marker.exists():
            await asyncio.sleep(0.005)
        await client.interrupt()
        with pytest.raises(Interrupted):
            await long
        assert await client.call("math.sqrt", args=[4]) == 2.0


async def test_tasks_share_a_client(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        calls = [client.call("operator.mul", args=[i, i]) for i in range(200)]
        pings = [client.ping() for _ in range(20)]
        results = await asyncio.gather(*calls, *pings)
    assert results[:200] == [i * i for i in range(200)]
    assert all(r["bridge_type"] == "snakekernel" for r in results[200:])


async def test_async_timeouts_and_cancellations_leave_the_client_usable(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        with pytest.raises(ReplyTimeout):
            await client.call("time.sleep", args=[0.3], timeout=0.05)
        task = asyncio.create_task(client.call("time.sleep", args=[0.3]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.call("math.sqrt", args=[4]) == 2.0


def _until_ctrl_c(call: Callable[[], object], *, after: int) -> None:
    """Repeat a call until Ctrl-C, which another thread presses once the calls have begun."""
    begun = threading.Event()

    def press() -> None:
        begun.wait()
        # How long it waits is only to hit another moment each time.
        for _ in range(after):
            os.getpid()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        begun.set()
        while True:
            call()
    thread.join()


def test_ctrl_c_while_waiting_leaves_the_client_usable(snake: Client) -> None:
    _until_ctrl_c(lambda: snake.call("time.sleep", args=[0.3]), after=0)
    assert snake.call("operator.add", args=[1, 2]) == 3
    assert snake.ping()["bridge_type"] == "snakekernel"


def test_ctrl_c_at_any_moment_leaves_the_client_usable(snake: Client) -> None:
    """Pressed in the middle of a storm of small calls, it never cuts a message in two."""
    for number in range(60):
        _until_ctrl_c(lambda: snake.call("operator.add", args=[1, 1], timeout=60), after=number * 331)
        assert snake.call("operator.add", args=[number, 2], timeout=60) == number + 2


def test_another_thread_goes_on_when_ctrl_c_takes_the_leader(snake: Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: [snake.call("operator.add", args=[i, 0]) for i in range(200)])
        _until_ctrl_c(lambda: snake.call("operator.add", args=[1, 1]), after=0)
        assert other.result(timeout=30) == list(range(200))
