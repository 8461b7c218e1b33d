"""Every notebook that ships runs from start to end on the kernel, and shows what it is committed with."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

nbclient: Any = pytest.importorskip("nbclient")
nbformat: Any = pytest.importorskip("nbformat")
notebooks: Any = pytest.importorskip("notebooks")

#: What stands in no output: folders of a machine, addresses, traces of errors.
_MACHINE = re.compile(
    r"(/home/|/root/|/tmp/|/usr/|/var/|/work/|/Users/|[A-Z]:\\\\|kernel-[0-9a-f-]{8,}|Traceback)"
)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_as_it_ran(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "snakekernel"
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)
    shown = json.dumps([texts(cell) for cell in cells])
    assert not _MACHINE.findall(shown)
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", shown)
    assert path.stat().st_size < 500_000


@pytest.mark.kernel
@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_the_same_kinds_of_output(path: Path) -> None:
    committed = code_cells(nbformat.read(path, as_version=4))
    with notebooks.kernelspec() as folder:
        ran = code_cells(notebooks.run(path, folder))
    assert [kinds(cell) for cell in ran] == [kinds(cell) for cell in committed]


def texts(cell: Any) -> list[Any]:
    """What a cell's outputs say, pictures apart."""
    return [
        output.get("text") or [data for kind, data in output.get("data", {}).items() if kind[:5] == "text/"]
        for output in cell.outputs
    ]


def kinds(cell: Any) -> list[tuple[str, ...]]:
    """What a cell's outputs are, whatever they say."""
    return [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs]


def test_the_notebooks_that_ship() -> None:
    assert [path.stem for path in notebooks.NOTEBOOKS] == [
        "01-quickstart",
        "02-data-science",
        "03-dspy-programs",
        "04-a-program-and-a-person",
        "05-inspecting",
        "06-streams-and-callbacks",
    ]
