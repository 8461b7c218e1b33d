"""A kernel that dies: every wait ends at once, in every client."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import snakekernel
from snakekernel import AsyncClient, Client
from snakekernel.errors import KernelLost, OutcomeUnknown

pytestmark = pytest.mark.kernel

#: Seconds within which a client must have noticed.
SOON = 20.0


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_a_call_that_ends_the_process(transport: str) -> None:
    with snakekernel.start(transport=transport) as snake:
        begun = time.monotonic()
        with pytest.raises(KernelLost) as caught:
            snake.call("os._exit", args=[1])
        assert time.monotonic() - begun < SOON
        assert isinstance(caught.value, ConnectionError)
        assert caught.value.code == "outcome_unknown"
        with pytest.raises(KernelLost):
            snake.call("math.sqrt", args=[4])


def _kill_when_busy(snake: Client, marker: Any) -> float:
    """Kill the kernel's process once its call has begun; returns when."""
    deadline = time.monotonic() + 30
    while not marker.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(snake.manager.provisioner.pid, signal.SIGKILL)
    return time.monotonic()


_WAIT = "import pathlib, time; pathlib.Path({!r}).touch(); time.sleep(60)"


def test_all_threads_that_wait_are_told(tmp_path: Any) -> None:
    marker = tmp_path / "begun"
    with snakekernel.start() as snake, ThreadPoolExecutor(4) as pool:
        first = pool.submit(snake.call, "builtins.exec", args=[_WAIT.format(str(marker))])
        queued = [pool.submit(snake.call, "math.sqrt", args=[i]) for i in range(3)]
        killed = _kill_when_busy(snake, marker)
        for waiting in (first, *queued):
            assert isinstance(waiting.exception(timeout=30), KernelLost)
        assert time.monotonic() - killed < SOON


def test_a_client_that_only_connected_is_told_as_well(tmp_path: Any) -> None:
    marker = tmp_path / "begun"
    with (
        snakekernel.start() as snake,
        snakekernel.connect(snake.connection_file) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        call = pool.submit(other.call, "builtins.exec", args=[_WAIT.format(str(marker))])
        killed = _kill_when_busy(snake, marker)
        assert isinstance(call.exception(timeout=30), KernelLost)
        assert time.monotonic() - killed < SOON


async def test_all_tasks_that_wait_are_told(tmp_path: Any) -> None:
    marker = tmp_path / "begun"
    async with AsyncClient.start() as client:
        calls = [asyncio.create_task(client.call("builtins.exec", args=[_WAIT.format(str(marker))]))]
        calls += [asyncio.create_task(client.call("math.sqrt", args=[i])) for i in range(3)]
        while not marker.exists():
            await asyncio.sleep(0.005)
        os.kill(client.manager.provisioner.pid, signal.SIGKILL)
        begun = time.monotonic()
        results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
        assert all(isinstance(result, KernelLost) for result in results)
        assert time.monotonic() - begun < SOON
        with pytest.raises(KernelLost):
            await client.call("math.sqrt", args=[4])


def test_a_child_of_the_kernel_that_lives_on_hides_nothing(tmp_path: Any) -> None:
    """A forked child holds the kernel's sockets open; the kernel's death is seen all the same."""
    marker = tmp_path / "begun"
    child = "import os, time\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)\n"
    code = child + _WAIT.format(str(marker))
    with snakekernel.start() as snake, ThreadPoolExecutor(1) as pool:
        call = pool.submit(snake.call, "builtins.exec", args=[code])
        group = os.getpgid(snake.manager.provisioner.pid)
        killed = _kill_when_busy(snake, marker)
        try:
            assert isinstance(call.exception(timeout=30), KernelLost)
            assert time.monotonic() - killed < SOON
        finally:
            os.killpg(group, signal.SIGKILL)


def test_a_restarted_kernel_is_a_new_one_for_the_same_client() -> None:
    with snakekernel.start() as snake:
        before = snake.ping()["epoch"]
        snake.store("x", 1)
        snake.manager.restart_kernel(now=True)
        after = _eventually(snake.ping)
        assert after["epoch"] != before
        assert snake.list_stored() == []
        with pytest.raises(KernelLost):
            snake.call("os._exit", args=[1])


def test_an_old_result_does_not_bind_to_the_kernel_that_is_gone() -> None:
    with snakekernel.start() as snake:
        old = snake.submit("math.sqrt", args=[9])
        # Reads the old reply as well.
        snake.call("math.sqrt", args=[4])
        snake.manager.restart_kernel(now=True)
        _wait_for_loss(snake)
        assert old.result() == 3.0
        assert _eventually(lambda: snake.call("math.sqrt", args=[16])) == 4.0


async def test_an_old_result_does_not_bind_an_async_client() -> None:
    async with AsyncClient.start() as client:
        old = client.call("math.sqrt", args=[9])
        await client.call("math.sqrt", args=[4])
        await client.manager.restart_kernel(now=True)
        while client._link.epoch is not None:
            await asyncio.sleep(0.005)
        assert await old == 3.0
        deadline = time.monotonic() + 30
        while True:
            try:
                assert await client.call("math.sqrt", args=[16]) == 4.0
                break
            except KernelLost:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)


def _wait_for_loss(snake: Client) -> None:
    deadline = time.monotonic() + 30
    while snake._link.epoch is not None:
        assert time.monotonic() < deadline
        snake._link.pump()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs descriptors of processes")
def test_threads_that_notice_a_restart_watch_the_new_kernel_once() -> None:
    def watched() -> int:
        folder = "/proc/self/fd"
        links = [os.path.join(folder, name) for name in os.listdir(folder)]
        return sum("pidfd" in os.readlink(link) for link in links if os.path.islink(link))

    with snakekernel.start() as snake, ThreadPoolExecutor(8) as pool:
        snake.ping()
        watch, before = snake._turns._watch, watched()
        assert watch is not None
        stale = watch.descriptor
        snake.manager.restart_kernel(now=True)
        assert list(pool.map(lambda _: watch.check(), range(64))) == [None] * 64
        assert watched() == before
        assert watch.descriptor != stale
        # Who slept on the old one must not take its end for that of the new kernel.
        assert not watch.ended(stale)
        _eventually(snake.ping)


def _eventually(ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while True:
        try:
            return ask()
        except OutcomeUnknown:
            # The new process does not listen yet, or what was meant for the old one came to it.
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_kernel_that_cannot_start_is_reported_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(KernelLost, match="ended before it answered"):
        snakekernel.start(env={**os.environ, "PYTHONHOME": "/nowhere"}, output=subprocess.DEVNULL)
    assert time.monotonic() - begun < SOON


def test_closing_a_client_ends_the_waits_of_its_threads(tmp_path: Any) -> None:
    marker = tmp_path / "begun"
    with snakekernel.start() as snake:
        other = snakekernel.connect(snake.connection_file)
        with ThreadPoolExecutor(3) as pool:
            calls = [
                pool.submit(other.call, "builtins.exec", args=[_WAIT.format(str(marker))]) for _ in range(3)
            ]
            while not marker.exists():
                time.sleep(0.005)
            other.close()
            other.close()
            assert all(isinstance(call.exception(timeout=30), KernelLost) for call in calls)
        snake.interrupt()
