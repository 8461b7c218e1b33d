"""Eight clients of two pools, each with its own ledger: what it asked, and what came of it.

Rules: a request that has an effect appends its own name to the client's file, in the kernel; the ledger keeps
how the request ended. Every request ends with its reply, or with an error that says that its kernel was lost;
whatever else is raised ends the soak. Clients rest between requests: the load is one that goes on for hours
beside others, not the most that there can be.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from snakekernel import KernelPool
from snakekernel.errors import DeadlineExceeded, KernelLost, RemoteError
from snakekernel.pool.blocking import BlockingKernelPool

#: Seconds after which a request without a reply has failed.
PATIENCE: Final = 60.0
#: Seconds that a client rests between two turns, at most.
REST: Final = 1.6
#: The part of the turns that open a session: each takes a kernel, which is what costs most.
_SESSIONS: Final = 0.15
#: Bytes of the arrays that are sent: enough to go through shared memory.
_ARRAY: Final = 2 << 20
_EFFECT: Final = "with open({path!r}, 'a') as ledger: ledger.write({name!r} + chr(10))"


class Ledger:
    """What one client asked, and how it ended: with a reply, an error that was meant, or its kernel."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.path = folder / name
        self.path.touch()
        self.chance = random.Random(name)
        #: How each request with an effect ended, by its name.
        self.ends: list[str] = []
        #: How many of the others ended how.
        self.counts: Counter[str] = Counter()

    def rest(self) -> float:
        """Seconds until the next turn."""
        return self.chance.uniform(0, REST)

    @contextmanager
    def effect(self) -> Iterator[str]:
        """A request that has an effect: the code that it is to run."""
        number = len(self.ends)
        self.ends.append("no reply")
        try:
            yield _EFFECT.format(path=str(self.path), name=str(number))
        except KernelLost:
            self.ends[number] = "lost"
            raise
        self.ends[number] = "reply"

    @contextmanager
    def request(self, meant: type[Exception] | None = None) -> Iterator[None]:
        """A request that ends with a reply, or with the error that is meant."""
        end = "no reply"
        try:
            yield
            end = "reply" if meant is None else f"no {meant.__name__}"
        except KernelLost:
            end = "lost"
            raise
        except Exception as error:
            if meant is None or not isinstance(error, meant):
                raise
            end = "meant"
        finally:
            self.counts[end] += 1

    def check(self) -> Counter[str]:
        """How many ended how. Effects: one where there was a reply, at most one where the kernel was lost."""
        seen = Counter(map(int, self.path.read_text().split()))
        assert {number: count for number, count in seen.items() if count > 1} == {}
        assert [n for n, end in enumerate(self.ends) if end == "reply" and not seen[n]] == []
        ended = self.counts + Counter(self.ends)
        assert ended.keys() <= {"reply", "meant", "lost"}, ended
        return ended


def blocking_client(pool: BlockingKernelPool, ledger: Ledger, goes_on: Callable[[], bool]) -> None:
    """A client on a thread of its own."""
    array = np.random.default_rng(1).integers(0, 255, _ARRAY, dtype=np.uint8)
    while goes_on():
        with suppress(KernelLost):
            if ledger.chance.random() < _SESSIONS:
                _session(pool, ledger, array)
            else:
                _calls(pool, ledger)
        time.sleep(ledger.rest())


def _calls(pool: BlockingKernelPool, ledger: Ledger) -> None:
    with ledger.effect() as code:
        pool.call("builtins.exec", code, timeout=PATIENCE)
    with ledger.request(RemoteError):
        pool.call("operator.truediv", 1, 0, timeout=PATIENCE)
    with ledger.request(DeadlineExceeded):
        pool.call("time.sleep", PATIENCE, deadline=0.02, timeout=PATIENCE)


def _session(pool: BlockingKernelPool, ledger: Ledger, array: np.ndarray) -> None:
    id = f"{ledger.name} {len(ledger.ends)}"
    try:
        with pool.session(id) as snake:
            with ledger.request():
                snake.store("array", array, timeout=PATIENCE)
            with ledger.request():
                assert (snake.retrieve("array", timeout=PATIENCE) == array).all()
            with ledger.request():
                # The kernel calls this client.
                total = snake.call("functools.reduce", args=[lambda a, b: a + b, [1, 2, 3]], timeout=PATIENCE)
                assert total == 6
            with ledger.effect() as code:
                snake.call("builtins.exec", args=[code], timeout=PATIENCE)
    finally:
        pool.close_session(id)


async def async_client(pool: KernelPool, ledger: Ledger, goes_on: Callable[[], bool]) -> None:
    """A client that is one task of several on a loop."""
    while goes_on():
        with suppress(KernelLost):
            if ledger.chance.random() < _SESSIONS:
                await _async_session(pool, ledger)
            else:
                await asyncio.gather(*(_async_call(pool, ledger) for _ in range(3)))
        await asyncio.sleep(ledger.rest())


async def _async_call(pool: KernelPool, ledger: Ledger) -> None:
    with suppress(KernelLost), ledger.effect() as code:
        await pool.call("builtins.exec", code, timeout=PATIENCE)


async def _async_session(pool: KernelPool, ledger: Ledger) -> None:
    id = f"{ledger.name} {len(ledger.ends)}"
    try:
        async with pool.session(id) as snake:
            with ledger.request():
                numbers = snake.stream("builtins.range", args=[50], credit=8, timeout=PATIENCE)
                assert [number async for number in numbers] == [*range(50)]
            with ledger.request():
                assert await snake.map("math.isqrt", [4, 9, 16]) == [2, 3, 4]
            with ledger.effect() as code:
                await snake.call("builtins.exec", args=[code], timeout=PATIENCE)
    finally:
        await pool.close_session(id)
