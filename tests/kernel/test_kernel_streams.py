"""Streams as any client sees them: a message for each item, no more than was granted, then the one reply."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from stock_client import Stock, check_error
from stock_stream import Reading

from snakekernel import Client

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

#: What the tests iterate; each producer notes what it made and how it ended.
PRODUCERS = """
import asyncio, io, threading, time
made, ended = [], []

def numbers(n, error=None):
    made.clear(); ended.clear()
    try:
        for i in range(n):
            made.append(i)
            yield i
        if error: raise ValueError(error)
    finally:
        ended.append(type(__import__("sys").exception()).__name__ if hasattr(__import__("sys"), "exception")
                     else type(__import__("sys").exc_info()[1]).__name__)

async def numbers_async(n, error=None):
    made.clear(); ended.clear()
    try:
        for i in range(n):
            await asyncio.sleep(0)
            made.append(i)
            yield i
        if error: raise ValueError(error)
    finally:
        ended.append(type(__import__("sys").exc_info()[1]).__name__)

async def numbers_later(n):
    return numbers(n)

class Numbers:
    def __init__(self, n): self.n = n
    def __iter__(self): return iter(range(self.n))

class Asynchronous:
    def __init__(self, n): self.left = iter(range(n))
    def __aiter__(self): return self
    async def __anext__(self):
        for i in self.left: return i
        raise StopAsyncIteration

class Old:
    def __getitem__(self, i):
        if i < 3: return i
        raise IndexError

async def waits():
    ended.clear()
    try:
        yield 0
        await asyncio.sleep(1000)
    finally:
        ended.append(type(__import__("sys").exc_info()[1]).__name__)

def bad_end():
    try:
        yield 0
        yield 1
    finally:
        raise KeyError("in the clean-up")

def same_buffer(n):
    import numpy as np
    array = np.zeros(50_000)
    for i in range(n):
        array[:] = i
        yield array

def lines(): return io.StringIO("a\\nb\\nc")
def streamed(): return numbers_async
"""


@pytest.fixture(scope="module", autouse=True)
def producers(stock: Stock) -> None:
    """The producers, as the notebook's functions."""
    stock.cell(PRODUCERS)


@pytest.fixture
def other(snake: Client) -> Iterator[Stock]:
    """A second stock client."""
    client = Stock(snake.manager.get_connection_info())
    yield client
    client.close()


@pytest.mark.parametrize(
    ("target", "args"),
    [
        ("user.numbers", [3]),
        ("user.numbers_async", [3]),
        ("user.numbers_later", [3]),
        ("user.Numbers", [3]),
        ("user.Asynchronous", [3]),
        ("user.Old", []),
        ("builtins.range", [3]),
    ],
)
def test_whatever_can_be_iterated(stock: Stock, target: str, args: list[Any]) -> None:
    reading = Reading(stock, target, *args)
    end = reading.end()
    assert reading.items == [0, 1, 2]
    assert end["status"] == "ok"
    assert end["result"] is None
    assert end["closed"] is False


def test_a_file(stock: Stock) -> None:
    reading = Reading(stock, "user.lines")
    reading.end()
    assert reading.items == ["a\n", "b\n", "c"]


def test_a_callable_that_makes_asynchronous_generators_and_is_stored(stock: Stock) -> None:
    stock.ok("call", {"target": "user.streamed", "store_as": "streamed"})
    reading = Reading(stock, "stored.streamed", 4)
    reading.end()
    assert reading.items == [0, 1, 2, 3]


def test_what_cannot_be_iterated(stock: Stock) -> None:
    end = Reading(stock, "math.sqrt", 4).end()
    check_error(end)
    assert (end["code"], end["at"]) == ("invalid_request", "$.stream")


@pytest.mark.parametrize("fields", [{"store_as": "x"}, {"call_id": "x"}])
def test_what_a_stream_cannot_have(stock: Stock, fields: dict[str, Any]) -> None:
    reply = stock.fails("call", {"target": "builtins.range", "args": [3], "stream": {"credit": 1}, **fields})
    assert reply["code"] == "invalid_request"
    assert reply["at"] == f"$.{next(iter(fields))}"


def test_a_step_of_a_pipeline_is_no_stream(stock: Stock) -> None:
    step = {"target": "builtins.range", "args": [3], "stream": {"credit": 1}}
    assert stock.fails("pipeline", {"steps": [step]})["at"] == "$.steps[0].stream"


@pytest.mark.parametrize("credit", [0, 100_001, "1", None])
def test_a_credit_that_is_none(stock: Stock, credit: Any) -> None:
    reply = stock.fails("call", {"target": "builtins.range", "args": [3], "stream": {"credit": credit}})
    assert (reply["code"], reply["at"]) == ("invalid_request", "$.stream.credit")


@pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async"])
def test_it_waits_for_credit_and_others_are_served(stock: Stock, target: str) -> None:
    reading = Reading(stock, target, 10, credit=3)
    assert reading.until(3) == [0, 1, 2]
    # Control answers while it waits, and nothing more has been made.
    assert stock.ok("ping", channel="control")
    assert reading.grant(4) is True
    assert reading.until(7) == list(range(7))
    assert reading.grant(100) in (True, False)
    assert reading.end()["items"] == 10
    assert reading.grant(1) is False
    assert stock.call("user.made") == list(range(10))


def test_never_further_ahead_than_the_credit(stock: Stock, subshell: str) -> None:
    reading = Reading(stock, "user.numbers", 1000, credit=2)
    for taken in range(2, 40, 2):
        reading.until(taken)
        made = stock.ask("call", {"target": "builtins.len", "args": [{"$ref": "none"}]}, subshell_id=subshell)
        assert made["status"] == "error"
        ahead = stock.ok("call", {"target": "user.made.__len__"}, subshell_id=subshell)["result"]["value"]
        assert ahead <= taken
        reading.grant(2)
    reading.close()
    reading.end()


@pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async"])
def test_an_error_arrives_in_its_place(stock: Stock, target: str) -> None:
    reading = Reading(stock, target, 5, "in the middle")
    end = reading.end()
    check_error(end)
    assert reading.items == [0, 1, 2, 3, 4]
    assert (end["code"], end["ename"], end["evalue"]) == ("raised", "ValueError", "in the middle")
    assert any("numbers" in line for line in end["traceback"])


@pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async"])
def test_closing_ends_the_producer(stock: Stock, target: str) -> None:
    reading = Reading(stock, target, 10**9, credit=5)
    reading.until(5)
    reading.close()
    end = reading.end()
    assert (end["status"], end["closed"]) == ("ok", True)
    assert stock.call("user.ended") == ["GeneratorExit"]


def test_closing_before_it_begins(stock: Stock) -> None:
    blocker = stock.send("call", {"target": "time.sleep", "args": [0.5]})
    reading = Reading(stock, "user.numbers", 10**9, credit=5)
    reading.close()
    assert reading.end()["closed"] is True
    assert reading.items == []
    stock.reply(blocker)


def test_closing_while_an_asynchronous_producer_waits(stock: Stock) -> None:
    reading = Reading(stock, "user.waits")
    reading.until(1)
    reading.close()
    assert reading.end()["closed"] is True
    assert len(stock.call("user.ended")) == 1


def test_an_error_of_the_clean_up_is_told(stock: Stock) -> None:
    reading = Reading(stock, "user.bad_end", credit=1)
    reading.until(1)
    reading.close()
    end = reading.end()
    assert (end["status"], end["ename"]) == ("error", "KeyError")


def test_an_item_without_a_value(stock: Stock) -> None:
    """What cannot be sent as it is demanded ends the stream, and the producer is closed."""
    stock.cell(
        "def mixed():\n"
        "    ended.clear()\n"
        "    try:\n"
        "        yield 1\n"
        "        yield object()\n"
        "    finally: ended.append('mixed')\n"
    )
    reading = Reading(stock, "user.mixed", returns="value")
    end = reading.end()
    assert reading.items == [1]
    assert end["code"] == "unserializable"
    assert stock.call("user.ended") == ["mixed"]


@pytest.mark.parametrize("returns", ["preview", "none", "ref"])
def test_how_items_come(stock: Stock, returns: str) -> None:
    reading = Reading(stock, "user.numbers", 2, returns=returns)
    reading.stock.until(lambda: len(reading.messages) == 2, "items")
    items = [m["content"]["item"] for m in reading.messages]
    if returns == "none":
        assert items == [None, None]
    elif returns == "preview":
        assert [item["type"] for item in items] == ["int", "int"]
    else:
        names = [item["value"]["$ref"] for item in items]
        assert [stock.ok("retrieve", {"id": name})["object"]["value"] for name in names] == [0, 1]


def test_each_item_is_sent_as_it_was(stock: Stock) -> None:
    """A producer may fill the same array again and again."""
    reading = Reading(stock, "user.same_buffer", 20)
    end = reading.end
    stock.until(lambda: len(reading.messages) == 20, "items")
    for n, message in enumerate(reading.messages):
        (buffer,) = message["buffers"]
        values = memoryview(buffer).cast("B").cast("d")
        assert set(values) == {float(n)}
    assert end()["status"] == "ok"


def test_no_item_shows_a_secret(stock: Stock) -> None:
    key = "sk-canary-0123456789abcdef"
    stock.ok("call", {"target": "builtins.dict", "kwargs": {"api_key": key}})
    stock.cell(f"def secrets(): yield 'plain'; yield 'the key is {key}'; yield b'{key}'")
    reading = Reading(stock, "user.secrets")
    assert reading.end()["items"] == 3
    plain, text, data = reading.messages
    assert "lossy" not in plain["content"]
    assert key not in str(text)
    assert not any(key.encode() in bytes(buffer) for buffer in data["buffers"])
    assert text["content"]["lossy"] is data["content"]["lossy"] is True


@pytest.mark.parametrize(("make", "iterate"), [("builtins.iter", "sync"), ("builtins.aiter", "async")])
def test_a_stored_iterator_keeps_its_place(stock: Stock, make: str, iterate: str) -> None:
    name = f"kept_{iterate}"
    stock.ok(
        "call",
        {
            "target": "user.numbers" if iterate == "sync" else "user.numbers_async",
            "args": [9],
            "store_as": name,
        },
    )
    first = Reading(stock, f"stored.{name}", credit=3)
    first.until(3)
    first.close()
    first.end()
    second = Reading(stock, f"stored.{name}", credit=100)
    assert second.end()["items"] == 6
    assert second.items == [3, 4, 5, 6, 7, 8]


def test_pulling_in_chunks(stock: Stock) -> None:
    for target in ("user.numbers", "user.numbers_async"):
        stock.ok("call", {"target": target, "args": [5, "over"], "store_as": "left"})
        pulled = stock.ok("pull", {"target": "stored.left", "count": 3})
        assert [item["value"] for item in pulled["items"]] == [0, 1, 2]
        assert (pulled["done"], pulled["failure"]) == (False, None)
        pulled = stock.ok("pull", {"target": "stored.left", "count": 3})
        assert [item["value"] for item in pulled["items"]] == [3, 4]
        assert (pulled["done"], pulled["failure"]["ename"]) == (False, "ValueError")
        pulled = stock.ok("pull", {"target": "stored.left"})
        assert (pulled["items"], pulled["done"]) == ([], True)


def test_several_at_once(stock: Stock, other: Stock, subshell: str) -> None:
    """One on the main thread, one on a subshell, and a second client that is served meanwhile."""
    one = Reading(stock, "user.Numbers", 50, credit=10)
    two = Reading(other, "user.Numbers", 50, credit=10, subshell_id=subshell)
    one.until(10)
    two.until(10)
    assert other.ok("ping", channel="control")
    for reading in (two, one):
        reading.grant(41)
        assert reading.end()["items"] == 50
        assert reading.items == list(range(50))


def test_credit_is_for_ones_own_streams(stock: Stock, other: Stock) -> None:
    reading = Reading(stock, "user.numbers", 10, credit=1)
    reading.until(1)
    reply = other.ok("credit", {"msg_id": reading.id, "credit": 5, "close": True}, channel="control")
    assert reply["open"] is False
    assert reading.grant(1) is True
    reading.until(2)
    reading.close()
    reading.end()


@pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async"])
def test_an_interrupt_ends_it(stock: Stock, snake: Client, target: str) -> None:
    reading = Reading(stock, target, 10**9, credit=1)
    reading.until(1)
    snake.interrupt()
    end = reading.end()
    assert end["code"] == "interrupted"
    assert stock.call("user.ended") == ["GeneratorExit"]
    assert stock.call("operator.add", 1, 1) == 2


@pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async", "user.waits"])
@pytest.mark.parametrize("route", ["main", "subshell", "concurrent"])
def test_cancel_ends_it(stock: Stock, subshell: str, target: str, route: str) -> None:
    fields: dict[str, Any] = {"subshell_id": subshell} if route == "subshell" else {}
    args = [] if target == "user.waits" else [10**9]
    reading = Reading(stock, target, *args, credit=1, concurrent=route == "concurrent", **fields)
    reading.until(1)
    assert stock.ok("cancel", {"msg_id": reading.id}, channel="control")["cancelled"] is True
    end = reading.end()
    check_error(end)
    assert end["code"] == "cancelled"
    assert len(stock.call("user.ended")) == 1


@pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async", "user.waits"])
def test_its_deadline_ends_it(stock: Stock, target: str) -> None:
    args = [] if target == "user.waits" else [10**9]
    reading = Reading(stock, target, *args, credit=1, deadline=0.2)
    reading.until(1)
    assert reading.end()["code"] == "deadline"
    assert len(stock.call("user.ended")) == 1


def test_others_are_served_beside_a_concurrent_one(stock: Stock, other: Stock) -> None:
    one = Reading(stock, "user.Numbers", 5, credit=1, concurrent=True)
    two = Reading(other, "user.Asynchronous", 5, credit=1, concurrent=True)
    for n in range(1, 5):
        one.until(n)
        two.until(n)
        assert stock.call("operator.add", n, 1) == n + 1
        one.grant(1)
        two.grant(1)
    for reading in (one, two):
        reading.grant(5)
        assert reading.end()["items"] == 5


class TestALostClient:
    """The kernel frees what a killed client left, and serves others meanwhile."""

    @pytest.mark.parametrize("target", ["user.numbers", "user.numbers_async", "user.waits"])
    def test_silence_ends_its_stream(self, stock: Stock, other: Stock, target: str) -> None:
        args = [] if target == "user.waits" else [10**9]
        reading = Reading(stock, target, *args, credit=1, lease=0.5)
        reading.until(1)
        assert other.ok("ping", channel="control")
        # It waits for its turn behind the stream, which ends when the lease does.
        assert len(other.call("user.ended")) == 1
        assert reading.end()["closed"] is True

    def test_renewing_keeps_it(self, stock: Stock) -> None:
        reading = Reading(stock, "user.numbers", 10**9, credit=1, lease=2)
        reading.until(1)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert stock.ok("renew", channel="control")["held"] == 1
        assert reading.grant(1) is True
        reading.close()
        reading.end()
        assert stock.ok("renew", channel="control")["held"] == 0

    def test_a_killed_process(self, snake: Client, stock: Stock, other: Stock) -> None:
        killed = subprocess.Popen(
            [sys.executable, "-c", _READER, snake.connection_file or ""], stdout=subprocess.PIPE, text=True
        )
        try:
            assert killed.stdout is not None
            assert killed.stdout.readline() == "0\n"
            killed.send_signal(signal.SIGKILL)
        finally:
            killed.wait()
            assert killed.stdout is not None
            killed.stdout.close()
        assert other.ok("ping", channel="control")
        assert stock.call("user.ended") == ["GeneratorExit"]


def test_a_producer_that_forks_and_comes_back_sends_once(stock: Stock) -> None:
    stock.cell(
        "import os\n"
        "def forks():\n"
        "    child = os.fork()\n"
        "    for _ in range(3): yield 'child' if child == 0 else 'parent'\n"
        "    if child: yield os.waitpid(child, 0)[1]\n"
    )
    reading = Reading(stock, "user.forks", credit=2)
    reading.until(2)
    assert reading.grant(10)
    assert reading.end()["items"] == 4
    assert reading.items == ["parent", "parent", "parent", 0]


_READER = """
import sys, snakekernel
client = snakekernel.connect(sys.argv[1])
stream = client.stream("user.numbers", args=[10**9], credit=2)
print(next(stream), flush=True)
sys.stdin.read()
import time
time.sleep(1000)
"""
