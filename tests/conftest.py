"""Fixtures for tests of all layers: real kernels, stock clients of them, checks for what is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from needs import TOLD, skip_unless_ci
from promised import Promised
from stock_client import PATIENCE, Stock
from zmq.utils.garbage import GarbageCollectorThread

import snakekernel
from snakekernel.errors import Unsupported
from snakekernel.provisioners.bubblewrap import check_bwrap, find_bwrap
from snakekernel.provisioners.forking import close_zygotes

#: Files of these marks take longest and come first: where files are shared out, none is left for the end.
_LONGEST = ("cluster", "ui", "outside", "kernel")
#: One that runs other files' tests once more is longer than any.
_AGAIN = "test_stock_path.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", type=Path, metavar="FILE", help="write what is promised, and what held")


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    config.pluginmanager.register(Promised(None if is_worker else config.getoption("--promises")))
    if not is_worker:
        config.pluginmanager.register(_AtOnce(config))


class _AtOnce:
    """Says of each failure what it was when it happens: a run that is cut short has told it then."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            said = report.longreprtext.strip().splitlines() or ["nothing said"]
            reason = next((line for line in said if line.startswith("E ")), said[-1])
            terminal.write_line(f"\n{report.when} of {report.nodeid} failed: {reason[:300]}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors: most tests wait for a kernel most of the time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks: dict[Path, int] = {}
    for item in items:
        marks = (number for number, name in enumerate(_LONGEST) if item.get_closest_marker(name))
        rank = -1 if item.path.name == _AGAIN else next(marks, len(_LONGEST))
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    for name, text in (told for report in reports for told in report.user_properties):
        if name == TOLD:
            terminalreporter.write_line(f"\n{text}")


@pytest.fixture(scope="module")
def snake() -> Iterator[snakekernel.Client]:
    """A client of a kernel that the tests of one module share."""
    with snakekernel.start() as client:
        yield client


@pytest.fixture(scope="module")
def stock(snake: snakekernel.Client) -> Iterator[Stock]:
    """A stock client of the module's kernel."""
    client = Stock(snake.manager.get_connection_info())
    yield client
    client.close()


@pytest.fixture
def fresh_kernel() -> Iterator[Callable[..., tuple[snakekernel.Client, Stock]]]:
    """Starts kernels of a test's own, with options of ``snakekernel.start``; closed after the test."""
    opened: list[Any] = []

    def start(**options: Any) -> tuple[snakekernel.Client, Stock]:
        client = snakekernel.start(**options)
        opened.append(client)
        stock = Stock(client.manager.get_connection_info())
        opened.append(stock)
        return client, stock

    yield start
    for one in reversed(opened):
        one.close()


@pytest.fixture(scope="session")
def bubblewrap() -> None:
    """Sandboxes can be made here."""
    try:
        check_bwrap(find_bwrap())
    except Unsupported as error:
        skip_unless_ci(str(error))


def _kernels() -> set[int]:
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if "snakekernel" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.add(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture(scope="module", autouse=True)
def ctrl_c_works() -> Iterator[None]:
    """A module leaves the handler of interrupts as it was."""
    before = signal.getsignal(signal.SIGINT)
    yield
    after = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
    assert after == before


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """After a module that starts kernels: no kernel process, no sockets folder, no thread is left."""
    if request.node.get_closest_marker("kernel") is None:
        yield
        return
    # Made now, so that it is not made in the folder that goes with the module.
    tmp_path_factory.getbasetemp()
    kernels, threads, temporary = _kernels(), set(threading.enumerate()), tempfile.tempdir
    # A folder of this module's own: other test runs of this machine make theirs elsewhere.
    tempfile.tempdir = tempfile.mkdtemp(prefix="tests-")
    folder = Path(tempfile.tempdir)
    try:
        yield
        # They stay for the next kernel, as they should.
        close_zygotes()
        deadline = time.monotonic() + PATIENCE
        for pid in _kernels() - kernels:
            try:
                psutil.Process(pid).wait(max(0, deadline - time.monotonic()))
            except psutil.NoSuchProcess:
                continue
        assert not list(folder.glob("snakekernel-*")), "sockets folders are left"
        # pyzmq keeps one thread for its zero-copy sends as long as the process lives.
        kept = {t for t in threading.enumerate() if isinstance(t, GarbageCollectorThread)}
        left = set(threading.enumerate()) - threads - kept
        for thread in left:
            thread.join(max(0, deadline - time.monotonic()))
        assert not {t.name for t in left if t.is_alive()}, "threads are left"
    finally:
        tempfile.tempdir = temporary
        shutil.rmtree(folder, ignore_errors=True)
