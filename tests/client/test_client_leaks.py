"""A client leaves nothing behind: no descriptor, no thread, no file; also where nobody closes it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import snakekernel
from snakekernel import AsyncClient, Client

pytestmark = pytest.mark.kernel

ROUNDS = 20
#: Seconds without a change after which nothing is under way any more.
AT_REST = 0.3


def _counts() -> tuple[int, int]:
    gc.collect()
    return psutil.Process().num_fds(), psutil.Process().num_threads()


def _counts_at_rest() -> tuple[int, int]:
    """The counts once they stay: the socket of the kernel's manager connects some time after the start."""
    counts, since = _counts(), time.monotonic()
    while time.monotonic() - since < AT_REST:
        time.sleep(0.01)
        if _counts() != counts:
            counts, since = _counts(), time.monotonic()
    return counts


def test_opening_and_closing_leaks_nothing(snake: Client) -> None:
    Client.connect(snake.connection_file).close()
    before = _counts_at_rest()
    for _ in range(ROUNDS):
        with Client.connect(snake.connection_file) as client:
            client.call("math.sqrt", args=[4])
    assert _counts() == before


async def test_opening_and_closing_async_clients_leaks_nothing(snake: Client) -> None:
    await (await AsyncClient.connect(snake.connection_file)).close()
    before = _counts_at_rest()
    for _ in range(ROUNDS):
        async with AsyncClient.connect(snake.connection_file) as client:
            await client.call("math.sqrt", args=[4])
    assert _counts() == before


def test_failing_to_connect_leaks_nothing(snake: Client) -> None:
    nobody = {"ip": "127.0.0.1", "transport": "tcp", "shell_port": 1, "control_port": 1, "key": ""}
    before = _counts_at_rest()
    for _ in range(3):
        with pytest.raises(snakekernel.errors.ReplyTimeout):
            snakekernel.connect(nobody, timeout=0.1)
    assert _counts() == before


def test_starting_and_stopping_kernels_leaks_nothing() -> None:
    snakekernel.start().close()
    before = _counts()
    for _ in range(2):
        with snakekernel.start() as client:
            file = Path(client.connection_file or "")
            folder = Path(client.manager.ip).parent
            assert file.exists()
            assert oct(folder.stat().st_mode & 0o777) == "0o700"
        assert not file.exists()
        assert not folder.exists()
    assert _counts() == before


def test_a_program_that_forgets_to_close_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import snakekernel\n"
        "snake = snakekernel.start()\n"
        "print(snake.manager.provisioner.pid)\n"
        "print(snake.connection_file)\n"
        "print(snake.manager.ip)\n"
        "assert snake.call('math.sqrt', args=[4]) == 2\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    pid, file, address = done.stdout.split()
    try:
        psutil.Process(int(pid)).wait(30)
    except psutil.NoSuchProcess:
        pass
    assert not os.path.exists(file)
    assert not Path(address).parent.exists()


# Python warns of what was left open, and closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_that_nobody_closed_is_no_burden(snake: Client) -> None:
    """Collected as garbage, it waits for nothing and leaves nothing open."""
    before = _counts_at_rest()
    for _ in range(3):
        client = Client.connect(snake.connection_file)
        assert client.call("math.isqrt", args=[49]) == 7
        del client
        gc.collect()
    assert _counts_at_rest() <= before
