"""Every example that a reader can copy is run: Python blocks, cells of notebooks, shell commands, clients."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from blocks import ROOT, Block, blocks, pages
from jupyter_core.utils import ensure_event_loop
from needs import skip_unless_ci

import snakekernel
from snakekernel.demo.lm_server import LMServer

pytestmark = pytest.mark.kernel

_OURS = re.compile(r"^\$ (.*\| )?(jupyter )?snakekernel ", re.MULTILINE)
EXAMPLES = ROOT / "docs" / "examples"


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _with(language: str, wanted: str = "") -> list[Any]:
    """The pages that have blocks to run in that language, as parameters."""
    return [
        pytest.param(page, id=_name(page))
        for page in pages()
        if any(b.how != "skip" and re.search(wanted, b.code, re.MULTILINE) for b in blocks(page, language))
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in; connection files and caches of the examples stay below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("SNAKEKERNEL_DURABLE_FOLDER", str(tmp_path / "durable"))
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


@pytest.mark.timeout(300)  # each command is a process of its own
@pytest.mark.parametrize("page", _with("console", _OURS.pattern))
def test_shell_commands_of_ours_succeed(page: Path, folder: Path) -> None:
    """Beside a kernel that ``--existing`` finds, and with the output that the page shows."""
    with snakekernel.start():
        for block in blocks(page, "console"):
            if block.how == "run" and _OURS.search(block.code):
                for command, shown in _commands(block.code):
                    _run_command(command, shown, folder, f"{_name(page)}:{block.line}")


def _commands(code: str) -> list[tuple[str, str]]:
    """Each command with the output that the page shows below it, which may be none."""
    return [
        (command, shown.strip())
        for command, _, shown in (part.partition("\n") for part in re.split(r"^\$ ", code, flags=re.M)[1:])
    ]


def _run_command(command: str, shown: str, folder: Path, where: str) -> None:
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ["PATH"], "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"{where}: {command}\n{done.stdout}{done.stderr}"
    assert not shown or done.stdout.strip() == shown, f"{where}: {command}\n{done.stdout}"


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
        skip_unless_ci("the Node example needs node and npm: apt install nodejs npm")
    for name in ("node_client.mjs", "package.json"):
        shutil.copy(EXAMPLES / name, folder)
    # The package brings its own binaries: its install script is not needed.
    install = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    try:
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        skip_unless_ci("`npm install zeromq` took too long; the Node example was not run")
    if done.returncode != 0:
        skip_unless_ci(f"`npm install zeromq` failed; the Node example was not run: {done.stderr[-300:]}")
    with snakekernel.start(transport="tcp") as snake:
        lines = _client([node, "node_client.mjs"], snake, folder)
        assert lines == [
            "operator.add(2, 3) = 5",
            "mean: 3",
            "array: 1 2 3 6",
            "error: raised ValueError target",
        ]
        assert snake.call("stored.array.dtype.str") == "<f8"


def test_the_example_package_of_a_plugin_works_installed(folder: Path) -> None:
    (page,) = (page for page in pages() if page.name == "plugins.md")
    (block,) = (block for block in blocks(page, "python") if "from tally import" in block.code)
    project = tomllib.loads((EXAMPLES / "tally" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # What an installer leaves behind: the package on the path, and its entry points beside it.
    info = folder / "site" / "tally-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tally\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
            for group, points in project["entry-points"].items()
        )
    )
    shutil.copytree(EXAMPLES / "tally" / "tally", folder / "site" / "tally")
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    done = subprocess.run(
        [sys.executable, "-c", block.code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def _client(command: list[str], snake: snakekernel.Client, folder: Path) -> list[str]:
    done = subprocess.run(
        [*command, str(snake.connection_file)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
