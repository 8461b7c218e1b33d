"""The benchmarks' tables: what the bounds say, and what is written into a file, from results made by hand."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.bounds import judge
from benchmarks.readme import rewrite
from benchmarks.report import markdown, show, shown


def result(**workloads: dict[str, dict[str, float]]) -> dict[str, Any]:
    where = {
        "date": "2026-01-02T03:04:05+00:00",
        "cores": 2,
        "processor": "a processor",
        "python": "3.12.1",
        "versions": {"pyzmq": "27.0"},
    }
    return {"where": where, "workloads": workloads, "left_out": {"Ray actor": "not there"}, "seconds": 1.5}


SMALL = {
    "echo, ipc": {"median_us": 100.0, "ratio": 1.0},
    "echo, tcp": {"median_us": 100.0, "ratio": 1.0},
    "snakekernel, ipc": {"median_us": 140.0, "ratio": 1.4},
    "snakekernel, tcp": {"median_us": 160.0, "ratio": 1.6},
    "Pyro5": {"median_us": 130.0, "ratio": 1.3},
    # Of a later phase, in which the machine was twice as fast.
    "Ray actor": {"median_us": 90.0, "ratio": 1.8},
}


def verdicts(found: dict[str, Any]) -> dict[str, bool]:
    return {verdict.what: verdict.within for verdict in judge(found)}


def test_bounds() -> None:
    said = verdicts(result(small_call=SMALL))
    assert said["small call, ipc: echoes"]
    assert not said["small call, tcp: echoes"]
    assert not said["small call: µs, below Pyro5"]


def test_a_peer_of_a_later_phase_is_compared_by_its_echoes() -> None:
    assert verdicts(result(small_call=SMALL))["small call: µs, below Ray actor"]


def test_what_was_not_measured_has_no_verdict() -> None:
    assert judge(result()) == []
    assert not any("RPyC" in what for what in verdicts(result(small_call=SMALL)))


def test_the_table_has_a_dash_for_what_a_peer_cannot_do() -> None:
    lines = markdown(result(small_call=SMALL, in_flight={"Pyro5": {"batch": 12345.0}})).splitlines()
    row = next(line for line in lines if line.startswith("| Pyro5"))
    assert row.startswith("| Pyro5 | 130 (1.3) | – | 12,345 | –")
    assert lines[-1] == "2026-01-02, 2 cores of a processor, Python 3.12.1, pyzmq 27.0."


def test_figures_as_people_read_them() -> None:
    assert [shown(figure) for figure in (None, 0.1234, 12.34, 1234.5)] == ["–", "0.123", "12.3", "1,234"]


def test_the_terminal_shows_what_was_left_out() -> None:
    found = result(small_call=SMALL)
    written = io.StringIO()
    show(found, judge(found), Console(file=written, width=120))
    text = written.getvalue()
    assert "Left out: Ray actor: not there" in text
    assert "BEYOND" in text


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- benchmarks: table -->\nold\n<!-- benchmarks: end -->\nbelow\n")
    rewrite(page, result(small_call=SMALL))
    first = page.read_text()
    assert first.startswith("above\n<!-- benchmarks: table -->\n| |")
    assert first.endswith("<!-- benchmarks: end -->\nbelow\n")
    assert "old" not in first
    rewrite(page, result(small_call=SMALL))
    assert page.read_text() == first


def test_a_workloads_own_part_is_left_by_a_result_without_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- benchmarks: small_call -->\nold\n<!-- benchmarks: end -->\n")
    rewrite(page, result(in_flight={"Pyro5": {"batch": 12345.0}}))
    assert "old" in page.read_text()
    rewrite(page, result(small_call=SMALL))
    assert "| Pyro5 | 130 |" in page.read_text()
    assert "old" not in page.read_text()


def test_the_bounds_of_pools_stand_apart(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- benchmarks: bounds -->\nas before\n<!-- benchmarks: end -->\n"
        "<!-- benchmarks: pool_bounds -->\nreplaced\n<!-- benchmarks: end -->\n"
    )
    starts, checkouts = {"zygote": {"ratio": 0.21}}, {"snakekernel pool": {"warm_ms": 9.12}}
    rewrite(page, result(kernel_start=starts, checkout=checkouts))
    text = page.read_text()
    assert "as before" in text
    assert "replaced" not in text
    assert "| snakekernel pool: warm checkout, ms | 9.12 | ≤ 5 | **beyond** |" in text
    assert "| kernel start, zygote: of a cold one | 0.21 | ≤ 0.5 | within |" in text


@pytest.mark.parametrize("text", ["nothing", "<!-- benchmarks: other -->\n<!-- benchmarks: end -->\n"])
def test_a_file_without_the_part_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="part"):
        rewrite(page, result())
    assert page.read_text() == text
