"""Subshells that a client holds: opened for it, ended without anybody waiting, and gone when it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from stock_client import PATIENCE, Stock

from snakekernel import Client

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]


def _open(stock: Stock, count: int, **fields: Any) -> list[str]:
    reply = stock.ok("open_subshells", {"count": count, "lease": 60, **fields}, channel="control")
    return list(reply["subshells"])


def _close(stock: Stock, subshells: list[str]) -> tuple[int, int]:
    reply = stock.ok("close_subshells", {"subshells": subshells}, channel="control")
    return reply["closed"], reply["busy"]


def _there(stock: Stock) -> set[str]:
    listed = stock.send("list_subshell_request", channel="control")
    return set(stock.reply(listed, channel="control")["content"]["subshell_id"])


def _until(done: Callable[[], bool]) -> None:
    """Ask again and again; each time is a round trip."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "waited too long"


@pytest.fixture
def other(snake: Client) -> Iterator[Stock]:
    """A second client."""
    client = Stock(snake.manager.get_connection_info())
    yield client
    client.close()


@pytest.fixture(autouse=True)
def none_left(stock: Stock) -> Iterator[None]:
    before = _there(stock)
    yield
    _until(lambda: _there(stock) == before)


def test_each_serves_on_a_thread_of_its_own(stock: Stock) -> None:
    subshells = _open(stock, 3)
    assert _there(stock) >= set(subshells)
    asked = [stock.send("call", {"target": "threading.get_ident"}, subshell_id=one) for one in subshells]
    threads = {stock.reply(msg_id)["content"]["result"]["value"] for msg_id in asked}
    assert len(threads | {stock.call("threading.get_ident")}) == 4
    assert _close(stock, subshells) == (3, 0)
    # Again is no error.
    assert _close(stock, subshells) == (0, 0)


def test_cells_run_there_as_well(stock: Stock) -> None:
    [subshell] = _open(stock, 1)
    cell = stock.send("execute_request", {"code": "1 + 1", "silent": False}, subshell_id=subshell)
    assert stock.reply(cell)["content"]["status"] == "ok"
    assert _close(stock, [subshell]) == (1, 0)


def test_some_are_used_again(stock: Stock, other: Stock) -> None:
    subshells = _open(stock, 2)
    more = _open(stock, 4, reuse=[*subshells, "gone"])
    assert set(subshells) < set(more)
    assert len(set(more)) == 4
    # They are nobody else's.
    theirs = _open(other, 1, reuse=subshells)
    assert not set(theirs) & set(more)
    assert _close(other, more) == (0, 0)
    assert _close(other, theirs) == (1, 0)
    assert _close(stock, more) == (4, 0)


def test_one_is_closed_while_it_is_busy(stock: Stock) -> None:
    stock.cell(
        "import time\ndef endless():\n    print('begun', flush=True)\n    while True: time.sleep(0.01)"
    )
    [subshell] = _open(stock, 1)
    running = stock.send("call", {"target": "user.endless"}, subshell_id=subshell)
    queued = stock.send("call", {"target": "user.endless"}, subshell_id=subshell)
    stock.until_it_prints(running)
    assert _close(stock, [subshell]) == (1, 0)
    assert stock.reply(running)["content"]["code"] == "cancelled"
    assert stock.reply(queued)["content"]["code"] == "not_found"
    after = stock.send("call", {"target": "math.pi"}, subshell_id=subshell)
    assert stock.reply(after)["content"]["ename"] == "UnknownSubshellError"


def test_native_code_ends_before_its_subshell_does_and_nobody_waits(stock: Stock) -> None:
    [subshell] = _open(stock, 1)
    stock.cell(
        "import threading\n"
        "lock = threading.Lock()\n"
        "lock.acquire()\n"
        "import pathlib, time\n"
        "thread = None\n"
        "def blocked():\n"
        "    global thread\n"
        "    print('begun', flush=True)\n"
        "    thread = threading.get_native_id()\n"
        "    lock.acquire()\n"
        "    return 5\n"
        "def until_it_waits():\n"
        "    asleep = 0\n"
        "    while asleep < 5:\n"
        "        stat = thread and pathlib.Path(f'/proc/self/task/{thread}/stat').read_text()\n"
        "        asleep = asleep + 1 if stat and stat.rpartition(')')[2].split()[0] == 'S' else 0\n"
        "        time.sleep(0.02)\n"
    )
    running = stock.send("call", {"target": "user.blocked"}, subshell_id=subshell)
    stock.call("user.until_it_waits")
    assert _close(stock, [subshell]) == (1, 1)
    # Not so with ipykernel's own way.
    assert stock.call("math.sqrt", 4) == 2
    stock.call("user.lock.release")
    assert stock.reply(running)["content"]["status"] in ("ok", "error")


def test_there_are_not_too_many(stock: Stock, other: Stock) -> None:
    there = _open(other, 2)
    reply = stock.fails("open_subshells", {"count": 64}, channel="control")
    assert reply["code"] == "limit"
    assert _close(other, there) == (2, 0)


def test_those_of_a_lost_client_end(snake: Client, stock: Stock) -> None:
    stock.cell("import time\ndef on_and_on():\n    while True: time.sleep(0.01)")
    lost = Stock(snake.manager.get_connection_info())
    subshells = _open(lost, 3, lease=0.5)
    lost.send("call", {"target": "user.on_and_on"}, subshell_id=subshells[0])
    lost.fence(subshell_id=subshells[1])
    lost.close()
    _until(lambda: not _there(stock) & set(subshells))
    assert stock.call("math.sqrt", 4) == 2


_KILLED = """
import sys, time, snakekernel
snake = snakekernel.connect(sys.argv[1])
with snake.parallel(3) as pool:
    pool.submit("user.for_ever")
    print(pool.call("math.sqrt", args=[4]), flush=True)
    time.sleep(1000)
"""


def test_those_of_a_killed_client_end(snake: Client, stock: Stock) -> None:
    stock.cell("import time\ndef for_ever():\n    while True: time.sleep(0.01)")
    before = _there(stock)
    command = [sys.executable, "-c", _KILLED, str(snake.connection_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "2.0\n"
        assert len(_there(stock) - before) == 3
        os.kill(client.pid, signal.SIGKILL)
    # Others are served meanwhile.
    _until(lambda: stock.call("math.sqrt", 4) == 2 and _there(stock) == before)


def test_no_threads_or_descriptors_are_left(snake: Client, stock: Stock) -> None:
    kernel = psutil.Process(snake.call("os.getpid"))
    _close(stock, _open(stock, 8))
    threads, descriptors = kernel.num_threads(), kernel.num_fds()
    for _ in range(5):
        _close(stock, _open(stock, 8))
    assert kernel.num_threads() <= threads
    assert kernel.num_fds() <= descriptors
