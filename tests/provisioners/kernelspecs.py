"""Kernelspecs that place kernels, installed as users install them, for the tests of one module."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from snakekernel.cli.app import main


@contextmanager
def jupyter_folders(folder: Path) -> Iterator[Path]:
    """Connection files, kernelspecs and configuration below ``folder``; yields where kernelspecs go."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("RUNTIME", "DATA", "CONFIG"):
            patch.setenv(f"JUPYTER_{kind}_DIR", str(folder / kind.lower()))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        yield folder / "data" / "kernels"


def install(provisioner: str, name: str, **settings: Any) -> None:
    """``snakekernel install --user --provisioner …``."""
    words = [f"--config={setting}={json.dumps(value)}" for setting, value in settings.items()]
    assert main(["install", "--user", "--provisioner", provisioner, "--name", name, *words]) == 0
