"""Nothing runs on that nobody waits for: timeouts, Ctrl-C, cancelled futures and tasks stop their calls."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from stock_client import Stock

import snakekernel
from snakekernel import AsyncClient, Client
from snakekernel.client.link import Link
from snakekernel.errors import Cancelled, DeadlineExceeded, InvalidRequest, ReplyTimeout

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

_CODE = """
import time
from pathlib import Path
class Slow:
    over = []
    def sleep(self, begun=None):
        try:
            if begun: Path(begun).touch()
            time.sleep(1000)
        finally:
            self.over.append('sleep')
    def items(self, begun):
        yield 1
        yield self.sleep(begun)
stored.slow = Slow()
"""


@pytest.fixture(scope="module", autouse=True)
def slow(stock: Stock) -> None:
    """What sleeps, and tells when it is left."""
    stock.cell(_CODE)


@pytest.fixture
def begun(tmp_path: Path) -> str:
    """A file that is there when the call has begun."""
    return str(tmp_path / "begun")


@pytest.fixture(autouse=True)
def all_is_over(snake: Client) -> Iterator[None]:
    """Each test leaves one call behind, which is over before the kernel serves another."""
    snake.call("stored.slow.over.clear")
    yield
    assert snake.call("builtins.list", args=[snake.stored.slow.over], timeout=30) == ["sleep"]


def wait_for(begun: str) -> None:
    """Wait until the call has begun."""
    while not os.path.exists(begun):
        pass


def send_when_begun(begun: str, act: Callable[[], object]) -> threading.Thread:
    """Do something, on another thread, when the call has begun."""

    def work() -> None:
        wait_for(begun)
        act()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_timeout(snake: Client) -> None:
    with pytest.raises(ReplyTimeout, match="asked to stop"):
        snake.call("stored.slow.sleep", timeout=0.3)


def test_a_timeout_of_a_pipeline_and_of_a_batch(snake: Client) -> None:
    with pytest.raises(ReplyTimeout):
        snake.pipeline([{"target": "stored.slow.sleep"}, {"target": "stored.slow.sleep"}], timeout=0.3)
    assert snake.call("builtins.list", args=[snake.stored.slow.over], timeout=30) == ["sleep"]
    snake.call("stored.slow.over.clear")
    with pytest.raises(ReplyTimeout), snake.batch(timeout=0.3) as batch:
        batch.call("stored.slow.sleep")
        batch.call("stored.slow.sleep")


def test_a_timeout_of_a_call_that_is_heard(snake: Client) -> None:
    with pytest.raises(ReplyTimeout):
        snake.call("stored.slow.sleep", timeout=1, on_output=lambda output: None)


def test_ctrl_c(snake: Client, begun: str) -> None:
    thread = send_when_begun(begun, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        snake.call("stored.slow.sleep", args=[begun])
    thread.join()


def silent(output: object) -> None:
    """Hear, and say nothing."""


@pytest.mark.parametrize(
    "ask",
    [
        lambda snake: snake.call("stored.slow.sleep"),
        lambda snake: snake.call("stored.slow.sleep", on_output=silent),
        lambda snake: snake.submit("stored.slow.sleep"),
        lambda snake: snake.submit("stored.slow.sleep", on_output=silent),
        lambda snake: snake.stream("stored.slow.items", args=[None]),
    ],
    ids=["call", "heard call", "submit", "heard submit", "stream"],
)
def test_ctrl_c_as_it_is_sent(snake: Client, ask: Callable[[Client], object]) -> None:
    """Nobody has a future then, nor a stream, by which it could be stopped."""
    sent = Link.send.__code__

    def strike(frame: Any, event: str, arg: object) -> None:
        if event == "return" and frame.f_code is sent:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    before = sys.getprofile()
    sys.setprofile(strike)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(snake)
    finally:
        sys.setprofile(before)
    assert snake.call("operator.add", args=[1, 2], timeout=30) == 3
    # It may have been taken out before it began.
    snake.call("stored.slow.over.clear")
    snake.call("stored.slow.over.append", args=["sleep"])


def test_a_future(snake: Client, begun: str) -> None:
    future = snake.submit("stored.slow.sleep", args=[begun])
    waiting = snake.submit("stored.slow.sleep")
    snake.submit("operator.add", args=[1, 2], call_id="behind")
    wait_for(begun)
    # What is asked on control may come before what was sent on shell, which is there when this is.
    while snake.cancel("behind") != "stopped":
        pass
    assert waiting.cancel()
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()


def test_a_future_can_be_asked_again(snake: Client) -> None:
    future = snake.submit("stored.slow.sleep")
    with pytest.raises(ReplyTimeout, match="may still run"):
        future.result(timeout=0.1)
    assert snake.cancel(future) == "stopped"
    with pytest.raises(Cancelled):
        future.result()
    assert snake.cancel(future) == "over"


def test_by_call_id(snake: Client, begun: str) -> None:
    states: list[str] = []
    thread = send_when_begun(begun, lambda: states.append(snake.cancel("mine")))
    with pytest.raises(Cancelled):
        snake.call("stored.slow.sleep", args=[begun], call_id="mine")
    thread.join()
    assert states == ["stopped"]


def test_a_deadline(snake: Client) -> None:
    with pytest.raises(DeadlineExceeded):
        snake.call("stored.slow.sleep", deadline=0.2)
    assert snake.submit("operator.add", args=[1, 2], deadline=60).result() == 3
    with pytest.raises(DeadlineExceeded):
        snake.pipeline([{"target": "time.sleep", "args": [1000]}], deadline=0.2)


def test_a_stream(snake: Client, begun: str) -> None:
    stream = snake.stream("stored.slow.items", args=[begun])
    assert next(stream) == 1
    wait_for(begun)
    assert snake.cancel(stream) == "stopped"
    with pytest.raises(Cancelled):
        next(stream)


def test_the_deadline_of_a_stream(snake: Client) -> None:
    stream = snake.stream("stored.slow.items", args=[None], deadline=0.3)
    assert next(stream) == 1
    with pytest.raises(DeadlineExceeded):
        next(stream)


def test_closing_at_once(snake: Client, begun: str) -> None:
    """What was asked for last still leaves."""
    with snakekernel.connect(snake.connection_file) as other:
        future = other.submit("stored.slow.sleep", args=[begun])
        wait_for(begun)
        future.cancel()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_stops_nothing(snake: Client, begun: str) -> None:
    future = snake.submit("stored.slow.sleep", args=[begun])
    wait_for(begun)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            # The request is the parent's.
            snakekernel.client.unwanted.unwanted(snake._link, future._number)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert future.running()
    assert snake.cancel(future) == "stopped"


def test_what_is_no_call(snake: Client) -> None:
    with snakekernel.connect(snake.connection_file) as other:
        theirs: list[Any] = [other.submit("operator.add", args=[1, 2]), object()]
        for wrong in theirs:
            with pytest.raises(TypeError):
                snake.cancel(wrong)
        with pytest.raises(InvalidRequest):
            snake.cancel()
    snake.call("stored.slow.over.append", args=["sleep"])


async def test_tasks(snake: Client, begun: str) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        task = client.submit("stored.slow.sleep", args=[begun])
        while not os.path.exists(begun):
            await asyncio.sleep(0.01)
        # Before its first step, and in the middle.
        never = client.submit("time.sleep", args=[1000])
        for one in (never, task):
            one.cancel()
            with pytest.raises(asyncio.CancelledError):
                await one
        assert await client.call("operator.add", args=[1, 2], timeout=30) == 3


@pytest.mark.parametrize("heard", [False, True])
async def test_a_timeout_of_the_async_client(snake: Client, heard: bool) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        with pytest.raises(ReplyTimeout, match="asked to stop"):
            await client.call("stored.slow.sleep", timeout=1, on_output=print if heard else None)


async def test_what_the_async_client_cancels(snake: Client, begun: str) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        task = client.submit("stored.slow.sleep", args=[begun])
        while not os.path.exists(begun):
            await asyncio.sleep(0.01)
        assert await client.cancel(task) == "stopped"
        with pytest.raises(Cancelled):
            await task
        stream = client.stream("time.sleep", args=[1000])
        assert await client.cancel(stream) == "stopped"
        with pytest.raises(TypeError):
            await client.cancel(asyncio.get_running_loop().create_future())
