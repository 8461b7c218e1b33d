"""The pool's policy among simulated kernels: a small world of the kind that the docs have the figures of."""

from __future__ import annotations

import pytest

from benchmarks import pool_policy


def test_everybody_is_served_in_turn_and_no_session_is_in_two_places() -> None:
    # Checked as it runs: BrokenPromise is raised where it is not so.
    figures = pool_policy.simulate(kernels=50, sessions=3_000)
    assert figures.sessions >= 3_000
    assert figures.most_kernels == 50
    assert figures.longest_line > 0
    assert figures.starts > 3_000


def test_it_prints_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert pool_policy.main(["--quick"]) == 0
    out = capsys.readouterr().out
    assert "100 kernels" in out
    assert "longest wait" in out
