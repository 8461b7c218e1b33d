"""A pool on hosts that fail: where kernels run, what is seen of a loss, and what becomes of sessions.

The tests of an engine share one cluster and are in the order in which they break it.
"""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import pytest_asyncio
from leases import LEASE

from snakekernel import KernelPool
from snakekernel.demo.cluster import Cluster, Host
from snakekernel.errors import SnakeError, WorkerLost

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(420)]

#: Twice what the lease, its margin, a poll and a busy machine make of it.
_BOUND = 4 * LEASE


@dataclass
class Open:
    """A session that is held open."""

    id: str
    snake: Any
    handle: Any
    pid: int
    host: Host


class Fleet:
    """A pool, and sessions of it on all hosts of its cluster."""

    def __init__(self, cluster: Cluster, pool: KernelPool) -> None:
        self.cluster = cluster
        self.pool = pool
        self.opened = 0

    async def open(self, session: str | None = None) -> Open:
        """Open a session: a new one, unless it is named."""
        if session is None:
            self.opened += 1
            session = f"session-{self.opened}"
        handle = self.pool.session(session, queue_timeout=60)
        snake = await handle.open()
        pid = await snake.call("os.getpid")
        [host] = [host for host in self.cluster.workers if pid in host.pids()]
        return Open(session, snake, handle, pid, host)

    async def on_each_host(self) -> dict[str, Open]:
        """One session on each host, by the host's name."""
        found: dict[str, Open] = {}
        spare: list[Open] = []
        while len(found) < len(self.cluster.workers):
            one = await self.open()
            if found.setdefault(one.host.name, one) is not one:
                spare.append(one)
        for one in spare:
            one.handle.close()
            await self.pool.close_session(one.id)
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(cluster: Cluster, pool_on: Callable[..., KernelPool]) -> AsyncIterator[Fleet]:
    async with pool_on() as pool:
        yield Fleet(cluster, pool)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def placed(fleet: Fleet) -> dict[str, Open]:
    return await fleet.on_each_host()


async def test_sessions_are_on_all_workers_and_called_there_under_curve(
    cluster: Cluster, placed: dict[str, Open]
) -> None:
    # The head of Ray's cluster has room as well, and gets none.
    assert sorted(placed) == ["worker-1", "worker-2", "worker-3"]
    for one in placed.values():
        assert await one.snake.call("socket.gethostname") == one.host.name
        manager = one.handle.member.manager
        assert manager.provisioner.where["host"] == one.host.name
        # Straight to the host, past the engine.
        assert (manager.transport, manager.ip) == ("tcp", one.host.address)
        assert manager.curve_publickey
        await one.snake.store("mine", one.host.name)


async def test_kernels_are_where_their_pool_says(
    cluster: Cluster, pool_on: Callable[..., KernelPool]
) -> None:
    host = cluster.workers[2]
    async with pool_on(config={"node": host.address}) as pool:
        assert await pool.call("socket.gethostname") == host.name


async def test_a_link_that_is_healed_in_time_costs_nothing(placed: dict[str, Open]) -> None:
    one = placed["worker-3"]
    answer = asyncio.ensure_future(one.snake.call("time.sleep", args=[0.5]))
    one.host.cut()
    # Longer than the call, shorter than the lease.
    await asyncio.sleep(1)
    one.host.heal()
    async with asyncio.timeout(_BOUND):
        assert await answer is None
        assert await one.snake.call("os.getpid") == one.pid
        assert await one.snake.retrieve("mine") == "worker-3"


async def _death(pid: int) -> float:
    """When a process ended, by this machine's clock: those of its hosts can be seen from here."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert await asyncio.to_thread(poll.poll, 1000 * 4 * _BOUND)
        return time.time()
    finally:
        os.close(descriptor)


async def _lose(fleet: Fleet, one: Open, fault: Callable[[], None]) -> Open:
    """Lose a host while it serves a call; the session as it is opened anew."""
    pending = asyncio.ensure_future(one.snake.call("time.sleep", args=[100]))
    death = asyncio.ensure_future(_death(one.pid))
    await asyncio.to_thread(fault)
    async with asyncio.timeout(_BOUND):
        with pytest.raises(WorkerLost):
            await pending
    with pytest.raises(WorkerLost):
        await one.snake.call("os.getpid")
    async with asyncio.timeout(3 * _BOUND):
        again = await fleet.open(one.id)
        # Not even begun while the first one lived, on whichever side of the cut.
        assert psutil.Process(again.pid).create_time() >= await death
    assert again.host is not one.host
    with pytest.raises(SnakeError, match="mine"):
        await again.snake.retrieve("mine")
    return again


async def test_a_session_of_a_host_that_is_lost_is_opened_anew_elsewhere_and_never_lives_twice(
    fleet: Fleet, placed: dict[str, Open]
) -> None:
    cut, without_power, spared = (placed[f"worker-{number}"] for number in (1, 2, 3))
    await asyncio.gather(
        _lose(fleet, cut, cut.host.cut),
        _lose(fleet, without_power, without_power.host.lose_power),
    )
    assert await spared.snake.retrieve("mine") == "worker-3"


async def test_kernels_outlive_the_control_plane_by_what_the_engine_gives_them(
    fleet: Fleet, placed: dict[str, Open]
) -> None:
    one = placed["worker-3"]
    death = asyncio.ensure_future(_death(one.pid))
    fleet.cluster.kill_control_plane()
    if fleet.cluster.engine == "ray":
        # Calls do not go through the engine; Dask's workers end at once when their scheduler does.
        assert await one.snake.call("math.sqrt", args=[4]) == 2
    async with asyncio.timeout(3 * _BOUND):
        with pytest.raises(WorkerLost):
            await one.snake.call("time.sleep", args=[100])
        await death
    # Nothing places kernels any more, which is told and not waited for without end.
    with pytest.raises(SnakeError):
        await fleet.pool.session(one.id, queue_timeout=5).open()
