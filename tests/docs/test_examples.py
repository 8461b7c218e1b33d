"""Every example that a reader can copy is run: Python blocks, cells of notebooks, shell commands, clients."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from blocks import ROOT, Block, blocks, pages
from jupyter_core.utils import ensure_event_loop

import snakekernel
from snakekernel.demo.lm_server import LMServer

pytestmark = pytest.mark.kernel

EXAMPLES = ROOT / "docs" / "examples"


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _with(*languages: str) -> list[Any]:
    """The pages that have blocks to run in those languages, as parameters."""
    return [
        pytest.param(page, id=_name(page))
        for page in pages()
        if any(block.how != "skip" for block in blocks(page, *languages))
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in; connection files and caches of the examples stay below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("DSPY_CACHEDIR", str(tmp_path / "dspy"))
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    return tmp_path


@pytest.mark.parametrize("page", _with("python"))
def test_python_examples_do_what_they_say(page: Path, folder: Path) -> None:
    # On a thread of its own, since asyncio.run in an example takes the event loop of pytest's away.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_run_page, page).result()


def _run_page(page: Path) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    loop = ensure_event_loop()
    try:
        for block in blocks(page, "python"):
            if block.how == "run":
                _run(block, names, page)
            elif block.how == "cell":
                _run_cell(block, names, page)
    finally:
        for value in names.values():
            if isinstance(value, snakekernel.Client | LMServer):
                value.close()
        loop.close()


def _run(block: Block, names: dict[str, Any], page: Path) -> None:
    # Numbered as in the page, so that a traceback points there.
    source = "\n" * (block.line - 1) + block.code
    lines = source.splitlines()
    for statement in ast.parse(source, _name(page)).body:
        expected = lines[(statement.end_lineno or 1) - 1].partition("# -> ")[2].strip()
        if isinstance(statement, ast.Expr):
            code = compile(ast.Expression(statement.value), _name(page), "eval")
            value = eval(code, names)
            if expected:
                pattern = ".*".join(re.escape(part) for part in expected.split("..."))
                assert re.fullmatch(pattern, repr(value), re.DOTALL), (
                    f"{_name(page)}:{statement.lineno} gives {value!r}, not {expected}"
                )
        else:
            assert not expected, f"{_name(page)}:{statement.lineno} is no expression, it has no value to show"
            exec(compile(ast.Module([statement], []), _name(page), "exec"), names)


def _run_cell(block: Block, names: dict[str, Any], page: Path) -> None:
    client = names["snake"].manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=30)
        reply = client.execute_interactive(block.code, timeout=60, output_hook=lambda message: None)
        content = reply["content"]
        assert content["status"] == "ok", f"{_name(page)}:{block.line}: {content}"
    finally:
        client.stop_channels()


@pytest.mark.parametrize("page", _with("console"))
def test_shell_commands_of_ours_succeed(page: Path, folder: Path) -> None:
    """Lines ``$ snakekernel …`` run one after another, each with a pipe or here-document as it is written."""
    with snakekernel.start(transport="tcp") as snake:
        for block in blocks(page, "console"):
            if block.how == "skip":
                continue
            for command in _commands(block.code):
                _run_command(command, snake.connection_file or "", folder, f"{_name(page)}:{block.line}")


def _commands(code: str) -> list[str]:
    commands: list[str] = []
    for line in code.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif commands and commands[-1].endswith("\\"):
            commands[-1] += "\n" + line
    return [command for command in commands if re.search(r"(^|\| )(jupyter )?snakekernel ", command)]


def _run_command(command: str, connection_file: str, folder: Path, where: str) -> None:
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ["PATH"], "NO_COLOR": "1"}
    command = command.replace("kernel-1234.json", shlex.quote(connection_file))
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"{where}: {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [pytest.param(page, id=_name(page)) for page in pages()])
def test_json_examples_are_json(page: Path) -> None:
    for block in blocks(page, "json"):
        json.loads(block.code)


def test_a_client_in_plain_sockets_works(folder: Path) -> None:
    with snakekernel.start(transport="tcp") as snake:
        lines = _client([sys.executable, str(EXAMPLES / "plain_socket_client.py")], snake, folder)
        assert lines == [
            "operator.add(2, 3) = 5",
            "sorted: [1, 2, 3]",
            "blob: 000102",
            "error: raised ValueError target",
        ]
        # What it stored is there for every other client, of the type it meant.
        assert snake.retrieve("blob") == b"\x00\x01\x02"


def test_a_client_in_node_works(folder: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed; the Node example was not run")
    for name in ("node_client.mjs", "package.json"):
        shutil.copy(EXAMPLES / name, folder)
    # The package brings its own binaries: its install script is not needed.
    install = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    try:
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.skip("`npm install zeromq` took more than 60 s; the Node example was not run")
    if done.returncode != 0:
        pytest.skip(f"`npm install zeromq` failed; the Node example was not run: {done.stderr[-300:]}")
    with snakekernel.start(transport="tcp") as snake:
        lines = _client([node, "node_client.mjs"], snake, folder)
        assert lines == [
            "operator.add(2, 3) = 5",
            "mean: 3",
            "array: 1 2 3 6",
            "error: raised ValueError target",
        ]
        assert snake.call("stored.array.dtype.str") == "<f8"


def _client(command: list[str], snake: snakekernel.Client, folder: Path) -> list[str]:
    done = subprocess.run(
        [*command, str(snake.connection_file)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
