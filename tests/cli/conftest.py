"""The command line in-process for speed, and a kernel of the module that ``--existing`` finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_lines import Ran

import snakekernel
from snakekernel.cli.app import main


@pytest.fixture(scope="module", autouse=True)
def jupyter_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Connection files, kernelspecs and configuration of these tests alone."""
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("RUNTIME", "DATA", "CONFIG"):
            patch.setenv(f"JUPYTER_{kind}_DIR", str(folder / kind.lower()))
        yield folder


@pytest.fixture(scope="module")
def kernel(jupyter_folders: Path) -> Iterator[snakekernel.Client]:
    """A running kernel, where ``--existing`` finds it."""
    with snakekernel.start() as client:
        yield client


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line in this process."""

    def run(*words: str) -> Ran:
        capsys.readouterr()
        try:
            status = main(words)
        except SystemExit as ended:
            # --help and --version end as argparse does.
            status = int(ended.code or 0)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return run
