"""Seeing a pool from outside: its file, the command that shows it, its metrics, its log records."""

from __future__ import annotations

import json
import logging
import os
import pty
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from snakekernel import KernelPool
from snakekernel.cli.app import main
from snakekernel.cli.pool import shown
from snakekernel.errors import Unsupported
from snakekernel.pool.blocking import BlockingKernelPool
from snakekernel.pool.metrics import show
from snakekernel.pool.status import PoolStatus
from snakekernel.pool.status_files import StatusFile, read_local, status_folder

pytestmark = pytest.mark.kernel

#: Seconds within which what must happen has happened, on a busy machine too.
PATIENCE = 60.0

MAXIMUM = "snakekernel_pool_kernels_maximum"
DRAINED = """
import asyncio, signal
from snakekernel import KernelPool

async def main():
    async with KernelPool(name="drained", minimum=1, maximum=1, spares=0) as pool:
        pool.drain_on(signal.SIGTERM)
        await pool.ready()
        await pool.wait_closed()

asyncio.run(main())
print("drained")
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A runtime folder of Jupyter in which no other pool is."""
    folder = tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def pool(runtime: Path) -> Iterator[BlockingKernelPool]:
    """A pool that has served two calls, of which one failed, and holds a session."""
    with KernelPool.blocking(name="seen", maximum=2, spares=0, metrics_port=0, measure_every=0.2) as pool:
        assert pool.call("math.sqrt", 4) == 2
        with pytest.raises(ValueError, match="domain"):
            pool.call("math.sqrt", -4)
        with pool.session("alice"):
            yield pool
    assert not list(status_folder().iterdir())


def until_told(name: str = "seen") -> PoolStatus:
    """The status of a pool as its file has it, once all that was done is in it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for found in read_local():
            # What comes last: both kernels are used and measured, or the signal is waited for.
            is_measured = found.sessions and all(kernel.memory for kernel in found.kernels)
            if found.name == name and (found.drains_on_sigterm or is_measured):
                return found
        time.sleep(0.05)
    raise AssertionError("the file does not tell")


def test_a_file_tells_what_the_pool_does_and_only_its_owner(pool: BlockingKernelPool) -> None:
    told = until_told()
    assert told.pid == os.getpid()
    assert (told.state, told.maximum, told.drains_on_sigterm) == ("open", 2, False)
    assert {kernel.use for kernel in told.kernels} == {"calls", "sessions"}
    assert {session.session: session.handles for session in told.sessions} == {"alice": 1}
    assert told.counts.calls == {"ok": 1, "error": 1}
    assert told.counts.kernels_started == 2
    assert all(kernel.pid and kernel.since <= told.at for kernel in told.kernels)
    (path,) = status_folder().iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_files_of_processes_that_are_gone_are_removed_by_readers(pool: BlockingKernelPool) -> None:
    told = until_told()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    # One whose process is gone, one whose number a later process has now, one of another machine.
    gone = {
        "gone": {"pid": ended.pid},
        "later": {"process": "1"},
        "elsewhere": {"host": "elsewhere.example", "pid": ended.pid},
    }
    for name, differs in gone.items():
        document = {**msgspec.to_builtins(told), "name": name, **differs}
        (status_folder() / f"pool-{name}.json").write_text(json.dumps(document))
    assert [status.name for status in read_local()] == ["seen"]
    left = {path.name for path in status_folder().glob("pool-*.json")}
    assert "pool-elsewhere.json" in left
    assert not left & {"pool-gone.json", "pool-later.json"}
    (status_folder() / "pool-elsewhere.json").unlink()


def test_the_command_shows_pools_and_says_which_it_cannot_drain(
    pool: BlockingKernelPool, capsys: pytest.CaptureFixture[str]
) -> None:
    until_told()
    assert main(["pool", "status"]) == 0
    seen = capsys.readouterr().out
    assert f"seen  open, process {os.getpid()}" in seen
    assert "alice" in seen
    assert main(["pool", "status", "seen", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["pools"]
    assert found["queue"] == {"calls": 0, "sessions": 0, "oldest": None}
    assert main(["pool", "status", "other"]) == 1
    assert "No pool named 'other' runs here" in capsys.readouterr().err
    assert main(["pool", "drain", "seen"]) == 1
    assert "does not drain" in capsys.readouterr().err


def test_the_table_is_live_until_ctrl_c(pool: BlockingKernelPool) -> None:
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("snakekernel"), "pool", "status", "--watch"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while b"alice" not in seen:
            seen += os.read(ours, 65_536)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    os.close(ours)


def test_metrics_are_what_prometheus_reads(pool: BlockingKernelPool) -> None:
    assert pool.pool.metrics_url is not None
    with urllib.request.urlopen(pool.pool.metrics_url, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    found = {
        (
            sample.name.removeprefix("snakekernel_pool_"),
            *sorted(set(sample.labels.values()) - {"seen"}),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("pool") == "seen"
    }
    assert found["kernels", "calls"] == found["kernels", "sessions"] == 1
    assert found["calls_total", "ok"] == found["calls_total", "error"] == 1
    assert found["sessions",] == found["sessions_opened_total",] == 1
    assert found["start_seconds_count",] == found["start_seconds_bucket", "+Inf"] == 2
    assert found["wait_seconds_count",] == 3
    assert found["waiting", "call"] == 0


def test_pools_of_one_name_are_told_apart_and_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    ends = [show(KernelPool(name="twin", maximum=number), registry) for number in (3, 5)]
    maxima = {name: registry.get_sample_value(MAXIMUM, {"pool": name}) for name in ("twin", "twin-2")}
    assert maxima == {"twin": 3, "twin-2": 5}
    for end in ends:
        end()
    assert not list(registry.collect())
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(Unsupported, match="telemetry"):
        show(KernelPool())


def test_a_pool_goes_on_where_its_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "snakekernel-pools").touch()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    file = StatusFile(KernelPool().status)
    assert "No status file" in caplog.text
    file.changed()
    file.close()


async def test_what_happens_is_logged_with_what_it_is_about(
    runtime: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "snakekernel.pool"):
        async with KernelPool(name="logged", maximum=1, spares=0) as pool:
            await pool.call("math.sqrt", 4)
    records = [record.snake for record in caplog.records if hasattr(record, "snake")]
    assert all(record["pool"] == "logged" for record in records)
    events = [record["event"] for record in records if record.get("kernel") == 1]
    assert events == ["kernel_started", "kernel_stopping", "kernel_ended"]


def test_sigterm_drains_a_pool_that_says_so(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", DRAINED], stdout=subprocess.PIPE, text=True) as process:
        try:
            until_told("drained")
            assert main(["pool", "drain", "drained", "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["pids"] == [process.pid]
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "drained\n")
    assert not list(status_folder().glob(f"pool-{process.pid}-*"))


def test_what_others_named_does_not_steer_the_terminal(pool: BlockingKernelPool) -> None:
    status = pool.status()
    kernels = [msgspec.structs.replace(one, sessions=["\x1b[2Jmine"]) for one in status.kernels]
    console = Console(record=True, width=120)
    console.print(shown([msgspec.structs.replace(status, name="\x1b[31mred", kernels=kernels)]))
    assert "\x1b" not in console.export_text(styles=False)
    console.print(shown([status]))
    assert "alice" in console.export_text()


def test_nothing_runs_is_said() -> None:
    console = Console(record=True, width=80)
    console.print(shown([]))
    assert console.export_text() == "No pool runs here.\n"
