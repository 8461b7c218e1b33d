"""The table of what is promised, made of a run of the tests that show it: ``--promises=FILE`` writes it.

Rules: the words come from ``promises``, the tests and their outcomes from the run. Of several tests of one
promise the worst outcome counts. What was measured differs from run to run and stands in a table of its own,
so that the first one changes only where a promise, a test or an outcome does. A test of a promise that is
skipped where all must run (CI) has failed.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from needs import MEASURED, in_ci
from promises import PROMISES, Promise

#: The property by which a test's promises reach whoever writes the table, from any process.
_ID: Final = "promise"
#: From the best to the worst; "not run" stands for a test until it has run.
_RANK: Final = ("not run", "passed", "skipped", "failed")
_INTRODUCTION: Final = """\
# What was tried, and what came of it

Written by `make promises`, from the tests themselves: what is done on purpose, what has to hold then, and
which test shows it. {doc}`../guide/trust` says in words what follows from it for those who use snakekernel,
and where it ends.
"""


@dataclass
class Shown:
    """What a run knows of one promise."""

    #: The worst outcome of each test, by ``file::name``.
    tests: dict[str, str] = field(default_factory=dict)
    #: What tests measured, as they told it, by node id.
    measured: dict[str, str] = field(default_factory=dict)

    @property
    def result(self) -> str:
        """``passed`` where all tests did, ``failed`` where one did, else ``not run``."""
        outcomes = set(self.tests.values())
        if "failed" in outcomes:
            return "failed"
        return "passed" if outcomes == {"passed"} else "not run"


class Promised:
    """A pytest plugin: collects what the tests of promises show, and writes the table at the end."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.shown: dict[str, Shown] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Each test carries its promises to its reports."""
        for item in items:
            for mark in item.iter_markers("promise"):
                for id in mark.args:
                    if id not in PROMISES:
                        raise pytest.UsageError(f"{item.nodeid}: tests/promises.py has no promise {id!r}")
                    item.user_properties.append((_ID, id))
                    self._of(id).tests.setdefault(_name(item.nodeid), "not run")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Where all must run, a test of a promise that is skipped has failed."""
        report: Any = yield
        if report.skipped and in_ci() and item.get_closest_marker(_ID) is not None:
            report.outcome = "failed"
            report.longrepr = f"this shows a promise and must run in CI: {report.longrepr}"
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test is over, in this process or in another."""
        properties = list(report.user_properties)
        for id in {str(value) for name, value in properties if name == _ID}:
            shown, name = self._of(id), _name(report.nodeid)
            if report.when == "call" or not report.passed:
                known = shown.tests.get(name, "not run")
                shown.tests[name] = max(known, str(report.outcome), key=_RANK.index)
            if report.when == "call":
                told = [str(value) for name, value in properties if name == MEASURED]
                shown.measured |= {report.nodeid: "; ".join(told)} if told else {}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the table; say in one line how much was shown, where promises were tried at all."""
        if self._path is not None:
            self._path.write_text(table(self.shown), encoding="utf-8")
        if self.shown:
            held = sum(shown.result == "passed" for shown in self.shown.values())
            terminalreporter.write_line(f"\nPromises that held in this run: {held} of {len(PROMISES)}")

    def _of(self, id: str) -> Shown:
        return self.shown.setdefault(id, Shown())


def _name(nodeid: str) -> str:
    """``file::name`` of a test: of all its parameters, and without xdist's group."""
    return nodeid.partition("[")[0].partition("@")[0]


def table(shown: Mapping[str, Shown]) -> str:
    """The page: one row for each promise, then what was measured."""
    parts = [_INTRODUCTION]
    for kind, title in (("fault", "Faults"), ("attack", "Attacks")):
        promises = [(id, promise) for id, promise in PROMISES.items() if id.startswith(f"{kind}-")]
        parts += [f"## {title}\n", "| | what is done | what has to hold | result | the tests |"]
        parts += ["| --- | --- | --- | --- | --- |"]
        parts += [_row(id, promise, shown.get(id, Shown())) for id, promise in promises]
        parts.append("")
    now = datetime.datetime.now(datetime.UTC).date()
    cores = os.cpu_count()
    where = f"Python {platform.python_version()}, {platform.system()}, {cores} processors"
    parts += [f"## Measured in the run of {now}\n", f"{where}.\n", "| | measured |", "| --- | --- |"]
    for id in PROMISES:
        told = sorted(shown.get(id, Shown()).measured.items())
        if told:
            parts.append(f"| {_number(id)} | {_cell('; '.join(text for _, text in told))} |")
    return "\n".join(parts) + "\n"


def _row(id: str, promise: Promise, shown: Shown) -> str:
    tests = "<br>".join(f"`{name}`" for name in sorted(shown.tests)) or "none"
    cells = (_number(id), *map(_cell, promise), shown.result, tests)
    return f"| {' | '.join(cells)} |"


def _number(id: str) -> str:
    return id.replace("-", " ")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def rows(page: str) -> dict[str, tuple[str, ...]]:
    """The rows of promises of a page, by number: what is done, the criterion, the result and the tests."""
    found = (line.strip("| \n").split(" | ") for line in page.splitlines() if line.startswith("| "))
    return {cells[0]: tuple(cells[1:]) for cells in found if len(cells) == 5 and cells[0] != "---"}
