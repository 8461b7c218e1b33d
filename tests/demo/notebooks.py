"""Running the notebooks that ship, and writing them with their outputs: ``python tests/demo/notebooks.py``.

Rules: what a run holds that another would not (ports, addresses, paths, times) is not written.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import nbclient
import nbformat

NOTEBOOKS: Final = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))

#: Seconds for one cell.
PATIENCE: Final = 90

_OF_ONE_RUN: Final = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:8000"),
    (re.compile(r"\b1\d{9}\.\d+\b"), "1700000000.0"),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "0x7f0000000000"),
)


@contextlib.contextmanager
def kernelspec() -> Iterator[Path]:
    """The kernelspec of this very checkout, before any that is installed; a folder that goes afterwards."""
    before = os.environ.get("JUPYTER_PATH")
    with tempfile.TemporaryDirectory(prefix="notebooks-") as name:
        folder = Path(name, "kernels", "snakekernel")
        folder.mkdir(parents=True)
        argv = [sys.executable, "-m", "snakekernel", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": "Python (snakekernel)", "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
        os.environ["JUPYTER_PATH"] = name
        os.environ.setdefault("DSPY_CACHEDIR", str(Path(name, "dspy")))
        work = Path(name, "work")
        work.mkdir()
        try:
            yield work
        finally:
            if before is None:
                del os.environ["JUPYTER_PATH"]
            else:
                os.environ["JUPYTER_PATH"] = before


def run(path: Path, folder: Path) -> Any:
    """The notebook, run from start to end in a folder; raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=PATIENCE, resources={"metadata": {"path": str(folder)}}, coalesce_streams=True
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            _settle(output)
    return notebook


def _settle(output: Any) -> None:
    """Take out what is of one run only."""
    if output.output_type == "stream":
        output.text = _settled(output.text)
    for kind, data in output.get("data", {}).items():
        if isinstance(data, str) and kind.startswith("text/"):
            output.data[kind] = _settled(data)


def _settled(text: str) -> str:
    for pattern, steady in _OF_ONE_RUN:
        text = pattern.sub(steady, text)
    return text


if __name__ == "__main__":
    chosen = sys.argv[1:]
    # The language model is of this machine: nothing is looked up elsewhere.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    with kernelspec() as where:
        for one in NOTEBOOKS:
            if not chosen or any(word in one.name for word in chosen):
                made = run(one, where)
                made.metadata = {
                    "kernelspec": made.metadata.kernelspec,
                    "language_info": {"name": "python"},
                }
                nbformat.write(made, one)
                print(f"wrote {one.name}")
