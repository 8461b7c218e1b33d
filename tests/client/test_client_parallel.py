"""``parallel`` and ``map`` of both clients, and what ``asyncio.gather`` overlaps."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from stock_client import PATIENCE, Stock

import snakekernel
from snakekernel import AsyncClient, Client, Future
from snakekernel.errors import KernelLost, LimitExceeded, RemoteError, ReplyTimeout

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

_CELL = """
import asyncio, collections, threading, time
meetings = collections.defaultdict(dict)
def meet(name, parties):
    "Returns when so many calls of it run at once."
    barrier = meetings[name].setdefault(parties, threading.Barrier(parties))
    barrier.wait(60)
    return threading.get_ident()
async def meet_awaiting(name, parties):
    here = meetings[name].setdefault("here", [])
    here.append(None)
    while len(here) < parties: await asyncio.sleep(0.001)
    return threading.get_ident()
begun = []
def endless(*_):
    begun.append(None)
    while True: time.sleep(0.01)
def fails_once_all_run(value, parties):
    if value: raise LookupError(value)
    endless()
"""


@pytest.fixture(scope="module", autouse=True)
def functions(stock: Stock) -> None:
    stock.cell(_CELL)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.name


@pytest.fixture
def client(snake: Client) -> Iterator[Client]:
    """Another client of the module's kernel."""
    with snakekernel.connect(snake.connection_file) as one:
        yield one


def _subshells(stock: Stock) -> set[str]:
    listed = stock.send("list_subshell_request", channel="control")
    return set(stock.reply(listed, channel="control")["content"]["subshell_id"])


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "waited too long"


class TestParallel:
    def test_submitted_calls_run_at_once(self, snake: Client, name: str) -> None:
        with snake.parallel(4) as pool:
            futures = [pool.submit("user.meet", args=[name, 4]) for _ in range(4)]
            assert all(isinstance(future, Future) for future in futures)
        # The end of the block has waited.
        assert all(future.done() for future in futures)
        assert len({future.result() for future in futures}) == 4

    def test_calls_of_threads_run_at_once(self, snake: Client, name: str) -> None:
        with snake.parallel(4) as pool, ThreadPoolExecutor(4) as threads:
            calls = [threads.submit(pool.call, "user.meet", args=[name, 4]) for _ in range(4)]
            assert len({call.result() for call in calls}) == 4

    def test_other_operations_and_views(self, snake: Client) -> None:
        with snake.parallel(2) as pool, pool.session() as view:
            view.store("here", [1, 2])
            assert view.call("builtins.len", args=[snakekernel.ref("here")]) == 2
            kept = view.call("builtins.list", args=[[3]], store_as="kept")
            assert kept.proxy.fetch() == [3]
            assert pool.ping()["status"] == "ok"
            assert pool.modules.math.floor(2.5) == 2

    def test_a_pool_is_the_client_afterwards(self, snake: Client) -> None:
        with snake.parallel(2) as pool:
            assert pool.call("threading.get_ident") != snake.call("threading.get_ident")
        assert pool.call("threading.get_ident") == snake.call("threading.get_ident")

    def test_threads_are_used_again(self, client: Client, stock: Stock) -> None:
        with client.parallel(3):
            first = _subshells(stock)
        with client.parallel(2):
            assert _subshells(stock) == first
        with client.parallel(2), client.parallel(2):
            assert _subshells(stock) > first

    def test_they_end_with_the_client(self, snake: Client, stock: Stock) -> None:
        before = _subshells(stock)
        with snakekernel.connect(snake.connection_file) as one, one.parallel(3):
            assert len(_subshells(stock) - before) == 3
        assert _subshells(stock) == before

    def test_those_that_went_are_opened_anew(self, client: Client, stock: Stock) -> None:
        with client.parallel(3):
            went = sorted(client._spare.all())
        client.execute("close_subshells", {"subshells": went})
        with client.parallel(3) as pool:
            assert pool.call("math.sqrt", args=[4]) == 2
            assert not set(went) & set(client._spare.all())

    def test_an_exception_cancels_what_runs(self, snake: Client, name: str) -> None:
        futures = []
        with pytest.raises(ZeroDivisionError), snake.parallel(2) as pool:
            futures = [pool.submit("user.endless") for _ in range(4)]
            raise ZeroDivisionError
        assert all(future.done() for future in futures)
        with snake.parallel(2) as pool:
            assert pool.submit("user.meet", args=[name, 2]) is not None
            pool.call("user.meet", args=[name, 2])

    def test_a_call_that_takes_too_long_is_stopped(self, snake: Client) -> None:
        with snake.parallel(1) as pool:
            with pytest.raises(ReplyTimeout):
                pool.call("user.endless", timeout=0.05)
            assert pool.call("math.sqrt", args=[4], timeout=PATIENCE) == 2

    def test_two_clients_at_once(self, snake: Client, client: Client, name: str) -> None:
        with snake.parallel(2) as ours, client.parallel(2) as theirs:
            futures = [pool.submit("user.meet", args=[name, 4]) for pool in (ours, theirs) for _ in range(2)]
            assert len({future.result() for future in futures}) == 4

    def test_bounds(self, snake: Client) -> None:
        with pytest.raises(ValueError, match="one subshell at least"), snake.parallel(0):
            pass
        with snake.parallel(2), pytest.raises(LimitExceeded), snake.parallel(63):
            pass
        with snake.parallel(1) as pool:
            assert pool.call("math.sqrt", args=[4]) == 2

    def test_a_lost_kernel_ends_the_block(self) -> None:
        with snakekernel.start() as snake, pytest.raises(KernelLost), snake.parallel(2) as pool:
            pool.submit("os._exit", args=[1])
            pool.call("time.sleep", args=[1000])


class TestMap:
    def test_results_are_in_order(self, snake: Client) -> None:
        assert snake.map("operator.mul", range(50), range(50)) == [i * i for i in range(50)]
        assert snake.map("builtins.dict", [[("a", 1)]] * 2, kwargs={"b": 2}) == [{"a": 1, "b": 2}] * 2
        assert snake.map("operator.pos", []) == []
        assert snake.map("operator.add", [1, 2, 3], [1]) == [2]

    def test_several_run_at_once(self, snake: Client, name: str) -> None:
        assert len(set(snake.map("user.meet", [name] * 3, [3] * 3, concurrency=3))) == 3
        with snake.parallel(3) as pool:
            assert len(set(pool.map("user.meet", [name + "2"] * 3, [3] * 3))) == 3

    def test_no_more_is_taken_than_is_called(self, snake: Client, stock: Stock) -> None:
        taken = itertools.count()
        with pytest.raises(LookupError), snake.parallel(4) as pool:
            pool.map("user.fails_once_all_run", (next(taken) == 3 for _ in itertools.repeat(0)), [4] * 10**6)
        assert next(taken) <= 8

    def test_the_first_error_ends_it_and_cancels_the_rest(self, snake: Client) -> None:
        values = [0, 0, "wrong", 0, 0]
        with pytest.raises(RemoteError, match="wrong"):
            snake.map("user.fails_once_all_run", values, [3] * 5, concurrency=3)
        assert snake.map("operator.pos", [1, 2], concurrency=3) == [1, 2]

    def test_an_error_of_the_items_themselves(self, snake: Client) -> None:
        def items() -> Iterator[int]:
            yield 1
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            snake.map("operator.pos", items())

    def test_in_a_session(self, snake: Client) -> None:
        with snake.session() as view:
            view.store("factor", 3)
            called = view.map("operator.mul", [snakekernel.ref("factor")] * 3, [1, 2, 3])
            assert called == [3, 6, 9]

    def test_from_threads_at_once(self, snake: Client) -> None:
        with snake.parallel(4) as pool, ThreadPoolExecutor(3) as threads:
            maps = [threads.submit(pool.map, "operator.pos", range(i, i + 30)) for i in range(3)]
            assert [one.result() for one in maps] == [list(range(i, i + 30)) for i in range(3)]


class TestAsync:
    def _run(self, snake: Client, work: Callable[[AsyncClient], Any]) -> None:
        async def run() -> None:
            async with AsyncClient.connect(snake.connection_file) as client:
                await work(client)

        asyncio.run(run())

    def test_gather_overlaps_coroutine_functions(self, snake: Client, name: str) -> None:
        async def work(client: AsyncClient) -> None:
            calls = [client.call("user.meet_awaiting", args=[name, 5]) for _ in range(5)]
            assert len(set(await asyncio.gather(*calls))) == 1

        self._run(snake, work)

    def test_they_may_be_asked_not_to(self, snake: Client, name: str) -> None:
        async def work(client: AsyncClient) -> None:
            first = client.call("asyncio.sleep", args=[0.05, "first"], concurrent=False)
            second = client.call("builtins.str", args=["second"])
            ended = []
            for done in asyncio.as_completed([first, second]):
                ended.append(await done)
            assert ended == ["first", "second"]

        self._run(snake, work)

    def test_gather_overlaps_functions_on_a_pool(self, snake: Client, stock: Stock, name: str) -> None:
        before = _subshells(stock)

        async def work(client: AsyncClient) -> None:
            async with client.parallel(4) as pool:
                calls = [pool.call("user.meet", args=[name, 4]) for _ in range(4)]
                assert len(set(await asyncio.gather(*calls))) == 4
                submitted = [pool.submit("user.meet", args=[name + "2", 4]) for _ in range(4)]
            assert len(set(await asyncio.gather(*submitted))) == 4

        self._run(snake, work)
        assert _subshells(stock) == before

    def test_map(self, snake: Client) -> None:
        async def work(client: AsyncClient) -> None:
            assert await client.map("operator.mul", range(50), range(50)) == [i * i for i in range(50)]
            async with client.parallel(3) as pool:
                assert len(set(await pool.map("user.meet", ["map"] * 3, [3] * 3))) == 3
                with pytest.raises(RemoteError, match="wrong"):
                    await pool.map("user.fails_once_all_run", [0, 0, "wrong", 0], [3] * 4)
                assert await pool.map("operator.pos", [1, 2]) == [1, 2]

        self._run(snake, work)

    def test_a_cancelled_block_cancels_what_runs(self, snake: Client) -> None:
        snake.call("user.begun.clear")

        async def work(client: AsyncClient) -> None:
            async def block() -> None:
                async with client.parallel(2) as pool:
                    await pool.map("user.endless", range(2))

            task = asyncio.ensure_future(block())
            while await client.call("user.begun.__len__") < 2:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        self._run(snake, work)


def test_nothing_of_a_pool_is_left_in_this_process(snake: Client) -> None:
    before = threading.active_count()
    with snakekernel.connect(snake.connection_file) as client:
        client.map("operator.pos", range(10))
    assert threading.active_count() <= before
