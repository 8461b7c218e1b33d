"""Jupyter's own programs on our kernel: papermill, nbclient, the terminal console and Jupyter Server."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_rest import PATIENCE, JupyterRest, check_that_it_runs, message, until
from nbformat.v4 import new_code_cell, new_notebook
from suites import running

pytestmark = [pytest.mark.kernel, pytest.mark.outside]


def _run(arguments: list[str], env: dict[str, str], *, stdin: str = "", patience: float = PATIENCE) -> str:
    """The standard output of ``python <arguments>``."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running(process):
        out, err = process.communicate(stdin, timeout=patience)
    assert process.returncode == 0, out + err
    return out


def _notebook(path: Path, *sources: str) -> Path:
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernelspec = {"name": "snakekernel", "display_name": "Python (snakekernel)", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernelspec}), path)
    return path


def _texts(path: Path) -> list[str]:
    """What each cell showed: its printed text, its error, or its result."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return [
        "".join(
            output.get("text") or output.get("ename") or output["data"]["text/plain"]
            for output in cell.outputs
        )
        for cell in cells
    ]


_IMPLEMENTATION = "import IPython; get_ipython().kernel.implementation"


def test_papermill_runs_a_notebook_with_parameters(tmp_path: Path, jupyter_env: dict[str, str]) -> None:
    source = _notebook(tmp_path / "in.ipynb", "n = 1", "print(n * 7)", _IMPLEMENTATION)
    target = tmp_path / "out.ipynb"
    _run(["-m", "papermill", str(source), str(target), "-p", "n", "6", "--no-progress-bar"], jupyter_env)
    # papermill puts the parameters into a cell of its own, after the first.
    assert _texts(target) == ["", "", "42\n", "'snakekernel'"]


def test_papermill_reports_a_failing_cell(tmp_path: Path, jupyter_env: dict[str, str]) -> None:
    source = _notebook(tmp_path / "in.ipynb", "n = 1", "1 / 0", "print('never')")
    target = tmp_path / "out.ipynb"
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        _run(["-m", "papermill", str(source), str(target), "--no-progress-bar"], jupyter_env)
    assert "never\n" not in _texts(target)


def test_nbclient_runs_a_notebook(tmp_path: Path, jupyter_env: dict[str, str]) -> None:
    path = _notebook(tmp_path / "nb.ipynb", "stored['x'] = 41", "stored.x + 1", _IMPLEMENTATION)
    _run(["-m", "jupyter", "execute", "--inplace", str(path)], jupyter_env)
    assert _texts(path) == ["", "42", "'snakekernel'"]


@pytest.mark.timeout(300)
def test_the_console_runs_cells(jupyter_env: dict[str, str]) -> None:
    arguments = ["-m", "jupyter", "console", "--kernel", "snakekernel", "--simple-prompt"]
    # The console does not wait for its subscription to what cells show: fed at once, it misses the end of the
    # first cell now and then, and waits for ever, on stock's kernel as on ours.
    for patience in (30, 30, 30, PATIENCE):
        try:
            out = _run(arguments, jupyter_env, stdin=f"6 * 7\n{_IMPLEMENTATION}\nexit\n", patience=patience)
            break
        except subprocess.TimeoutExpired:
            continue
    else:
        pytest.fail("the console hung each time")
    assert "42" in out
    assert "'snakekernel'" in out


@pytest.fixture
def server(tmp_path: Path, jupyter_env: dict[str, str]) -> Iterator[JupyterRest]:
    token = secrets.token_hex(16)
    arguments = ["-m", "jupyter_server", "--port=0", "--no-browser", f"--ServerApp.root_dir={tmp_path}"]
    process = subprocess.Popen(
        [sys.executable, *arguments, "--allow-root"],
        env=jupyter_env | {"JUPYTER_TOKEN": token},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running(process):
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if url := re.search(r"http://127\.0\.0\.1:\d+/", line):
                break
        else:
            pytest.fail("the server ended:\n" + "".join(said))
        server = JupyterRest(url.group(), token)
        server.wait_until_it_answers(lambda: check_that_it_runs(process, lambda: "".join(said)))
        yield server


def test_jupyter_server_serves_cells_and_structured_messages(server: JupyterRest) -> None:
    kernel = server.ask("POST", "api/kernels", {"name": "snakekernel"})
    socket = server.channels(kernel["id"])
    try:
        cell = message("execute_request", {"code": "stored['x'] = 41; print('hello')", "silent": False})
        socket.send(json.dumps(cell))
        messages = until(socket, cell, lambda m: m["content"].get("execution_state") == "idle")
        printed = [m["content"]["text"] for m in messages if m["msg_type"] == "stream"]
        assert printed == ["hello\n"]

        call = message("snake_call_request", {"target": "operator.add", "args": [{"$ref": "x"}, 1]})
        socket.send(json.dumps(call))
        reply = until(socket, call, lambda m: m["msg_type"].endswith("_reply"))[-1]
        assert reply["msg_type"] == "snake_call_reply"
        assert reply["content"]["result"]["value"] == 42
    finally:
        socket.close()
    server.ask("DELETE", f"api/kernels/{kernel['id']}")
    assert server.ask("GET", "api/kernels") == []


def test_jupyter_server_restarts_and_interrupts_our_kernel(server: JupyterRest) -> None:
    kernel = server.ask("POST", "api/kernels", {"name": "snakekernel"})
    socket = server.channels(kernel["id"])
    try:
        cell = message(
            "execute_request", {"code": "print('on', flush=True)\nwhile True: pass", "silent": False}
        )
        socket.send(json.dumps(cell))
        until(socket, cell, lambda m: m["msg_type"] == "stream")
        server.ask("POST", f"api/kernels/{kernel['id']}/interrupt")
        reply = until(socket, cell, lambda m: m["msg_type"] == "execute_reply")[-1]
        assert reply["content"]["ename"] == "KeyboardInterrupt"
    finally:
        socket.close()
    server.ask("POST", f"api/kernels/{kernel['id']}/restart")
    socket = server.channels(kernel["id"])
    try:
        ping = message("snake_ping_request", {})
        socket.send(json.dumps(ping))
        reply = until(socket, ping, lambda m: m["msg_type"] == "snake_ping_reply")[-1]
        assert reply["content"]["status"] == "ok"
    finally:
        socket.close()
    server.ask("DELETE", f"api/kernels/{kernel['id']}")
