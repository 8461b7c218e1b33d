"""The blocking face of a pool, used by several threads."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pools import PATIENCE, meet

from snakekernel import Client, KernelPool
from snakekernel.errors import KernelLost, PoolClosed, QueueTimeout, WorkerLost
from snakekernel.pool.blocking import BlockingKernelPool

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def pool() -> Iterator[BlockingKernelPool]:
    """A pool that the tests of this module share."""
    with KernelPool.blocking(name="threads", minimum=2, maximum=4, spares=0) as pool:
        yield pool


def test_threads_share_a_pool(pool: BlockingKernelPool, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    with ThreadPoolExecutor(4) as threads:
        met = [threads.submit(pool.call, "builtins.exec", meet(*files)) for files in ((a, b), (b, a))]
        roots = list(threads.map(lambda n: pool.call("math.sqrt", n * n), range(40)))
        assert roots == list(range(40))
        for future in met:
            future.result(PATIENCE)
    assert pool.map("math.sqrt", (n * n for n in range(10)), concurrency=2) == list(range(10))
    with pytest.raises(ValueError, match="math domain"):
        pool.call("math.sqrt", -1)
    with pytest.raises(ValueError, match="math domain"):
        pool.map("math.sqrt", [1, -1])


def test_sessions_of_threads(pool: BlockingKernelPool) -> None:
    def work(name: str) -> int:
        with pool.session(name) as snake:
            assert isinstance(snake, Client)
            snake.store("n", snake.call("builtins.len", args=[name]))
            with pool.session(name) as again:
                assert again.stored.n.fetch() == len(name)
            pid: int = snake.call("os.getpid")
        pool.close_session(name)
        return pid

    with ThreadPoolExecutor(4) as threads:
        pids = list(threads.map(work, ["a", "bb", "ccc", "dddd"]))
    assert len(set(pids)) == 4


def test_a_lost_kernel_is_told_to_all_threads(pool: BlockingKernelPool, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with pool.session("alice") as snake, ThreadPoolExecutor(2) as threads:
        pid = snake.call("os.getpid")
        waiting = [
            threads.submit(snake.call, "builtins.exec", args=[meet(begun, tmp_path / "never")]),
            threads.submit(snake.list_stored),
        ]
        waiting[1].result(PATIENCE)
        while not begun.exists():
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert isinstance(waiting[0].exception(PATIENCE), WorkerLost)
        with pool.session("alice") as anew:
            assert anew.call("os.getpid") != pid
            with pytest.raises(WorkerLost):
                snake.list_stored()
    pool.close_session("alice")
    with pytest.raises(KernelLost):
        anew.list_stored()


def test_whoever_waits_is_told_that_a_session_is_closed(tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"
    with (
        KernelPool.blocking(maximum=1, spares=0, sessions_per_kernel=2) as pool,
        ThreadPoolExecutor(1) as threads,
        pool.session("a") as first,
        pool.session("b") as second,
    ):
        waiting = threads.submit(first.call, "builtins.exec", args=[meet(begun, over)])
        while not begun.exists():
            time.sleep(0.01)
        # Its kernel goes on.
        pool.close_session("a")
        assert isinstance(waiting.exception(PATIENCE), WorkerLost)
        over.touch()
        assert second.call("math.sqrt", args=[4]) == 2


def test_a_pool_does_not_wait_for_itself(pool: BlockingKernelPool) -> None:
    def pairs() -> Iterator[float]:
        yield pool.call("math.sqrt", 4)

    with pytest.raises(RuntimeError, match="own thread"):
        pool.map("math.sqrt", pairs())
    with pytest.raises(RuntimeError, match="own thread"):
        pool.map("math.sqrt", (pool.close() for _ in range(1)))
    assert pool.call("math.sqrt", 4) == 2


def test_a_forked_child_leaves_the_pool_to_its_parent(pool: BlockingKernelPool) -> None:
    with pool.session("parent's") as snake:
        child = os.fork()
        if child == 0:
            try:
                with pool.session("child's"):
                    os._exit(1)
            except PoolClosed:
                pool.close()
                os._exit(0)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        snake.store("x", 1)
    pool.close_session("parent's")
    assert pool.call("math.sqrt", 4) == 2


def test_whoever_calls_while_a_pool_is_closed_is_told() -> None:
    with KernelPool.blocking(minimum=1, maximum=1, spares=0) as pool, ThreadPoolExecutor(4) as threads:
        pool.ready()

        def call_on() -> None:
            while True:
                pool.call("math.sqrt", 4)

        calling = [threads.submit(call_on) for _ in range(4)]
        pool.call("math.sqrt", 4)
        pool.close()
        for future in calling:
            assert isinstance(future.exception(PATIENCE), (PoolClosed, WorkerLost))


def test_a_closed_pool_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    pool = KernelPool.blocking(maximum=1, spares=0, queue_timeout=0.01, python="/no/such/python")
    with pytest.raises(PoolClosed):
        pool.call("math.sqrt", 4)
    with pool:
        with pytest.raises(QueueTimeout):
            pool.call("math.sqrt", 4)
        assert pool.status().state == "open"
    with pytest.raises(PoolClosed):
        pool.call("math.sqrt", 4)
    pool.close()
    assert set(threading.enumerate()) == before
    with pytest.raises(ValueError, match="nobody"), KernelPool.blocking(provisioner="nobody"):
        pass
    assert set(threading.enumerate()) == before
