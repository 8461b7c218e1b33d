"""A kernel's process ends in the middle of a call: whoever waits is told at once, and what became of it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from needs import TOLD

import snakekernel
from snakekernel import AsyncClient, KernelPool
from snakekernel.client.ending import tail_of
from snakekernel.errors import KernelLost, WorkerLost

pytestmark = pytest.mark.kernel

#: What is promised, and what a busy machine may make of it.
PROMISED, SLACK = 2.0, 3.0
#: Notes when it happens, for there is nobody to ask afterwards.
CRASH = "import ctypes, pathlib, time; pathlib.Path({!r}).write_text(repr(time.monotonic())); {}"
SEGFAULT = "ctypes.string_at(0)"
KILL = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def _late(marker: Path, record_property: Any, what: str) -> None:
    late = time.monotonic() - float(marker.read_text())
    record_property(TOLD, f"{what}: told after {late * 1000:.0f} ms, promised are {PROMISED:g} s")
    assert late < PROMISED * SLACK


@pytest.mark.promise("fault-2")
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_a_segfault_is_named_with_the_stack(tmp_path: Path, transport: str, record_property: Any) -> None:
    marker = tmp_path / "crashed"
    with snakekernel.start(transport=transport, output=subprocess.DEVNULL) as snake:
        with pytest.raises(KernelLost) as caught:
            snake.call("builtins.exec", args=[CRASH.format(str(marker), SEGFAULT)])
        _late(marker, record_property, f"SIGSEGV over {transport}")
        error = caught.value
        assert (error.cause, error.signal, error.exit_code) == ("signal", "SIGSEGV", None)
        assert not error.memory
        assert "Fatal Python error: Segmentation fault" in error.stderr
        assert "string_at" in str(error)
        # Our own frames say nothing to whoever reads it.
        assert "dispatch.py" not in str(error)
        with pytest.raises(KernelLost) as again:
            snake.call("math.sqrt", args=[4])
        assert again.value.signal == "SIGSEGV"


@pytest.mark.promise("fault-2")
async def test_all_who_wait_are_told_by_the_async_client(tmp_path: Path, record_property: Any) -> None:
    marker = tmp_path / "crashed"
    async with AsyncClient.start(output=subprocess.DEVNULL) as snake:
        crash = snake.call("builtins.exec", args=[CRASH.format(str(marker), SEGFAULT)])
        waiting = [snake.call("math.sqrt", args=[number]) for number in range(3)]
        errors = await asyncio.gather(crash, *waiting, return_exceptions=True)
        _late(marker, record_property, "SIGSEGV, async")
        for error in errors:
            assert isinstance(error, KernelLost)
            assert error.signal == "SIGSEGV"
            assert "Segmentation fault" in error.stderr


@pytest.mark.promise("fault-1")
def test_signal_9_may_have_been_memory(tmp_path: Path, record_property: Any) -> None:
    marker = tmp_path / "killed"
    with snakekernel.start() as snake:
        large = "block = bytearray(b'x' * (100 << 20)); "
        with pytest.raises(KernelLost) as caught:
            snake.call("builtins.exec", args=[large + CRASH.format(str(marker), KILL)])
        _late(marker, record_property, "SIGKILL")
        error = caught.value
        assert (error.signal, error.memory) == ("SIGKILL", True)
        assert "want of memory" in str(error)
        assert error.sizes["peak"] > 100 << 20


@pytest.mark.promise("fault-1")
def test_one_that_only_connected_is_told_too(tmp_path: Path, record_property: Any) -> None:
    marker = tmp_path / "killed"
    with snakekernel.start() as snake, snakekernel.connect(snake.connection_file) as other:
        with pytest.raises(KernelLost) as caught:
            other.call("builtins.exec", args=[CRASH.format(str(marker), KILL)])
        _late(marker, record_property, "SIGKILL, another process's kernel")
        assert caught.value.cause == "connection"


@pytest.mark.promise("fault-1", "fault-2")
async def test_the_pool_tells_what_ended_its_kernel(tmp_path: Path, record_property: Any) -> None:
    async with KernelPool(maximum=1) as pool:
        for action, name in ((SEGFAULT, "SIGSEGV"), (KILL, "SIGKILL")):
            marker = tmp_path / name
            with pytest.raises(WorkerLost) as caught:
                await pool.call("builtins.exec", CRASH.format(str(marker), action))
            _late(marker, record_property, f"{name} in a pool")
            assert (caught.value.signal, caught.value.memory) == (name, name == "SIGKILL")
            assert ("Segmentation fault" in caught.value.stderr) == (name == "SIGSEGV")


def test_an_exit_has_its_status_and_a_shutdown_is_one() -> None:
    with snakekernel.start() as snake:
        with pytest.raises(KernelLost) as caught:
            snake.call("os._exit", args=[7])
        assert (caught.value.cause, caught.value.exit_code, caught.value.signal) == ("exit", 7, None)
    with snakekernel.start() as snake:
        stock = snake.manager.client()
        stock.start_channels()
        stock.shutdown()
        with pytest.raises(KernelLost) as caught:
            while True:
                snake.ping(timeout=30)
        stock.stop_channels()
        assert (caught.value.cause, caught.value.exit_code) == ("shutdown", 0)
    with snakekernel.start() as snake:
        call = snake.submit("time.sleep", args=[60])
        snake.kill()
        with pytest.raises(KernelLost) as caught:
            call.result(60)
        assert (caught.value.cause, caught.value.memory) == ("killed", False)
        snake.restart()
        assert snake.call("math.sqrt", args=[9]) == 3.0


def test_what_a_kernel_writes_is_still_seen(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write = "import sys; print('seen by a person', file=sys.__stderr__, flush=True)"
    with snakekernel.start() as snake:
        snake.call("builtins.exec", args=[write])
    assert "seen by a person" in capfd.readouterr().err
    with (tmp_path / "log").open("wb") as log, snakekernel.start(output=log) as snake:
        with pytest.raises(KernelLost) as caught:
            snake.call("builtins.exec", args=[f"{write}; import os; os._exit(1)"])
        assert caught.value.stderr.splitlines()[-1] == "seen by a person"
    assert "seen by a person" in (tmp_path / "log").read_text()


async def test_last_words_hold_no_secret(tmp_path: Path) -> None:
    write = "import os, sys; print('password=hunter22', file=sys.__stderr__, flush=True); os._exit(1)"
    async with KernelPool(maximum=1) as pool:
        with pytest.raises(WorkerLost) as of_pool:
            await pool.call("builtins.exec", write)
    async with AsyncClient.start(output=subprocess.DEVNULL) as snake:
        with pytest.raises(KernelLost) as of_client:
            await snake.call("builtins.exec", args=[write])
    for error in (of_pool.value, of_client.value):
        assert "password=" in error.stderr
        assert "hunter22" not in error.stderr + str(error)


def test_a_line_that_lost_its_beginning_is_none(tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text(f"password={'x' * 20_000}\nlast line\n")
    assert tail_of(file) == "last line"
    file.write_text("a" * 20_000)
    assert tail_of(file) == "a" * 16_384


def test_the_last_words_are_bounded() -> None:
    write = "import os\nfor number in range(5_000): os.write(2, b'x' * 40 + b'%d\\n' % number)\nos._exit(1)"
    with snakekernel.start(output=subprocess.DEVNULL) as snake:
        # Straight to the file, whatever leads from the descriptor to the notebook.
        redirect = "import os, sys; os.dup2(getattr(sys.stderr, '_original_stdstream_copy', 2), 2); "
        with pytest.raises(KernelLost) as caught:
            snake.call("builtins.exec", args=[redirect + "\n" + write])
    lines = caught.value.stderr.splitlines()
    assert len(lines) <= 200
    assert len(caught.value.stderr) <= 16_384
    assert lines[-1].endswith("x4999")
