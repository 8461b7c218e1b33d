"""Running another project's test suite in a pytest of its own, and reading what came of it.

Rules: their suites run under their settings, not under our strictness; a run is bounded in time, and what it
started goes with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import psutil
import pytest

Kernel = Literal["stock", "snakekernel"]
Outcomes = dict[str, str]

#: Settings under which other projects' tests run: asyncio as their code expects it, markers of their plugins.
_INI: Final = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
timeout = 120
markers =
    flaky: repeated when it fails, where the plugin is installed
"""


class SuiteRun:
    """A suite under way: ``wait`` gives the outcome of each test."""

    def __init__(
        self, folder: Path, tests: Sequence[str], *, kernel: Kernel, env: Mapping[str, str], workplace: Path
    ) -> None:
        workplace.mkdir()
        self._outcomes = workplace / "outcomes.json"
        self._log = workplace / "log.txt"
        (folder / "outside.ini").write_text(_INI)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            str(folder / "outside.ini"),
            "--rootdir",
            str(folder),
        ]
        command += ["-p", "no:cacheprovider", "-p", "on_our_kernel", "-q", "-rA"]
        command += [f"--kernel-under-test={kernel}", f"--outcomes={self._outcomes}", *tests]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**env, "PYTHONPATH": str(Path(__file__).parent), "TMPDIR": _folder(workplace / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self, timeout: float) -> Outcomes:
        """The outcome of each test by its id; fails the running test where it did not end."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the suite did not end within {timeout} s:\n{self.log()[-4000:]}")
        finally:
            self.close()
        if not self._outcomes.exists():
            pytest.fail(f"the suite did not run:\n{self.log()[-4000:]}")
        outcomes: Outcomes = json.loads(self._outcomes.read_text())
        assert outcomes, f"no test of the suite ran:\n{self.log()[-4000:]}"
        return outcomes

    def log(self) -> str:
        """What its pytest printed."""
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        """End what still runs. Idempotent."""
        end(self._process)


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a process and all that it started. Idempotent."""
    if process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for child in below:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, ended with all that it started when the block is left."""
    with process:
        try:
            yield process
        finally:
            end(process)


def released_tests(project: str, version: str, cache: Path, into: Path) -> Path | None:
    """Unpack the ``tests`` folder of a project's source distribution; None where it cannot be had.

    Only the tests: their ``import project`` must find what is installed.
    """
    archive = cache / f"{project}-{version}.tar.gz"
    if not archive.exists():
        # Built dependencies are fine; only the project itself must come as source.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", project]
        command += ["--disable-pip-version-check", "--dest", str(cache), f"{project}=={version}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        if done.returncode != 0:
            return None
    with tarfile.open(archive) as tar:
        prefix = f"{project}-{version}/tests/"
        tar.extractall(into, [m for m in tar if m.name.startswith(prefix)], filter="data")
    return into / f"{project}-{version}"


def _folder(path: Path) -> str:
    path.mkdir()
    return str(path)
