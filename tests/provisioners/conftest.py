"""Folders of each module's own, and no zygotes after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kernelspecs import jupyter_folders

from snakekernel.provisioners.forking import close_zygotes


@pytest.fixture(scope="module", autouse=True)
def kernelspecs(nothing_left_behind: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the kernelspecs of this module are installed."""
    with jupyter_folders(tmp_path_factory.mktemp("jupyter")) as folder:
        yield folder
    close_zygotes()
