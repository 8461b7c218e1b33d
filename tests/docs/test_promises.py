"""Every promise has its test, and the documentation's table is that of the tests that there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from promised import rows
from promises import PROMISES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "promises.md"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    """The table that the tests of this tree give, with no result: they are collected, and not run."""
    return _collected(tmp_path_factory.mktemp("promises") / "promises.md")


def _collected(path: Path) -> dict[str, tuple[str, ...]]:
    # All others are not worth importing.
    files = [f for f in (ROOT / "tests").rglob("test_*.py") if "mark.promise(" in f.read_text("utf-8")]
    assert files
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--promises={path}", *map(str, files)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return rows(path.read_text(encoding="utf-8"))


def test_each_promise_has_a_test(collected: dict[str, tuple[str, ...]]) -> None:
    assert len(collected) == len(PROMISES)
    assert [number for number, (*_, tests) in collected.items() if tests == "none"] == []


def test_the_documentation_has_these_promises_and_tests(collected: dict[str, tuple[str, ...]]) -> None:
    """Whoever changes one runs ``make promises``."""
    written = rows(PAGE.read_text(encoding="utf-8"))
    assert {number: (what, how, tests) for number, (what, how, _, tests) in written.items()} == {
        number: (what, how, tests) for number, (what, how, _, tests) in collected.items()
    }
    assert {result for _, _, result, _ in written.values()} == {"passed"}
