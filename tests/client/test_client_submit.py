"""``submit``: many calls under way on one client, from one thread."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import snakekernel
from snakekernel import AsyncClient, Client, Future
from snakekernel.errors import KernelLost, ReplyTimeout, Unserializable

pytestmark = pytest.mark.kernel


def test_many_calls_are_under_way_at_once(snake: Client) -> None:
    futures = [snake.submit("operator.mul", args=[i, 2]) for i in range(500)]
    assert isinstance(futures[0], Future)
    assert [future.result() for future in reversed(futures)] == [2 * i for i in reversed(range(500))]
    assert all(future.done() and not future.running() for future in futures)


def test_the_arguments_are_those_of_a_call(snake: Client) -> None:
    kept = snake.submit("builtins.list", args=[np.arange(3).tolist()], store_as="submitted")
    assert kept.result().path == ("submitted",)
    assert snake.submit("builtins.dict", kwargs={"a": 1}).result() == {"a": 1}
    array = snake.submit("numpy.arange", args=[4], returns="value").result()
    assert array.tolist() == [0, 1, 2, 3]
    with snake.session() as view:
        assert view.submit("builtins.list", args=["7"], store_as="seven").result().proxy.fetch() == ["7"]
        assert view.submit("stored.seven").result() == ["7"]
    with pytest.raises(Unserializable):
        snake.submit("builtins.len", args=[object()])


def test_a_result_is_there_again_and_again(snake: Client) -> None:
    future = snake.submit("numpy.arange", args=[3])
    assert future.result() is future.result()
    failed = snake.submit("math.sqrt", args=[-1])
    assert isinstance(failed.exception(), ValueError)
    for _ in range(2):
        with pytest.raises(ValueError):
            failed.result()
    assert snake.submit("math.sqrt", args=[4]).exception() is None


def test_threads_that_ask_at_once_get_the_same_result(snake: Client) -> None:
    future = snake.submit("numpy.arange", args=[100_000])
    snake.call("builtins.int")
    start = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: (start.wait(), future.result())[1], range(4)))
    assert len({id(result) for result in results}) == 1
    # The reply is not kept beside the result.
    assert not future._came.buffers


@pytest.mark.parametrize("items", [10, 12_000, 100_000, 200_000])
def test_later_changes_of_arguments_do_not_reach_the_kernel(snake: Client, items: int) -> None:
    array = np.zeros(items)
    # So that nothing is read before the last change.
    os.kill(snake.manager.provisioner.pid, signal.SIGSTOP)
    try:
        futures = []
        for number in range(10):
            array[:] = number
            futures.append(snake.submit("numpy.mean", args=[array]))
        array[:] = -1
    finally:
        os.kill(snake.manager.provisioner.pid, signal.SIGCONT)
    assert [future.result() for future in futures] == list(range(10))


async def test_nor_do_they_with_the_async_client(snake: Client) -> None:
    array = np.zeros(50_000)
    async with AsyncClient.connect(snake.connection_file) as client:
        futures = []
        for number in range(10):
            array[:] = number
            futures.append(client.submit("numpy.mean", args=[array]))
        array[:] = -1
        assert await asyncio.gather(*futures) == list(range(10))


def test_a_future_can_be_asked_again_after_a_timeout(snake: Client) -> None:
    future = snake.submit("time.sleep", args=[2.0])
    assert future.running()
    with pytest.raises(ReplyTimeout):
        future.result(timeout=0.05)
    with pytest.raises(ReplyTimeout):
        future.exception(timeout=0)
    assert future.result(timeout=30) is None


def test_calls_in_between_do_not_disturb(snake: Client) -> None:
    slow = snake.submit("time.sleep", args=[2.0])
    assert snake.ping()["bridge_type"] == "snakekernel"
    assert not slow.done()
    assert snake.call("operator.add", args=[1, 2]) == 3
    assert slow.done()


def test_threads_wait_for_the_same_future(snake: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            future = snake.submit("time.sleep", args=[0.02])
            others = [snake.submit("operator.add", args=[i, 1]) for i in range(4)]
            waiting = [pool.submit(future.result, 30) for _ in range(4)]
            waiting += [pool.submit(other.result, 30) for other in others]
            assert [one.result(30) for one in waiting] == [None] * 4 + [1, 2, 3, 4]


def test_one_that_gives_up_leaves_the_future_to_others(snake: Client) -> None:
    future = snake.submit("time.sleep", args=[2.0])
    with ThreadPoolExecutor(2) as pool:
        impatient = pool.submit(future.result, 0.1)
        patient = pool.submit(future.result, 30)
        assert isinstance(impatient.exception(), ReplyTimeout)
        assert patient.result() is None


def test_cancelling_gives_up_the_result_and_the_call(snake: Client, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    blocker = snake.submit("time.sleep", args=[1.0])
    future = snake.submit("pathlib.Path.touch", args=[mark])
    assert future.cancel()
    assert future.cancelled()
    assert future.done()
    assert not future.cancel() or future.cancelled()
    with pytest.raises(CancelledError, match="given up"):
        future.result()
    with pytest.raises(CancelledError):
        future.exception()
    assert blocker.result() is None
    assert not blocker.cancel()
    snake.call("builtins.int")
    assert not mark.exists()


def test_cancelling_ends_the_wait_of_another_thread(snake: Client, tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"
    future = snake.submit("builtins.exec", args=[code])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(future.result)
        while not (waiting.running() and marker.exists()):
            time.sleep(0.001)
        assert future.cancel()
        assert isinstance(waiting.exception(timeout=30), CancelledError)
    snake.interrupt()
    assert snake.call("builtins.int") == 0


def test_callbacks_are_called_once_when_somebody_reads(
    snake: Client, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[object] = []
    future = snake.submit("operator.add", args=[1, 2])
    future.add_done_callback(lambda one: called.append(one.result()))
    future.add_done_callback(lambda one: 1 // 0)
    # A callback may call: nothing is held meanwhile.
    future.add_done_callback(lambda one: called.append(snake.call("operator.add", args=[3, 4])))
    with caplog.at_level(logging.ERROR):
        snake.call("builtins.int")
    assert called == [3, 7]
    assert "callback" in caplog.text
    future.add_done_callback(lambda one: called.append("at once"))
    assert called == [3, 7, "at once"]


def test_callbacks_run_while_another_call_is_waited_for(snake: Client) -> None:
    called = threading.Event()
    quick = snake.submit("builtins.int")
    quick.add_done_callback(lambda one: called.set())
    slow = snake.submit("time.sleep", args=[2.0])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slow.result)
        assert called.wait(30)
        assert not waiting.done()


def test_closing_and_losing_fail_them() -> None:
    with snakekernel.start() as snake:
        other = snakekernel.connect(snake.connection_file)
        future = other.submit("time.sleep", args=[3])
        other.close()
        with pytest.raises(KernelLost, match="closed"):
            future.result()
        with pytest.raises(KernelLost):
            other.submit("math.pi")
        first, second = snake.submit("os._exit", args=[1]), snake.submit("math.pi")
        assert isinstance(second.exception(timeout=30), KernelLost)
        assert isinstance(first.exception(), KernelLost)


async def test_the_async_client_gives_tasks(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        futures = [client.submit("operator.mul", args=[i, 2]) for i in range(300)]
        assert await asyncio.gather(*futures) == [2 * i for i in range(300)]
        with pytest.raises(ValueError):
            await client.submit("math.sqrt", args=[-1])
        slow = client.submit("time.sleep", args=[0.2])
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert await client.call("math.sqrt", args=[4]) == 2.0


async def test_requests_of_one_turn_keep_their_order(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        await client.store("order", [])
        calls = [client.call("stored.order.append", args=[i]) for i in range(50)]
        await asyncio.gather(*calls)
        assert await client.retrieve("order") == list(range(50))
