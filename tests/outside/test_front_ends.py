"""Jupyter's own programs on our kernel: papermill, nbclient, the terminal console and Jupyter Server."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import websocket
from jupyter_rest import PATIENCE, JupyterRest, check_that_it_runs
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


class _Server(JupyterRest):
    """A running Jupyter Server."""

    def channels(self, kernel_id: str) -> websocket.WebSocket:
        """The websocket that carries all channels of one kernel."""
        return websocket.create_connection(
            f"{self.url.replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels",
            header={"Authorization": f"token {self.token}"},
            timeout=PATIENCE,
        )


@pytest.fixture
def server(tmp_path: Path, jupyter_env: dict[str, str]) -> Iterator[_Server]:
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
        server = _Server(url.group(), token)
        server.wait_until_it_answers(lambda: check_that_it_runs(process, lambda: "".join(said)))
        yield server


def _message(msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": msg_type,
        "session": "tests",
        "username": "tests",
        "version": "5.3",
        "date": "2026-01-01T00:00:00Z",
    }
    return {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}


def _until(
    socket: websocket.WebSocket, request: dict[str, Any], last: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """The messages that belong to a request, up to the one for which ``last`` holds."""
    messages = []
    while True:
        message = json.loads(socket.recv())
        if message["parent_header"].get("msg_id") == request["header"]["msg_id"]:
            messages.append(message)
            if last(message):
                return messages


def test_jupyter_server_serves_cells_and_structured_messages(server: _Server) -> None:
    kernel = server.ask("POST", "api/kernels", {"name": "snakekernel"})
    socket = server.channels(kernel["id"])
    try:
        cell = _message("execute_request", {"code": "stored['x'] = 41; print('hello')", "silent": False})
        socket.send(json.dumps(cell))
        messages = _until(socket, cell, lambda m: m["content"].get("execution_state") == "idle")
        printed = [m["content"]["text"] for m in messages if m["msg_type"] == "stream"]
        assert printed == ["hello\n"]

        call = _message("snake_call_request", {"target": "operator.add", "args": [{"$ref": "x"}, 1]})
        socket.send(json.dumps(call))
        reply = _until(socket, call, lambda m: m["msg_type"].endswith("_reply"))[-1]
        assert reply["msg_type"] == "snake_call_reply"
        assert reply["content"]["result"]["value"] == 42
    finally:
        socket.close()
    server.ask("DELETE", f"api/kernels/{kernel['id']}")
    assert server.ask("GET", "api/kernels") == []


def test_jupyter_server_restarts_and_interrupts_our_kernel(server: _Server) -> None:
    kernel = server.ask("POST", "api/kernels", {"name": "snakekernel"})
    socket = server.channels(kernel["id"])
    try:
        cell = _message(
            "execute_request", {"code": "print('on', flush=True)\nwhile True: pass", "silent": False}
        )
        socket.send(json.dumps(cell))
        _until(socket, cell, lambda m: m["msg_type"] == "stream")
        server.ask("POST", f"api/kernels/{kernel['id']}/interrupt")
        reply = _until(socket, cell, lambda m: m["msg_type"] == "execute_reply")[-1]
        assert reply["content"]["ename"] == "KeyboardInterrupt"
    finally:
        socket.close()
    server.ask("POST", f"api/kernels/{kernel['id']}/restart")
    socket = server.channels(kernel["id"])
    try:
        ping = _message("snake_ping_request", {})
        socket.send(json.dumps(ping))
        reply = _until(socket, ping, lambda m: m["msg_type"] == "snake_ping_reply")[-1]
        assert reply["content"]["status"] == "ok"
    finally:
        socket.close()
    server.ask("DELETE", f"api/kernels/{kernel['id']}")
