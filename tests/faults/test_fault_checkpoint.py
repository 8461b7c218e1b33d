"""A checkpoint of what cannot be pickled, on a full disk, killed while it writes: nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from needs import MEASURED, skip_unless_ci
from saved_files import read
from stock_client import Stock

import snakekernel
from snakekernel.durable.keys import owner_key
from snakekernel.errors import StorageFailed

pytestmark = [pytest.mark.kernel, pytest.mark.promise("fault-16")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the key and of named files."""
    return tmp_path_factory.mktemp("owner")


@pytest.fixture(scope="module")
def env(folder: Path) -> dict[str, str]:
    return {**os.environ, "SNAKEKERNEL_DURABLE_FOLDER": str(folder)}


@pytest.fixture(scope="module")
def snake(env: dict[str, str]) -> Iterator[snakekernel.Client]:
    with snakekernel.start(env=env) as client:
        yield client


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(place)], capture_output=True
    )
    if made.returncode != 0:
        skip_unless_ci("a full disk is a small tmpfs: run as root, with the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_what_cannot_be_pickled_is_listed(snake: snakekernel.Client, stock: Stock) -> None:
    snake.store("a", {"x": 1})
    snake.call("threading.Lock", store_as="lock")
    stock.cell("class Bad:\n    def __reduce__(self): raise SystemExit('no')\nstored['bad'] = Bad()")
    snake.store("z", np.arange(3))
    report = snake.checkpoint("listed")
    assert report["saved"] == ["a", "z"]
    failed = {failure["id"]: (failure["type"], failure["error"]) for failure in report["failed"]}
    assert failed == {"lock": ("_thread.lock", "TypeError"), "bad": ("__main__.Bad", "SystemExit")}
    for name in ("a", "z", "lock", "bad"):
        snake.delete_stored(name)
    assert snake.restore("listed")["restored"] == ["a", "z"]
    assert snake.retrieve("a") == {"x": 1}


def test_what_cannot_be_loaded_is_listed(
    snake: snakekernel.Client, stock: Stock, env: dict[str, str]
) -> None:
    stock.cell(
        "class Sour:\n"
        "    def __getstate__(self): return 1\n"
        "    def __setstate__(self, state): raise ValueError('sour')\n"
        "stored['sour'] = Sour()"
    )
    snake.store("sweet", 1)
    snake.checkpoint("tastes", ids=["sour", "sweet"])
    # In another kernel, which is to have them from its start.
    with snakekernel.start(env=env, durable="tastes", restore=True) as other:
        assert other.retrieve("sweet") == 1
        told = other.list_checkpoint()["restored_at_start"]
        assert told["restored"] == ["sweet"]
        (failure,) = told["failed"]
        assert (failure["id"], failure["error"]) == ("sour", "ValueError")
        assert "sour" in failure["reason"]
    snake.delete_stored("sour")


def test_a_full_disk(snake: snakekernel.Client, tiny_disk: Path) -> None:
    path = tiny_disk / "x.db"
    snake.store("small", "before")
    assert snake.checkpoint(path=path, ids=["small"])["saved"] == ["small"]
    snake.store("small", "after")
    snake.store("large", np.zeros(1_000_000))
    with pytest.raises(StorageFailed) as caught:
        snake.checkpoint(path=path, ids=["small", "large"])
    assert caught.value.reply["reason"] == "full"
    assert "x.db" in caught.value.message
    report = snake.restore(path=path, overwrite=True)
    assert (report["restored"], report["failed"]) == (["small"], [])
    assert snake.retrieve("small") == "before"
    # There is room for what is small.
    assert snake.checkpoint(path=path, ids=["small"])["saved"] == ["small"]


def test_a_disk_that_fails_in_a_durable_store(
    fresh_kernel: Callable[..., tuple[snakekernel.Client, Stock]], env: dict[str, str]
) -> None:
    limited = {**env, "SNAKEKERNEL_LIMITS": '{"fsize": 4000000}'}
    client, _ = fresh_kernel(env=limited, durable="limited")
    client.store("x", "before", durable=True)
    with pytest.raises(StorageFailed) as caught:
        client.store("x", np.zeros(1_000_000), durable=True)
    assert caught.value.reply["reason"] in ("io", "full")
    assert client.retrieve("x") == "before"
    client.store("x", "after", durable=True)
    assert [row["id"] for row in client.list_checkpoint()["objects"]] == ["x"]


def test_the_kernel_is_killed_while_it_writes(
    fresh_kernel: Callable[..., tuple[snakekernel.Client, Stock]], env: dict[str, str], folder: Path
) -> None:
    client, stock = fresh_kernel(env=env, durable="killed")
    client.store("a", "durable", durable=True)
    client.store("b", np.zeros(4_000_000))
    stock.send("checkpoint")
    log = folder / "objects" / "killed.db-wal"
    deadline = time.monotonic() + 60
    while log.stat().st_size < 2_000_000:
        assert time.monotonic() < deadline
    os.kill(client.manager.provisioner.pid, signal.SIGKILL)
    found = read(folder / "objects" / "killed.db", key=owner_key(folder / "owner.key"))
    assert found[("", "a")] == "durable"
    # It may have been faster than we were.
    assert set(found) in ({("", "a")}, {("", "a"), ("", "b")})
    with snakekernel.start(env=env, durable="killed", restore=True) as after:
        assert after.retrieve("a") == "durable"


def test_one_that_is_stopped(snake: snakekernel.Client, stock: Stock) -> None:
    snake.store("a", "before")
    snake.checkpoint("stopped", ids=["a"])
    snake.store("a", "after")
    stock.cell(
        "import time\n"
        "class Slow:\n"
        "    def __reduce__(self):\n"
        "        print('pickling', flush=True)\n"
        "        time.sleep(600)\n"
        "stored['slow'] = Slow()"
    )
    msg_id = stock.send("checkpoint", {"name": "stopped", "ids": ["a", "slow"]})
    stock.until(lambda: any("pickling" in str(m["content"]) for m in stock.came(msg_id, "iopub")), "pickling")
    stock.ok("cancel", {"msg_id": msg_id}, channel="control")
    assert stock.reply(msg_id)["content"]["code"] == "cancelled"
    snake.delete_stored("slow")
    assert snake.restore("stopped", overwrite=True)["restored"] == ["a"]
    assert snake.retrieve("a") == "before"


class Writer:
    """The process of ``checkpoint_writer.py``."""

    def __init__(self, path: Path) -> None:
        tests = str(Path(__file__).parent.parent)
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("checkpoint_writer.py")), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": tests},
        )
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, words: str) -> None:
        assert self.process.stdin is not None
        print(words, file=self.process.stdin, flush=True)

    def lines_until_ended(self) -> list[str]:
        lines = []
        while not (line := self.line()).startswith("ended"):
            assert line, "the writer is gone"
            lines.append(line)
        return [*lines, line]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path / "x.db")
    yield writer
    with writer.process as process:
        assert process.stdin is not None
        process.stdin.close()


def _state(path: Path) -> int:
    """The one state that a file is in."""
    found = read(path, key=bytes(range(32)))
    number = found["", "number"]
    assert set(found) == {("", "number"), ("", "array"), ("a session", "list")}
    assert set(found["", "array"]) == {float(number)}
    assert found["a session", "list"] == [number] * 10
    return int(number)


def test_kills_at_any_moment(writer: Writer, tmp_path: Path) -> None:
    path, rng = tmp_path / "x.db", random.Random(16)
    state = 0
    for _ in range(50):
        writer.ask(f"write {state + 1}")
        pid = int(writer.line().split()[1])
        time.sleep(rng.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        *lines, _ = writer.lines_until_ended()
        told = int(lines[-1].split()[1]) if lines else state
        state = _state(path)
        assert state in (told, told + 1), "neither what was last told to be on the disk, nor the next"


def test_ends_at_any_byte(
    writer: Writer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    path = tmp_path / "x.db"
    state = kills = 0
    # Until the child can write all of it: the bytes of the log, then of the file.
    for limit in [*range(1, 330_000, 5_003), 10_000_000]:
        writer.ask(f"limit {state + 1} {limit}")
        (ended,) = writer.lines_until_ended()
        status = int(ended.split()[1])
        kills += status != 0
        found = _state(path)
        assert found in (state, state + 1)
        assert found == state + 1 or status != 0, "it ended well, and its state is not on the disk"
        state = found
    assert state > 0
    assert kills > 20
    record_property(MEASURED, f"{kills} ends at different bytes of a write, each leaving one whole state")
