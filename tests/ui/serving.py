"""A Jupyter server of the tests' own with JupyterLab, Notebook 7 and our extension, in throw-away folders.

The extension is taken from the source folder, so that what is tested is what is being worked on.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import nbformat
import psutil
import pytest
from jupyter_rest import PATIENCE, JupyterRest, check_that_it_runs
from nbformat.v4 import new_code_cell, new_notebook

ROOT: Final = Path(__file__).parents[2]
#: A kernel of another type than ours.
STOCK: Final = "stock"


class Jupyter(JupyterRest):
    """A running server, by its REST interface.

    Attributes:
        root: the folder that it shows. runtime: where connection files are.
    """

    def __init__(self, url: str, token: str, root: Path, runtime: Path) -> None:
        super().__init__(url, token)
        self.root = root
        self.runtime = runtime

    def notebook(self, *cells: str, kernel: str = "snakekernel", name: str | None = None) -> str:
        """A new notebook's name; it replaces one of the same name."""
        name = name or f"{uuid.uuid4().hex[:8]}.ipynb"
        spec = {"name": kernel, "display_name": kernel, "language": "python"}
        notebook = new_notebook(
            cells=[new_code_cell(cell) for cell in cells or ("",)], metadata={"kernelspec": spec}
        )
        nbformat.write(notebook, self.root / name)
        return name

    def kernel_of(self, notebook: str) -> str:
        """The id of a notebook's kernel."""
        for session in self.ask("GET", "api/sessions"):
            if session["path"] == notebook:
                return str(session["kernel"]["id"])
        raise LookupError(f"no kernel runs for {notebook}")

    def connection_file(self, notebook: str) -> Path:
        """The connection file of a notebook's kernel."""
        return self.runtime / f"kernel-{self.kernel_of(notebook)}.json"

    def end_kernels(self) -> None:
        """Shut down all kernels."""
        for session in self.ask("GET", "api/sessions"):
            with suppress(urllib.error.HTTPError):
                self.ask("DELETE", f"api/sessions/{session['id']}")


@contextmanager
def jupyter(home: Path) -> Iterator[Jupyter]:
    """A server in a folder of its own, ended with all that it started when the block is left."""
    root, token = home / "root", secrets.token_hex(16)
    root.mkdir(parents=True)
    env = _environment(home)
    log = home / "server.log"
    command = [sys.executable, "-m", "jupyter_server", "--port=0", "--no-browser", "--allow-root"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={root}"],
            env=env | {"JUPYTER_TOKEN": token},
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:

        def check() -> None:
            check_that_it_runs(process, log.read_text)

        url = _address(home / "run", check)
        server = Jupyter(url, token, root, home / "run")
        server.wait_until_it_answers(check)
        yield server
        server.end_kernels()
    finally:
        _end(process)


def _environment(home: Path) -> dict[str, str]:
    share = home / "data"
    (share / "labextensions").mkdir(parents=True)
    (share / "labextensions" / "snakekernel").symlink_to(ROOT / "snakekernel" / "ui" / "labextension")
    for name, module in (("snakekernel", "snakekernel.kernel.app"), (STOCK, "ipykernel_launcher")):
        spec = json.loads((ROOT / "kernelspec" / "kernel.json").read_text())
        if name == STOCK:
            spec |= {"argv": ["", "-m", module, "-f", "{connection_file}"], "display_name": STOCK}
        spec["argv"][0] = sys.executable
        folder = share / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(spec))
    config = home / "config"
    (config / "labconfig").mkdir(parents=True)
    # Notebook's is named where its app is: both are served by one server.
    (config / "jupyter_server_config.json").write_text(
        json.dumps(
            {
                "ServerApp": {"jpserver_extensions": {"jupyterlab": True, "notebook": True}},
                "LabApp": {"expose_app_in_browser": True},
                "JupyterNotebookApp": {"expose_app_in_browser": True},
            }
        )
    )
    # Nothing that would ask the network or cover the page.
    (config / "labconfig" / "default_setting_overrides.json").write_text(
        json.dumps(
            {
                "@jupyterlab/apputils-extension:notification": {
                    "fetchNews": "false",
                    "checkForUpdates": False,
                    "doNotDisturbMode": True,
                }
            }
        )
    )
    return os.environ | {
        "JUPYTER_PATH": str(share),
        "JUPYTER_DATA_DIR": str(home / "user"),
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_RUNTIME_DIR": str(home / "run"),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "PYTHONWARNINGS": "ignore",
    }


def _address(runtime: Path, check: Callable[[], None]) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for path in runtime.glob("jpserver-*.json"):
            with suppress(json.JSONDecodeError):
                told = json.loads(path.read_text())
                return f"http://127.0.0.1:{told['port']}/"
        check()
    pytest.fail("the server tells no address")


def _end(process: subprocess.Popen[bytes]) -> None:
    below = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in below:
        with suppress(psutil.NoSuchProcess):
            child.kill()
