"""Jupyter's folders, for each module its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kernelspecs import jupyter_folders


@pytest.fixture(scope="module", autouse=True)
def kernelspecs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the kernelspecs of this module are installed."""
    with jupyter_folders(tmp_path_factory.mktemp("jupyter")) as folder:
        yield folder
