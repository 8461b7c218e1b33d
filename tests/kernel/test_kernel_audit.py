"""The audit log: a record for each request and cell, of names and figures alone, and never in the way."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import snakekernel
from snakekernel.errors import Denied
from tests.stock_client import Stock

pytestmark = pytest.mark.kernel

CANARY = "canary-31415926"


def configured(folder: Path, text: str) -> dict[str, str]:
    """The environment of a kernel with that configuration."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True)
    (profile / "snakekernel_kernel_config.py").write_text(text)
    return {**os.environ, "IPYTHONDIR": str(folder)}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="module")
def snake(log: Path) -> Iterator[snakekernel.Client]:
    """A client of a kernel that keeps an audit log and denies something."""
    text = f"c.SnakeKernel.audit_log = {str(log)!r}\nc.SnakeKernel.deny_targets = ['os.system']\n"
    with snakekernel.start(env=configured(log.parent / "ipython", text)) as client:
        yield client


def records(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def of(log: Path, **fields: Any) -> dict[str, Any]:
    """The one record with these fields."""
    (found,) = [r for r in records(log) if fields.items() <= r.items()]
    return found


def test_who_asked_for_what_when_and_how_it_ended(stock: Stock, snake: snakekernel.Client, log: Path) -> None:
    content = {
        "target": "builtins.sorted",
        "args": [[3, 1, 2]],
        "store_as": "kept",
        "session_id": "audited",
        "call_id": "the call",
        "client": {"app": "test", "note": "x" * 2_000},
    }
    stock.ok("call", content)
    record = of(log, call_id="the call")
    expected = {
        "op": "call",
        "target": "builtins.sorted",
        "store_as": "kept",
        "session_id": "audited",
        "door": "shell",
        "status": "ok",
    }
    assert expected.items() <= record.items()
    assert {"time", "duration", "msg_id", "username", "session", "bytes_in", "bytes_out", "pid"} <= set(
        record
    )
    assert 0 <= record["duration"] < 60
    assert record["bytes_in"] > 2_000
    assert record["bytes_out"] > 100
    assert len(json.dumps(record["client"])) < 1_500
    stock.ok("call", content)
    assert [r["status"] for r in records(log) if r.get("call_id") == "the call"] == ["ok", "repeated"]
    with pytest.raises(Denied):
        snake.call("os.system", args=["true"])
    assert of(log, target="os.system")["code"] == "denied"
    stock.ok("ping", channel="control")
    assert {"op": "ping", "door": "control", "status": "ok"}.items() <= records(log)[-1].items()
    stock.ok("pipeline", {"steps": [{"target": "builtins.int"}, {"op": "list_stored"}], "call_id": "steps"})
    assert of(log, call_id="steps")["steps"] == ["builtins.int", "list_stored"]
    assert stock.fails("call", {"no_such": 1, "call_id": "bad"})["code"] == "invalid_request"
    assert of(log, code="invalid_request")["status"] == "error"
    assert stock.fails("no_such_operation", {})["code"] == "unknown_operation"
    assert of(log, op="no_such_operation")["code"] == "unknown_operation"


def test_a_cell_is_recorded_without_its_code(snake: snakekernel.Client, stock: Stock, log: Path) -> None:
    stock.run(f"x = {CANARY!r}")
    good = records(log)[-1]
    assert (good["op"], good["status"]) == ("execute_request", "ok")
    stock.run(f"raise ValueError({CANARY!r})")
    bad = records(log)[-1]
    assert (bad["status"], bad["ename"]) == ("error", "ValueError")


def test_no_value_argument_or_secret_is_in_it(snake: snakekernel.Client, stock: Stock, log: Path) -> None:
    snake.call("builtins.str", args=[CANARY], kwargs={})
    snake.store("d", {CANARY: CANARY})
    snake.call(["stored", "d", {"item": CANARY}])
    stock.ok("store", {"id": "x", "value": 1, "client": {"api_key": CANARY, "deep": [{"password": CANARY}]}})
    with pytest.raises(snakekernel.errors.SnakeError):
        snake.configure("no_such_framework", {"api_key": CANARY})
    # From here on it is known as a secret, and is not shown as a name either.
    stock.ok("store", {"id": CANARY, "value": 1, "session_id": f"s {CANARY}", "client": {"note": CANARY}})
    text = log.read_text()
    assert CANARY not in text
    assert "s [secret]" in text


def test_it_is_for_its_owner_alone(snake: snakekernel.Client, log: Path) -> None:
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_it_follows_a_rotation(snake: snakekernel.Client, log: Path) -> None:
    moved = log.rename(log.with_suffix(".1"))
    before = moved.read_text()
    try:
        snake.call("builtins.int")
        assert of(log, target="builtins.int")["status"] == "ok"
        assert moved.read_text() == before
    finally:
        with moved.open("a") as whole:
            whole.write(log.read_text())
        moved.rename(log)


def test_a_full_disk_breaks_no_request_and_the_loss_is_told(
    fresh_kernel: Callable[..., Any], tmp_path: Path
) -> None:
    log, real = tmp_path / "audit.jsonl", tmp_path / "real.jsonl"
    log.symlink_to("/dev/full")
    client, _ = fresh_kernel(
        env=configured(tmp_path / "ipython", f"c.SnakeKernel.audit_log = {str(log)!r}\n"),
    )
    assert [client.call("builtins.abs", args=[-n]) for n in range(5)] == list(range(5))
    log.unlink()
    real.touch()
    log.symlink_to(real)
    assert client.call("builtins.abs", args=[-1]) == 1
    first, second = records(real)[:2]
    assert first["op"] == "audit"
    assert first["lost"] >= 5
    assert second["target"] == "builtins.abs"


def test_through_pythons_logging_configuration(fresh_kernel: Callable[..., Any], tmp_path: Path) -> None:
    log = tmp_path / "by_logging.jsonl"
    config = {
        "handlers": {"audit": {"class": "logging.FileHandler", "filename": str(log), "level": "INFO"}},
        "loggers": {"snakekernel.audit": {"handlers": ["audit"], "level": "INFO", "propagate": False}},
    }
    text = f"c.SnakeKernelApp.logging_config = {config!r}\n"
    client, _ = fresh_kernel(env=configured(tmp_path / "ipython", text))
    client.call("builtins.abs", args=[-1])
    assert of(log, target="builtins.abs")["status"] == "ok"
