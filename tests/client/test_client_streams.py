"""Streams through our clients: every item once and in order, closed however the loop is left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import snakekernel
from snakekernel import AsyncClient, Client
from snakekernel.client.streams import Stream
from snakekernel.errors import Interrupted, InvalidRequest, KernelLost, RemoteError, ReplyTimeout

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

PRODUCERS = """
import asyncio, threading
ended = []

def numbers(n, name="numbers"):
    try:
        yield from range(n)
    finally:
        ended.append(name)

async def numbers_async(n, name="numbers_async"):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        ended.append(name)

async def of_ten(function):
    return await function(10)

def fails(n):
    yield from range(n)
    raise ZeroDivisionError("in its place")

def slow():
    yield 1
    threading.Event().wait(60)
    yield 2

def arrays(n):
    import numpy as np
    array = np.zeros(1 << 16)
    for i in range(n):
        array[:] = i
        yield array
"""


@pytest.fixture(scope="module", autouse=True)
def producers(snake: Client) -> None:
    """The producers, as the notebook's functions."""
    snake.call("builtins.exec", args=[f"exec({PRODUCERS!r}, globals())"])


@pytest.fixture
async def asnake(snake: Client) -> AsyncIterator[AsyncClient]:
    """An async client of the module's kernel."""
    async with AsyncClient.connect(snake.connection_file) as client:
        yield client


@pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async"])
@pytest.mark.parametrize("credit", [1, 2, 7, 64, 100_000])
def test_every_item_once_and_in_order(snake: Client, target: str, credit: int) -> None:
    assert list(snake.stream(target, args=[1_000], credit=credit)) == list(range(1_000))


def test_a_reader_slower_than_any_queue(snake: Client) -> None:
    """Nothing is dropped on the way, however much is under way."""
    stream = snake.stream("user.numbers", args=[20_000], credit=100_000)
    # Served after the stream: all its items are on their way, and none was read.
    assert snake.call("operator.add", args=[1, 1]) == 2
    assert list(stream) == list(range(20_000))


@pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async"])
@pytest.mark.parametrize("credit", [1, 2, 64])
async def test_every_item_once_and_in_order_async(asnake: AsyncClient, target: str, credit: int) -> None:
    items = [item async for item in asnake.stream(target, args=[1_000], credit=credit)]
    assert items == list(range(1_000))


def test_arrays(snake: Client) -> None:
    """Big buffers go through shared memory, and each is what it was when it was yielded."""
    for n, array in enumerate(snake.stream("user.arrays", args=[50], credit=4)):
        assert array.shape == (1 << 16,)
        assert np.all(array == n)
    assert n == 49


def test_an_error_in_its_place(snake: Client) -> None:
    stream = snake.stream("user.fails", args=[3])
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="in its place") as caught:
        next(stream)
    assert isinstance(caught.value, RemoteError)
    # As with any generator, it is over then.
    assert list(stream) == []
    assert stream.closed


async def test_an_error_in_its_place_async(asnake: AsyncClient) -> None:
    stream = asnake.stream("user.fails", args=[1])
    assert await anext(stream) == 0
    with pytest.raises(ZeroDivisionError):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


def test_a_bad_request_is_told_at_the_first_item(snake: Client) -> None:
    with pytest.raises(InvalidRequest, match="cannot be iterated"):
        next(snake.stream("math.sqrt", args=[4]))
    with pytest.raises(InvalidRequest, match="credit"):
        next(snake.stream("user.numbers", args=[4], credit=0))


def test_leaving_the_loop_closes_it(snake: Client) -> None:
    snake.call("user.ended.clear")
    for item in snake.stream("user.numbers", args=[10**9, "left"]):
        if item == 10:
            break
    # The next request waits until the producer has ended.
    assert snake.call("user.ended") == ["left"]


def test_the_end_of_its_block_closes_it(snake: Client) -> None:
    snake.call("user.ended.clear")
    with snake.stream("user.numbers", args=[10**9, "block"]) as stream:
        assert next(stream) == 0
    assert stream.closed
    assert list(stream) == []
    assert snake.call("user.ended") == ["block"]
    stream.close()


def test_the_garbage_collector_closes_it(snake: Client) -> None:
    snake.call("user.ended.clear")
    stream = snake.stream("user.numbers", args=[10**9, "garbage"])
    holder: dict[str, Any] = {"stream": stream}
    holder["itself"] = holder
    assert next(stream) == 0
    del stream, holder
    gc.collect()
    assert snake.call("user.ended") == ["garbage"]


def test_the_garbage_collector_waits_for_nobody(snake: Client) -> None:
    """It may have broken into any lock, while another thread uses the connection."""
    stream = snake.stream("user.numbers", args=[1_000_000, "collected at once"], credit=2)
    assert next(stream) == 0
    taken, done = threading.Event(), threading.Event()

    def use() -> None:
        with snake._link.lock:
            taken.set()
            done.wait(60)

    with ThreadPoolExecutor(1) as threads:
        using = threads.submit(use)
        taken.wait(60)
        del stream
        gc.collect()
        assert not using.done()
        done.set()
    assert "collected at once" in snake.call("user.ended.copy")


async def test_closing_async(asnake: AsyncClient) -> None:
    await asnake.call("user.ended.clear")
    async with asnake.stream("user.numbers_async", args=[10**9, "block"]) as stream:
        assert await anext(stream) == 0
    async for item in asnake.stream("user.numbers_async", args=[10**9, "left"], concurrent=False):
        if item == 10:
            break
    stream = asnake.stream("user.numbers", args=[10**9, "aclose"])
    assert await anext(stream) == 0
    await stream.aclose()
    assert await asnake.call("user.ended") == ["block", "left", "aclose"]


def test_a_timeout_for_each_item(snake: Client) -> None:
    with Client.connect(snake.connection_file) as other:
        stream = other.stream("user.slow", timeout=0.2)
        assert next(stream) == 1
        with pytest.raises(ReplyTimeout, match="goes on"):
            next(stream)
        snake.interrupt()
        # It can be asked for again.
        stream._timeout = None
        with pytest.raises(Interrupted):
            next(stream)


def test_threads_share_a_client(snake: Client) -> None:
    def read(n: int) -> bool:
        return list(snake.stream("user.numbers", args=[300 + n], credit=8)) == list(range(300 + n))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(read, range(8)))


def test_threads_share_a_stream(snake: Client) -> None:
    stream = snake.stream("user.numbers", args=[2_000], credit=16)
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda _: list(stream), range(4)))
    assert sorted(item for part in parts for item in part) == list(range(2_000))
    assert all(part == sorted(part) for part in parts)


def test_another_thread_closes_it(snake: Client) -> None:
    with ThreadPoolExecutor(1) as threads:
        before = snake.submit("time.sleep", args=[60])
        stream = snake.stream("user.numbers", args=[9])
        reading = threads.submit(next, stream, "over")
        while not stream._feed.waiting:
            threading.Event().wait(0.01)
        closing = threading.Thread(target=stream.close)
        closing.start()
        snake.cancel(before)
        closing.join(60)
        assert reading.result(60) in (0, "over")
    assert not closing.is_alive()


def test_other_requests_between_items(snake: Client) -> None:
    """While a stream waits for its reader, control is served, and what comes for others is theirs."""
    stream = snake.stream("user.numbers", args=[200], credit=2)
    for n, item in enumerate(stream):
        assert item == n
        assert snake.ping()["uptime"] > 0


async def test_tasks_read_streams_at_once(asnake: AsyncClient) -> None:
    async def read(n: int) -> bool:
        items = [item async for item in asnake.stream("user.numbers_async", args=[200 + n], credit=8)]
        return items == list(range(200 + n))

    assert all(await asyncio.gather(*(read(n) for n in range(6))))


def test_two_clients(snake: Client) -> None:
    with Client.connect(snake.connection_file) as other:
        mine = snake.stream("user.numbers", args=[100], credit=3)
        assert next(mine) == 0
        theirs = other.stream("user.numbers", args=[100], credit=3)
        assert other.ping()["uptime"] > 0
        assert list(mine) == list(range(1, 100))
        assert list(theirs) == list(range(100))


def test_a_session_of_its_own(snake: Client) -> None:
    with snake.session("streaming") as session:
        session.store("three", [1, 2, 3])
        assert list(session.stream("stored.three")) == [1, 2, 3]
        assert list(snake.stream("stored.three", session_id="streaming")) == [1, 2, 3]


def test_a_stored_iterator_in_chunks(snake: Client) -> None:
    snake.call("user.numbers", args=[7], store_as="seven")
    chunk = snake.pull("stored.seven", 3)
    assert (chunk.items, chunk.done, chunk.failure) == ([0, 1, 2], False, None)
    with snake.stream("stored.seven", credit=1) as stream:
        assert next(stream) == 3
    assert snake.pull("stored.seven").done
    snake.call("user.fails", args=[1], store_as="fails")
    chunk = snake.pull("stored.fails", 3)
    assert chunk.items == [0]
    assert isinstance(chunk.failure, ZeroDivisionError)


def test_references(snake: Client) -> None:
    held = list(snake.stream("user.numbers", args=[3], returns="ref"))
    assert [one.fetch() for one in held] == [0, 1, 2]


def test_references_that_nobody_takes_are_let_go(snake: Client) -> None:
    def held() -> int:
        return int(snake.execute("renew")["held"])

    gc.collect()
    kept = snake.call("builtins.object", returns="ref")
    until = time.monotonic() + 30
    for leave in (Stream.close, Stream.__del__):
        stream = snake.stream("itertools.repeat", args=[[1], 10], returns="ref", credit=100)
        assert next(stream).fetch() == [1]
        leave(stream)
        # Told of with the next renewal.
        while held() > 1:
            assert time.monotonic() < until
    assert held() == 1
    del kept


def test_a_function_of_the_client_makes_the_items(snake: Client) -> None:
    """The kernel asks for each; the thread that reads the stream is free to wait for it."""
    stream = snake.stream("builtins.map", args=[lambda n: n * n, range(100)], credit=8)
    assert list(stream) == [n * n for n in range(100)]


def test_within_a_function_of_the_client(snake: Client) -> None:
    """The stream is served by the thread that waits for the function."""

    def total(n: int) -> int:
        return sum(snake.stream("user.numbers", args=[n], credit=4))

    assert snake.call("functools.reduce", args=[lambda a, b: a + total(b), [0, 10, 20]]) == 45 + 190


async def test_within_a_function_of_the_async_client(asnake: AsyncClient) -> None:
    async def total(n: int) -> int:
        return sum([item async for item in asnake.stream("user.numbers_async", args=[n], credit=4)])

    assert await asnake.call("user.of_ten", args=[total]) == 45


def test_in_parallel(snake: Client) -> None:
    """Streams on subshells of their own, each taken item by item in turn."""
    with snake.parallel(2) as pool:
        one = pool.stream("user.numbers", args=[50], credit=4)
        two = pool.stream("user.numbers", args=[50], credit=4)
        assert list(zip(one, two, strict=True)) == [(n, n) for n in range(50)]


def test_calls_of_a_pool_beside_its_stream(snake: Client) -> None:
    """The reader may call: there is a subshell without a stream for that."""
    with snake.parallel(2) as pool:
        stream = pool.stream("user.numbers", args=[6], credit=2)
        assert [pool.map("math.isqrt", [n * n, 1], concurrency=2) for n in stream] == [
            [n, 1] for n in range(6)
        ]


@pytest.mark.parametrize("broken", [False, True])
def test_the_end_of_a_pool_closes_its_streams(snake: Client, broken: bool) -> None:
    with suppress(LookupError), snake.parallel(1) as pool:
        stream = pool.stream("user.numbers", args=[1_000_000, f"of a pool {broken}"], credit=2)
        waiting = pool.stream("user.numbers", args=[1_000_000, "waits for its turn"], credit=2)
        assert next(stream) == 0
        if broken:
            raise LookupError
    with snake.parallel(1) as pool:
        assert pool.call("math.isqrt", args=[49]) == 7
    assert len([*stream, *waiting]) < 9
    assert f"of a pool {broken}" in snake.call("user.ended.copy")


async def test_the_end_of_an_async_pool_closes_its_streams(asnake: AsyncClient) -> None:
    async with asnake.parallel(1) as pool:
        stream = pool.stream("user.numbers", args=[1_000_000, "of an async pool"], credit=2)
        assert await anext(stream) == 0
    async with asnake.parallel(1) as pool:
        assert await pool.call("math.isqrt", args=[49]) == 7
    assert len([item async for item in stream]) < 4
    assert "of an async pool" in await asnake.call("user.ended.copy")


def test_a_concurrent_stream_leaves_the_shell_to_others(snake: Client) -> None:
    stream = snake.stream("user.numbers", args=[50], credit=2, concurrent=True)
    for n, item in enumerate(stream):
        assert item == n
        assert snake.call("operator.add", args=[n, 1]) == n + 1


async def test_async_streams_leave_the_shell_to_others(asnake: AsyncClient) -> None:
    one = asnake.stream("user.numbers", args=[50], credit=4)
    two = asnake.stream("user.numbers_async", args=[50], credit=4)
    for n in range(50):
        assert [await anext(one), await anext(two)] == [n, n]
        assert await asnake.call("operator.add", args=[n, 1]) == n + 1


def test_the_tokens_of_a_dspy_program(snake: Client) -> None:
    """What streamify makes; DSPy's own tasks and context live as long as the stream."""
    from snakekernel.demo.lm_server import LMServer

    with LMServer() as server, snake.session("tokens") as session:
        session.configure_lm(provider="openai", model="demo", api_base=server.api_base, api_key="none")
        session.create_program("program", "question -> answer")
        listener = session.call(
            "dspy.streaming.StreamListener", kwargs={"signature_field_name": "answer"}, returns="ref"
        )
        session.call(
            "dspy.streamify",
            args=[session.stored.program],
            kwargs={"stream_listeners": [listener]},
            store_as="spoken",
        )
        *pieces, prediction = session.stream(
            "stored.spoken", kwargs={"question": "Where do penguins live?"}, credit=1
        )
        said = "".join(piece.attributes["chunk"]["value"] for piece in pieces)
        assert len(pieces) > 3
        assert prediction.type == "Prediction"
        assert prediction["prediction_data"]["answer"] == said
        with session.stream("stored.spoken", kwargs={"question": "Where do penguins live?"}) as stream:
            next(stream)
        assert session.call("operator.add", args=[1, 1]) == 2


def test_not_within_a_batch(snake: Client) -> None:
    with pytest.raises(InvalidRequest, match="batch"), snake.batch() as batch:
        batch.stream("user.numbers", args=[1])


def test_a_kernel_that_dies() -> None:
    with snakekernel.start() as client:
        pid = client.call("os.getpid")
        stream = client.stream("itertools.count", credit=2)
        assert next(stream) == 0
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(KernelLost):
            list(stream)
        assert list(stream) == []
        stream.close()


def test_a_client_that_is_closed(snake: Client) -> None:
    other = Client.connect(snake.connection_file)
    stream = other.stream("user.numbers", args=[10**9, "closed"], credit=2)
    assert next(stream) == 0
    other.close()
    with pytest.raises(KernelLost):
        list(stream)
    stream.close()
    # The kernel hears of it no more; its lease runs out.
    assert "closed" in snake.call("user.ended")


async def test_an_async_kernel_that_dies() -> None:
    async with AsyncClient.start() as client:
        pid = await client.call("os.getpid")
        stream = client.stream("itertools.count", credit=2)
        assert await anext(stream) == 0
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(KernelLost):
            while True:
                await anext(stream)
