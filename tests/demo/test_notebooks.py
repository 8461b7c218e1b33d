"""Every notebook that ships runs from start to end on the kernel, and holds no outputs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

nbclient: Any = pytest.importorskip("nbclient")
nbformat: Any = pytest.importorskip("nbformat")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture
def kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernelspec of this very checkout, before any that is installed."""
    folder = tmp_path / "jupyter" / "kernels" / "snakekernel"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "snakekernel", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python (snakekernel)", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_holds_no_outputs_and_names_our_kernel(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "snakekernel"
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.kernel
@pytest.mark.usefixtures("kernelspec")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=90, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def test_the_quickstart_ships() -> None:
    assert "01-quickstart.ipynb" in [path.name for path in NOTEBOOKS]
