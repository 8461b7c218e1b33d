"""Sessions of a pool: one kernel each, kept, and never another's."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from pools import PATIENCE, is_running, meet, until

import snakekernel
from snakekernel import AsyncClient, KernelPool
from snakekernel.errors import InvalidRequest, KernelLost, LimitExceeded, PoolFull, WorkerLost

pytestmark = [pytest.mark.kernel, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[KernelPool]:
    """A pool with a kernel for calls and two for sessions."""
    async with KernelPool(minimum=1, maximum=3, spares=1, max_sessions=2) as pool:
        yield pool


async def test_a_session_has_one_kernel_of_its_own(pool: KernelPool) -> None:
    callers = await pool.call("os.getpid")
    async with pool.session("alice") as snake, pool.session("bob") as other:
        assert isinstance(snake, AsyncClient)
        pid = await snake.call("os.getpid")
        await snake.store("mine", [1, 2])
        async with pool.session("alice") as again:
            assert await again.call("os.getpid") == pid
            assert await again.retrieve("mine") == [1, 2]
        # The end of one handle leaves the other's.
        assert await snake.retrieve("mine") == [1, 2]
        assert await other.call("os.getpid") not in (pid, callers)
        assert await other.list_stored() == []
        with pytest.raises(PoolFull, match="sessions"):
            async with pool.session("carol"):
                pass
    # It lives on while nobody holds it.
    async with pool.session("alice") as snake:
        assert await snake.retrieve("mine") == [1, 2]
        late = snake
    with pytest.raises(KernelLost, match="not open"):
        await late.retrieve("mine")
    await pool.close_session("alice")
    await pool.close_session("bob")
    await pool.close_session("nobody")


async def test_no_kernel_is_used_for_another_session(pool: KernelPool) -> None:
    seen = []
    for name in ("first", "second"):
        async with pool.session(name) as snake:
            seen.append(await snake.call("os.getpid"))
            assert await snake.call("builtins.eval", args=["getattr(__import__('builtins'), 'mark', 0)"]) == 0
            await snake.call("builtins.exec", args=["import builtins; builtins.mark = 1"])
        await pool.close_session(name)
    assert len(set(seen)) == 2
    await until(lambda: not any(map(is_running, seen)))


async def test_a_session_has_its_quota(pool: KernelPool) -> None:
    with pytest.raises(InvalidRequest, match="is no quota"):
        pool.session("bounded", quota={"objets": 1})
    async with pool.session("bounded", quota={"objects": 1}) as snake:
        await snake.store("x", 1)
        with pytest.raises(LimitExceeded):
            await snake.store("y", 1)
        (session,) = await snake.list_sessions()
        assert (session["quota"], session["use"]["objects"]) == ({"objects": 1}, 1)
    await pool.close_session("bounded")


async def test_a_session_expires_when_nobody_holds_it(pool: KernelPool) -> None:
    async with pool.session("brief", ttl=0.3) as snake:
        pid = await snake.call("os.getpid")
        await snake.store("x", 1)
        # Held, it lives for as long as it is held.
        await snake.call("time.sleep", args=[0.5])
        assert await snake.retrieve("x") == 1
    await until(lambda: not is_running(pid))
    async with pool.session("brief") as snake:
        assert await snake.list_stored() == []
        assert await snake.call("os.getpid") != pid
    await pool.close_session("brief")


async def test_a_killed_kernel_ends_its_session_which_is_opened_anew(
    pool: KernelPool, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    async with pool.session("alice") as snake, pool.session("alice") as second:
        await snake.store("x", 1)
        pid = await snake.call("os.getpid")
        child = await snake.call(
            "builtins.eval", args=["__import__('subprocess').Popen(['sleep', '600']).pid"]
        )
        running = asyncio.ensure_future(snake.call("builtins.exec", args=[meet(begun, tmp_path / "never")]))
        queued = asyncio.ensure_future(second.retrieve("x"))
        await until(begun.exists)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        for lost in (running, queued):
            with pytest.raises(WorkerLost):
                await lost
        assert time.monotonic() - killed < PATIENCE
        async with pool.session("alice") as anew:
            assert await anew.call("os.getpid") != pid
            assert await anew.list_stored() == []
            # The children of the old one went with it, before.
            assert not is_running(child)
            # The handles of the old one stay dead.
            with pytest.raises(WorkerLost):
                await snake.retrieve("x")
    await pool.close_session("alice")


async def test_closing_a_session_ends_it_for_all_its_holders(pool: KernelPool) -> None:
    async with pool.session("shared") as snake:
        pid = await snake.call("os.getpid")
        await pool.close_session("shared")
        await until(lambda: not is_running(pid))
        with pytest.raises(WorkerLost):
            await snake.call("os.getpid")


async def test_jupyter_finds_the_kernels(pool: KernelPool) -> None:
    async with pool.session("visible") as snake:
        await snake.store("x", 1)
        handle = pool.session("visible")
        await handle.open()
        assert handle.member is not None
        kernel_id = handle.member.kernel_id
        file = Path(handle.member.manager.connection_file)
        folder = Path(handle.member.manager.ip).parent
        assert oct(folder.stat().st_mode & 0o777) == "0o700"
        async with snakekernel.AsyncClient.connect(kernel_id) as found:
            assert await found.retrieve("x", session_id="visible") == 1
        handle.close()
    await pool.close_session("visible")
    await until(lambda: not file.exists() and not folder.exists())


async def test_several_sessions_may_share_a_kernel_where_that_is_asked_for() -> None:
    async with (
        KernelPool(maximum=1, spares=0, sessions_per_kernel=2) as pool,
        pool.session("a") as first,
        pool.session("b") as second,
    ):
        assert await first.call("os.getpid") == await second.call("os.getpid")
        await first.store("x", 1)
        assert await second.list_stored() == []
        await pool.close_session("a")
        with pytest.raises(KernelLost):
            await first.retrieve("x")
        async with asyncio.timeout(PATIENCE):
            # Its end goes to the kernel by shell, which this control request may overtake.
            while [s["session_id"] for s in await second.list_sessions()] != ["b"]:
                continue
        # What no kernel may ever have again is decided by what there is, not by what is asked for by now.
        pool.resize(sessions_per_kernel=1)
        await pool.close_session("b")
        with pytest.raises(KernelLost):
            await second.retrieve("x")


async def test_a_session_that_ends_while_it_is_opened_is_given_to_nobody() -> None:
    async with (
        KernelPool(maximum=1, spares=0, sessions_per_kernel=3) as pool,
        pool.session("first") as first,
    ):
        opening = asyncio.ensure_future(pool.session("second").open())
        await asyncio.sleep(0)
        assert [session.session for session in pool.status().sessions] == ["first", "second"]
        await pool.close_session("second")
        with pytest.raises(WorkerLost):
            await opening
        assert pool.status().kernels[0].sessions == ["first"]
        # Whoever enters what he was given does not connect again.
        async with first as same:
            assert same is first
        await first.store("x", 1)


async def test_a_session_that_uses_too_much_memory_is_ended() -> None:
    async with (
        KernelPool(maximum=1, spares=0, session_memory=300_000_000, measure_every=0.1) as pool,
        pool.session("greedy") as snake,
    ):
        pid = await snake.call("os.getpid")
        with pytest.raises(WorkerLost):
            await snake.call(
                "builtins.exec", args=["import time; kept = bytes(range(256)) * 2_000_000; time.sleep(600)"]
            )
        await until(lambda: not psutil.pid_exists(pid))
