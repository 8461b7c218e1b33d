"""Measuring: turns, peers that fail; and real runs, with the peers that are installed, stopped midway too."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.kinds import FLOORS, OTHERS
from benchmarks.measure import QUICK, Opened, checked
from benchmarks.peer import Kind, Peer
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "benchmarks", "--quick"]


def opened(left_out: dict[str, str], **peers: Peer) -> Opened:
    kinds = {
        name: (Kind(name=name, open=lambda: contextlib.nullcontext(Peer()), floor="echo"), peer)
        for name, peer in peers.items()
    }
    return Opened(
        kinds, dataclasses.replace(QUICK, rounds=3, limit=math.inf, whole=math.inf), {}, left_out.__setitem__
    )


def test_turns_are_interleaved_and_the_first_round_is_not_counted() -> None:
    order: list[str] = []

    def turn(name: str) -> list[float]:
        order.append(name)
        return [float(len(order))]

    figures = opened({}).interleaved({"a": lambda: turn("a"), "b": lambda: turn("b")})
    assert order == ["a", "b"] * 4
    assert figures == {"a": [3.0, 5.0, 7.0], "b": [4.0, 6.0, 8.0]}


def test_a_peer_that_fails_is_left_out_and_the_others_go_on() -> None:
    left_out: dict[str, str] = {}

    def fails() -> list[float]:
        raise OSError("gone")

    figures = opened(left_out).interleaved({"a|call": fails, "b|call": lambda: [1.0]})
    assert figures == {"b|call": [1.0, 1.0, 1.0]}
    assert left_out == {"a": "OSError: gone"}


def test_a_wrong_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="6"):
        checked(lambda: 6, 5)()


def test_workloads_take_peers_that_can() -> None:
    some = opened({}, echo=Peer(call=lambda: 5), other=Peer(loop=lambda: 10), slow=Peer(call=lambda: 5))
    small_call = next(workload for workload in WORKLOADS if workload.name == "small_call")
    rows = small_call.run(some)
    assert list(rows) == ["echo", "slow"]
    assert rows["echo"]["ratio"] == 1
    assert {column.key for column in small_call.columns} == set(rows["slow"])


def test_names_are_unique_and_floors_exist() -> None:
    names = [kind.name for kind in [*FLOORS, *OTHERS]]
    assert len(set(names)) == len(names)
    assert {kind.floor for kind in OTHERS} <= set(names)


@pytest.mark.kernel
def test_a_run(tmp_path: Path) -> None:
    peers = ["snakekernel, ipc", "Session echo", "BaseManager", "RPyC", "Pyro5", "gRPC", "zerorpc"]
    workloads = ["small_call", "in_flight", "dict_method", "steps"]
    command = [*COMMAND, "--keep", str(tmp_path)]
    command += [f"--peer={peer}" for peer in peers] + [f"--workload={name}" for name in workloads]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    (kept,) = tmp_path.glob("*.json")
    result = json.loads(kept.read_text())
    assert list(result["workloads"]) == workloads
    for name, rows in result["workloads"].items():
        assert {"echo, ipc", "snakekernel, ipc"} <= set(rows), name
        assert all(figure > 0 for row in rows.values() for figure in row.values())
    # A peer takes part, or the reason why not is kept and shown.
    for kind in OTHERS:
        # Those by socket only are there for the arrays.
        wanted = kind.name.startswith(tuple(peers)) and not kind.name.endswith("socket only")
        if wanted and kind.name not in result["workloads"]["small_call"]:
            assert kind.name in result["left_out"]
    assert all(f"left out: {name}" in ended.stderr for name in result["left_out"])
    assert result["where"]["versions"]["snakekernel"]
    assert "The bounds" in ended.stdout


@pytest.mark.kernel
def test_ctrl_c_ends_all_processes(tmp_path: Path) -> None:
    command = [*COMMAND, "--keep", str(tmp_path), "--peer=snakekernel, ipc", "--peer=BaseManager"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stderr is not None
            for line in run.stderr:
                if "A small call" in line:
                    break
            started = psutil.Process(run.pid).children(recursive=True)
            run.send_signal(signal.SIGINT)
            rest = run.stderr.read()
        finally:
            # Where the test failed.
            if run.poll() is None and sys.exc_info()[0] is not None:
                run.kill()
    assert run.returncode == 130, rest
    assert started
    gone, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    assert len(gone) == len(started)
    assert not list(tmp_path.iterdir())
