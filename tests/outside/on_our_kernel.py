"""A pytest plugin for other projects' suites: records every outcome, and may put our kernel under them.

Rules: it changes what is started, never what is tested. ``--kernel-under-test=snakekernel`` makes every
command line that would start ipykernel start ours, and gives the tests that hold a kernel in their own
process our class. Loaded with ``-p on_our_kernel``, before the suite's own conftest.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Ours, and the option of pytest-cov that ipykernel's tests read as if it were always there."""
    parser.addoption("--kernel-under-test", choices=["stock", "snakekernel"], default="stock")
    parser.addoption("--outcomes", type=Path, required=True)
    parser.addoption("--cov", action="store_true", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Runs before any conftest below the suite's root is imported."""
    config.pluginmanager.register(_Recorder(config.getoption("--outcomes")))
    if config.getoption("--kernel-under-test") == "snakekernel":
        _put_ours_under_test()


def _put_ours_under_test() -> None:
    import ipykernel.ipkernel
    from jupyter_client.manager import KernelManager

    from snakekernel.kernel.kernel import SnakeKernel

    ipykernel.ipkernel.IPythonKernel = SnakeKernel  # type: ignore[misc]
    stock = KernelManager.format_kernel_cmd

    def format_kernel_cmd(self: KernelManager, *args: Any, **kwargs: Any) -> list[str]:
        parts: list[str] = stock(self, *args, **kwargs)
        return ["snakekernel" if part == "ipykernel_launcher" else part for part in parts]

    KernelManager.format_kernel_cmd = format_kernel_cmd  # type: ignore[method-assign]


class _Recorder:
    """Writes ``{test id: outcome}`` when the run ends."""

    _RANK: Final = ("passed", "skipped", "failed", "error")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The worst of a test's phases and subtests is its outcome."""
        outcome = "error" if report.failed and report.when != "call" else str(report.outcome)
        known = self._outcomes.get(report.nodeid, "passed")
        self._outcomes[report.nodeid] = max(known, outcome, key=self._RANK.index)

    def pytest_sessionfinish(self) -> None:
        """Also after an interrupted run: what is known is written."""
        self._path.write_text(json.dumps(self._outcomes, indent=1, sort_keys=True))
