"""Calls on a pool's kernels: where they run, how they wait, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pools import PATIENCE, meet, until

from snakekernel import KernelPool
from snakekernel.errors import (
    InvalidRequest,
    PoolClosed,
    PoolFull,
    QueueTimeout,
    ReplyTimeout,
    Unserializable,
    WorkerLost,
)

pytestmark = [pytest.mark.kernel, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two() -> AsyncIterator[KernelPool]:
    """A pool of two kernels."""
    async with KernelPool(minimum=2, maximum=2, spares=0) as pool:
        yield pool


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one() -> AsyncIterator[KernelPool]:
    """A pool of one kernel, for which one call may wait."""
    async with KernelPool(minimum=1, maximum=1, spares=0, queue_limit=1, cancel_timeout=1.0) as pool:
        yield pool


async def test_calls_run_on_several_kernels_at_once(two: KernelPool, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    # Neither ends without the other.
    await asyncio.gather(two.call("builtins.exec", meet(a, b)), two.call("builtins.exec", args=[meet(b, a)]))


async def test_arguments_are_those_of_a_client(two: KernelPool) -> None:
    assert await two.call("math.sqrt", 16) == 4
    assert await two.call("builtins.pow", 2, args=[5], kwargs={"mod": 7}) == 4
    assert await two.map("builtins.pow", [2, 3], [2, 2], concurrency=2) == [4, 9]
    seen: list[str] = []
    await two.call("builtins.print", "hello", on_output=lambda output: seen.append(output.text))
    assert "".join(seen).strip() == "hello"
    with pytest.raises(ValueError, match="math domain"):
        await two.call("math.sqrt", -1)
    with pytest.raises(Unserializable):
        await two.call("builtins.len", object())
    for returns in ("ref", "proxy"):
        with pytest.raises(InvalidRequest, match="session"):
            await two.call("builtins.dict", returns=returns)
    # Each gave its place back.
    assert len(await asyncio.gather(*[two.call("os.getpid") for _ in range(20)])) == 20


async def test_a_full_queue_and_a_late_kernel_are_told_apart(one: KernelPool, tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    running = asyncio.ensure_future(one.call("builtins.exec", meet(begun, over)))
    await until(begun.exists)
    with pytest.raises(QueueTimeout):
        await one.call("math.sqrt", 4, queue_timeout=0.2)
    waiting = asyncio.ensure_future(one.call("math.sqrt", 4))
    await asyncio.sleep(0)
    with pytest.raises(PoolFull, match="nothing was sent"):
        await one.call("math.sqrt", 4)
    waiting.cancel()
    # Its place in the queue is another's.
    last = asyncio.ensure_future(one.call("math.sqrt", 9))
    await asyncio.sleep(0)
    over.touch()
    assert await last == 3
    await running


async def test_a_cancelled_call_frees_its_kernel_when_it_has_stopped(one: KernelPool, tmp_path: Path) -> None:
    pid = await one.call("os.getpid")
    begun = tmp_path / "begun"
    running = asyncio.ensure_future(one.call("builtins.exec", meet(begun, tmp_path / "never")))
    await until(begun.exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await one.call("os.getpid") == pid
    with pytest.raises(ReplyTimeout):
        await one.call("time.sleep", 600, timeout=0.1)
    assert await one.call("os.getpid") == pid


async def test_a_kernel_that_does_not_stop_a_cancelled_call_is_replaced(one: KernelPool) -> None:
    pid = await one.call("os.getpid")
    with pytest.raises(ReplyTimeout):
        # In native code, which no interrupt reaches.
        await one.call("builtins.sum", target_range(), timeout=0.1)
    assert await one.call("os.getpid") != pid


_SLOW_TO_STOP = """
import asyncio, builtins, pathlib
async def slow(begun):
    builtins.told = []
    try:
        pathlib.Path(begun).touch()
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0.3)
        builtins.told.append("stopped")
builtins.slow = slow
"""


async def test_a_cancelled_coroutine_has_its_kernel_until_it_has_stopped(
    one: KernelPool, tmp_path: Path
) -> None:
    await one.call("builtins.exec", _SLOW_TO_STOP, {})
    begun = tmp_path / "begun"
    running = asyncio.ensure_future(one.call("builtins.slow", str(begun)))
    await until(begun.exists)
    running.cancel()
    assert await one.call("builtins.eval", "told") == ["stopped"]
    assert running.cancelled()


async def test_times_that_no_clock_comes_to_are_refused(one: KernelPool) -> None:
    for time in (float("nan"), -1.0):
        with pytest.raises(ValueError, match="queue_timeout"):
            await one.call("math.sqrt", 4, queue_timeout=time)
        with pytest.raises(ValueError, match="ttl"):
            one.session("alice", ttl=time)
    for name in ("", "~", "x" * 1_025, "\ud800", 7):
        with pytest.raises(InvalidRequest, match="named by"):
            one.session(name)  # type: ignore[arg-type]
    assert await one.call("math.sqrt", 4, queue_timeout=float("inf")) == 2


def target_range() -> range:
    return range(10**15)


async def test_a_killed_kernel_fails_its_call_and_is_replaced(one: KernelPool, tmp_path: Path) -> None:
    pid = await one.call("os.getpid")
    begun = tmp_path / "begun"
    running = asyncio.ensure_future(one.call("builtins.exec", meet(begun, tmp_path / "never")))
    await until(begun.exists)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(WorkerLost):
            await running
    assert await one.call("os.getpid") != pid


async def test_draining_lets_a_running_call_end_and_takes_nothing_new(tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    pool = KernelPool(maximum=1, spares=0)
    with pytest.raises(RuntimeError, match="not open"):
        await pool.call("math.sqrt", 4)
    async with pool:
        running = asyncio.ensure_future(pool.call("builtins.exec", meet(begun, over)))
        waiting = asyncio.ensure_future(pool.call("math.sqrt", 4))
        await until(begun.exists)
        draining = asyncio.ensure_future(pool.drain())
        with pytest.raises(PoolClosed):
            await waiting
        with pytest.raises(PoolClosed):
            await pool.call("math.sqrt", 4)
        assert not draining.done()
        over.touch()
        await running
        await draining
        await pool.wait_closed()
        with pytest.raises(PoolClosed):
            await pool.call("math.sqrt", 4)


async def test_closing_fails_what_runs(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    async with KernelPool(maximum=1, spares=0) as pool:
        running = asyncio.ensure_future(pool.call("builtins.exec", meet(begun, tmp_path / "never")))
        await until(begun.exists)
        await pool.drain(timeout=0)
    with pytest.raises(WorkerLost):
        await running
