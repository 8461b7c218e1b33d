"""A client killed in the middle of all that it can hold: everything is freed, others are served meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from stock_client import Stock

import snakekernel
from snakekernel import Client

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

_CODE = """
import asyncio, threading, weakref
ended = []

class Mortal:
    made = weakref.WeakSet()
    def __init__(self): self.made.add(self)

def numbers(name):
    try:
        while True: yield 1
    finally: ended.append(name)

async def numbers_async(name):
    try:
        while True: yield 1
    finally: ended.append(name)

def asks(name, function):
    try: function()
    except ConnectionError: pass
    finally: ended.append(name)

def asks_in_a_thread(name, function):
    thread = threading.Thread(target=asks, args=[name, function])
    thread.start()

async def asks_while_it_awaits(name, function):
    try: await function()
    finally: ended.append(name)

async def awaits(name):
    try: await asyncio.sleep(1000)
    finally: ended.append(name)

def left(): return len(Mortal.made)
def threads(): return sorted(t.name for t in threading.enumerate())
"""

_CLIENT = """
import asyncio, sys, time, snakekernel
snake = snakekernel.connect(sys.argv[1])
asked = []
def function():
    asked.append(1)
    time.sleep(1000)
async def coroutine_function():
    asked.append(1)
    await asyncio.sleep(1000)
references = [snake.call('user.Mortal', returns='ref') for _ in range(100)]
kinds = ('numbers', 'numbers_async')
streams = [snake.stream('user.' + kind, args=[kind], credit=2, concurrent=True) for kind in kinds]
with snake.parallel(3) as pool:
    streams.append(pool.stream('user.numbers', args=['on a subshell']))
    assert [next(stream) for stream in streams] == [1, 1, 1]
    pool.submit('user.asks', args=['function on a subshell', function])
    snake.submit('user.asks_in_a_thread', args=['function in a thread', function])
    while len(asked) < 2: time.sleep(0.01)

    async def more():
        async with snakekernel.AsyncClient.connect(sys.argv[1]) as other:
            call = asyncio.create_task(
                other.call('user.asks_while_it_awaits', args=['function in a coroutine', coroutine_function])
            )
            while len(asked) < 3: await asyncio.sleep(0.01)
            print('holds all', flush=True)
            await call

    asyncio.run(more())
"""

#: What ends with its client: three streams, three functions that are waited for.
_ENDS = [
    "function in a coroutine",
    "function in a thread",
    "function on a subshell",
    "numbers",
    "numbers_async",
    "on a subshell",
]


def test_a_client_that_holds_all_there_is(fresh_kernel: Callable[..., tuple[Client, Stock]]) -> None:
    snake, stock = fresh_kernel()
    stock.cell(_CODE)
    before = snake.call("user.threads")
    with subprocess.Popen(
        [sys.executable, "-c", _CLIENT, str(snake.connection_file)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "holds all\n"
            assert snake.call("user.left") == 100
            assert snake.retrieve(target="user.ended") == []
        finally:
            os.kill(process.pid, signal.SIGKILL)
    with snakekernel.connect(snake.connection_file) as other:
        mine = snake.call("user.Mortal", returns="ref")

        def is_over() -> bool:
            # Both are served all the while, with streams and functions of their own.
            assert snake.call("builtins.list", args=[map_of(snake)]) == [1, 2]
            assert list(other.stream("builtins.range", args=[3], credit=1)) == [0, 1, 2]
            return len(snake.retrieve(target="user.ended")) >= len(_ENDS) and snake.call("user.left") == 1

        stock.until(is_over, "the end of all that the killed client held")
        assert sorted(snake.retrieve(target="user.ended")) == _ENDS
        stock.until(lambda: snake.call("user.threads") == before, "the end of its threads")
        assert type(mine).__name__ == "RemoteObject"
        assert snake.call("user.left") == 1


def map_of(snake: Client) -> Any:
    """What calls a function of the client's as it is iterated."""
    return snake.call("builtins.map", args=[lambda n: n + 1, [0, 1]], returns="ref")
