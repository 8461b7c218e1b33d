"""A kernel is killed during a call: nothing is sent again, but for what its caller says may run twice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from needs import MEASURED
from stock_client import PATIENCE

import snakekernel
from snakekernel import AsyncClient, Client, KernelPool
from snakekernel.client.epochs import Epochs
from snakekernel.errors import InvalidRequest, KernelLost, NotFound, OutcomeUnknown, ReplyTimeout, WorkerLost

pytestmark = pytest.mark.kernel

#: Seconds within which a loss is told: three times what is promised, for a busy machine.
_MARGIN = 6.0

#: Writes a line, and does not end the first ``waits`` times.
_CODE = """
import pathlib, time
path = pathlib.Path({path!r})
with path.open("a") as lines:
    lines.write("run\\n")
if len(path.read_text().split()) <= {waits}:
    time.sleep(1000)
"""
#: Writes a line and ends the process.
_DIE = "import os\nwith open({path!r}, 'a') as lines: lines.write('run\\n')\nos._exit(1)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """What calls write to, a line for each run."""
    return tmp_path / "runs"


def runs(path: Path) -> int:
    """How often the call has begun."""
    return len(path.read_text().split()) if path.exists() else 0


async def begun(path: Path) -> None:
    """Wait until the call runs."""
    deadline = time.monotonic() + PATIENCE
    while not runs(path):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@pytest.mark.promise("fault-1")
def test_it_is_told_and_nothing_is_sent_again(
    path: Path, record_property: Callable[[str, object], None]
) -> None:
    code = _CODE.format(path=str(path), waits=1)
    with snakekernel.start() as snake, ThreadPoolExecutor(2) as threads:
        plain = threads.submit(snake.call, "builtins.exec", args=[code])
        asyncio.run(begun(path))
        queued = threads.submit(snake.call, "builtins.exec", args=[code], call_id="an id")
        until(lambda: waits(snake, "an id"))
        epoch = snake.ping()["epoch"]
        os.kill(snake.manager.provisioner.pid, signal.SIGKILL)
        killed = time.monotonic()
        for call in (plain, queued):
            error = call.exception(PATIENCE)
            assert isinstance(error, KernelLost)
            # Whether the queued one was there is not known here, so it is not told apart.
            assert (error.code, error.sent) == ("outcome_unknown", True)
        took = time.monotonic() - killed
        with pytest.raises(KernelLost) as caught:
            snake.call("builtins.exec", args=[code])
        assert not caught.value.sent
        snake.manager.restart_kernel(now=True)
        # What was sent to the one before is not run by the next, under whatever name.
        assert ping(snake)["epoch"] != epoch
        for ask in (
            lambda: snake.call("builtins.exec", args=[code], call_id="an id"),
            lambda: snake.outcome("an id"),
        ):
            with pytest.raises(OutcomeUnknown):
                ask()
        assert runs(path) == 1
    assert took < _MARGIN
    record_property(MEASURED, f"told after {took:.2f} s")


def test_the_process_that_an_id_was_sent_to_is_remembered() -> None:
    epochs = Epochs()
    for number in range(10_000):
        assert epochs.first(str(number), "before") == "before"
    # Also of the oldest one, when there is room for no other.
    assert epochs.first("0", "after") == "before"
    assert epochs.first("new", "after") == "after"
    assert epochs.known("0", None) is None
    assert epochs.first("1", "after") == "before"


def waits(snake: Client, call_id: str) -> bool:
    """Whether a call has come to the kernel, and has not ended."""
    try:
        snake.outcome(call_id, timeout=0)
    except ReplyTimeout:
        return True
    except NotFound:
        return False
    raise AssertionError("it has ended")


def ping(snake: Client) -> Any:
    """What the restarted kernel answers, once it does."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return snake.ping()
        except KernelLost:
            assert time.monotonic() < deadline
            time.sleep(0.02)


async def test_what_may_run_twice_runs_again_in_the_next_kernel(path: Path) -> None:
    code = _CODE.format(path=str(path), waits=1)
    async with AsyncClient.start() as client:
        call = client.call("builtins.exec", args=[code], idempotent=True, call_id="an id", timeout=PATIENCE)
        waiting = asyncio.ensure_future(call)
        await begun(path)
        await client.manager.restart_kernel(now=True)
        assert await waiting is None
    assert runs(path) == 2


def test_it_is_tried_three_times_and_no_longer_than_its_timeout(path: Path) -> None:
    code = _DIE.format(path=str(path))
    with snakekernel.start() as snake, ThreadPoolExecutor(1) as threads:
        call = threads.submit(snake.call, "builtins.exec", args=[code], idempotent=True, timeout=PATIENCE)
        for number in (1, 2):
            until(lambda number=number: runs(path) == number and not is_alive(snake))
            snake.manager.restart_kernel(now=True)
        error = call.exception(PATIENCE)
        assert isinstance(error, KernelLost)
        assert error.sent
        assert runs(path) == 3
        # Nobody starts the kernel again.
        begun = time.monotonic()
        with pytest.raises(KernelLost):
            snake.call("builtins.exec", args=[code], idempotent=True, timeout=0.3)
        assert 0.3 <= time.monotonic() - begun < 0.3 + _MARGIN
        with pytest.raises(InvalidRequest), snake.batch() as batch:
            batch.call("math.sqrt", args=[4], idempotent=True)
    # Nor is what was not sent ever waited for once the client is closed.
    begun = time.monotonic()
    with pytest.raises(KernelLost):
        snake.call("math.sqrt", args=[4], idempotent=True)
    assert time.monotonic() - begun < _MARGIN
    assert runs(path) == 3


def is_alive(snake: Client) -> bool:
    """Whether the process of the client's kernel runs."""
    return bool(snake.manager.is_alive())


def until(is_so: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


async def test_a_pool_calls_it_on_another_kernel(path: Path, tmp_path: Path) -> None:
    async with KernelPool(minimum=2, maximum=2, spares=0) as pool:
        await pool.ready()
        once = _CODE.format(path=str(path), waits=1)
        call = asyncio.ensure_future(
            pool.call("builtins.exec", once, idempotent=True, timeout=PATIENCE, returns="none")
        )
        await begun(path)
        busy = [k for k in pool.status().kernels if k.calls]
        os.kill(busy[0].pid, signal.SIGKILL)
        assert await call is None
        assert runs(path) == 2
        # Without that nothing is called again.
        plain = tmp_path / "plain"
        with pytest.raises(WorkerLost) as caught:
            await pool.call("builtins.exec", _DIE.format(path=str(plain)))
        assert (caught.value.code, runs(plain)) == ("outcome_unknown", 1)
        always = tmp_path / "always"
        with pytest.raises(WorkerLost):
            await pool.call("builtins.exec", _DIE.format(path=str(always)), idempotent=True)
        assert runs(always) == 3
        assert await pool.map("math.sqrt", [1, 4], idempotent=True) == [1, 2]
