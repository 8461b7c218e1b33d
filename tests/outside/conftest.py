"""A Jupyter of the tests' own: our kernelspec in it, and nothing of the machine's."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def jupyter_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which the kernelspec ``snakekernel`` is found and starts this interpreter."""
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "data" / "kernels" / "snakekernel"
    folder.mkdir(parents=True)
    spec = json.loads((ROOT / "kernelspec" / "kernel.json").read_text())
    spec["argv"][0] = sys.executable
    (folder / "kernel.json").write_text(json.dumps(spec))
    return os.environ | {
        "JUPYTER_PATH": str(home / "data"),
        "JUPYTER_DATA_DIR": str(home / "user"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "run"),
        "IPYTHONDIR": str(home / "ipython"),
        # What other projects warn about in their own processes is not ours to make an error of.
        "PYTHONWARNINGS": "ignore",
    }
