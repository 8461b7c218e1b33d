"""Jupyter servers as processes of their own, with nothing of this machine's Jupyter."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from jupyter_rest import PATIENCE, JupyterRest, check_that_it_runs

ROOT: Final = Path(__file__).parents[1]
#: Extensions of the server that take time to load and are not asked for.
_OFF: Final = (
    "jupyterlab",
    "notebook",
    "notebook_shim",
    "jupyter_lsp",
    "jupyter_server_terminals",
    "ipyparallel",
)


class ServerProcess(JupyterRest):
    """A running server.

    Attributes:
        process: of the server. log: the file of what it says.
    """

    def __init__(self, url: str, token: str, process: subprocess.Popen[bytes], log: Path) -> None:
        super().__init__(url, token)
        self.process = process
        self.log = log

    def kernels(self) -> list[str]:
        """The ids of the kernels that it tells of."""
        return [kernel["id"] for kernel in self.ask("GET", "api/kernels")]


#: ``snakekernel serve``.
SERVE: Final = ("-c", "import sys; from snakekernel.cli.app import main; sys.exit(main())", "serve")


@contextmanager
def jupyter_server(
    folder: Path,
    *options: str,
    command: Sequence[str] = ("-m", "jupyter_server"),
    env: dict[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """``python <command>`` with these options, until the block ends.

    Args:
        folder: of the server's own, new or not.
    """
    spec = folder / "data" / "kernels" / "snakekernel" / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    said = json.loads((ROOT / "kernelspec" / "kernel.json").read_text())
    spec.write_text(json.dumps({**said, "argv": [sys.executable, *said["argv"][1:]]}))
    token = secrets.token_hex(16)
    names = {"PATH": "data", "DATA_DIR": "user", "CONFIG_DIR": "config", "RUNTIME_DIR": "run"}
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}": str(folder / path) for name, path in names.items()},
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_TOKEN": token,
        # What other projects warn about in their own processes is not ours to make an error of.
        "PYTHONWARNINGS": "ignore",
        **(env or {}),
    }
    log = folder / f"server-{secrets.token_hex(4)}.log"
    arguments = [
        *(sys.executable, *command),
        *("--port=0", "--no-browser", "--allow-root", f"--ServerApp.root_dir={folder}"),
        f"--ServerApp.jpserver_extensions={dict.fromkeys(_OFF, False)}",
        *options,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        while (found := re.search(r"https?://127\.0\.0\.1:\d+/\S*?(?=\?)", log.read_text())) is None:
            check_that_it_runs(process, log.read_text)
        server = ServerProcess(found.group(), token, process, log)
        if server.url.startswith("http:"):
            server.wait_until_it_answers(lambda: check_that_it_runs(process, log.read_text))
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail("the server did not end:\n" + log.read_text()[-4000:])
