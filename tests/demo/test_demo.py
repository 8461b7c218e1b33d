"""``python -m snakekernel.demo``, run as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snakekernel.demo.show import literal, request_text
from snakekernel.wire.path import Ref


@pytest.mark.kernel
@pytest.mark.timeout(110)
def test_the_demo_runs_and_shows_its_three_examples(tmp_path: Path) -> None:
    demo = [sys.executable, "-m", "snakekernel.demo"]
    done = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    for line in (
        "1  Data science",
        '    "pandas.read_csv",',
        '{"target": "stored.df.dropna", "store_as": "complete"},',
        "<pandas.DataFrame = stored.complete> of shape [333, 8]",
        "✓ the file has 344 penguins",
        "of unseen penguins apart",
        "2  Two frameworks",
        'api_key": "…"',
        "✓ the summary is made of the text's own sentences",
        "✓ VADER finds the text positive",
        "✓ the API key stands in nothing that came back",
        "3  Legacy commands",
        "Elixir is a dynamic, functional programming language",
        "easier to test",
        "NotFound [not_found]",
        "What you just saw",
        "all of them hold",
    ):
        assert line in done.stdout
    assert "\x1b[" not in done.stdout  # no terminal, so no colours
    assert "sk-demo-" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.kernel
def test_a_result_that_is_not_what_it_must_be_fails_the_demo() -> None:
    # The year of its sighting tells nobody the species of a penguin, so the model cannot do well.
    code = (
        "import sys\n"
        "from snakekernel.demo import steps\n"
        "from snakekernel.demo.__main__ import main\n"
        "steps.COLUMNS[:] = ['year']; sys.exit(main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "The demo failed: the model tells" in done.stdout
    assert "What you just saw" not in done.stdout


def test_missing_libraries_are_named() -> None:
    # A finder that hides one library, as if the extra were not installed.
    code = (
        "import importlib.util as u, sys; real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'palmerpenguins' else real(name, package)\n"
        "from snakekernel.demo.__main__ import main; sys.exit(main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "palmerpenguins" in done.stderr
    assert "pip install 'snakekernel[demo]'" in done.stderr


def test_an_output_of_ascii_alone_is_served() -> None:
    code = (
        "from snakekernel.demo.show import Narrator, make_console\n"
        "tell = Narrator({1: 'é'}, make_console())\n"
        "tell.chapter('A', 'b'); tell.do('get', 1); tell.must('fine', True)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ok fine" in done.stdout
    assert "<- ?" in done.stdout


def test_a_request_is_printed_as_python() -> None:
    assert request_text("call", ["m.f"], {"args": [Ref("df", ("columns", 0))]}, width=80) == (
        'snake.call("m.f", args=[ref("df", "columns", 0)])'
    )
    steps = [{"target": "m.f", "store_as": "x"}, {"target": "m.g", "args": ["a" * 40]}]
    assert request_text("pipeline", [steps], {"session_id": "s"}, width=60).splitlines() == [
        "snake.pipeline(",
        "  [",
        '    {"target": "m.f", "store_as": "x"},',
        '    {"target": "m.g",',
        f'     "args": ["{"a" * 40}"]}},',
        "  ],",
        '  session_id="s",',
        ")",
    ]


def test_secrets_are_not_printed() -> None:
    assert literal({"api_key": "sk-1", "n": [1, "x"]}, hidden=["sk-1"]) == '{"api_key": "…", "n": [1, "x"]}'
