"""Plugins that are absent, broken or not wanted do no harm, and importing ours is cheap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snakekernel.commands.runtime import Runtime
from snakekernel.plugins.load import CommandTable, PluginTable

LEGACY = {
    "configure_lm",
    "create_program",
    "execute_program",
    "get_program",
    "list_programs",
    "delete_program",
    "clear_session",
}

_ABSENT = """
import sys, time, json
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("dspy", "sklearn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import msgspec
from snakekernel.commands.dispatch import Run
from snakekernel.commands.runtime import Runtime
from snakekernel.objects.sessions import SessionTable
from snakekernel.objects.store import Store
from snakekernel.plugins.load import CommandTable, PluginTable
from snakekernel.wire.frame import Frame
runtime = Runtime(table=CommandTable(), frameworks=PluginTable(), clock=time.time, store=Store(),
                  sessions=SessionTable())
def ask(op, **content):
    run = Run(Frame(f"snake_{op}_request", "m", msgspec.json.encode(content), {}, ()), runtime, "shell")
    reply = msgspec.json.decode(run.pack(run.resume()).content)
    print(json.dumps([op, reply.get("code"), reply.get("error"), reply.get("frameworks_available"),
                      reply.get("count")]))
ask("configure", framework="dspy", config={"lm": "a/b"})
ask("configure_lm", provider="openai", model="m", api_key="sk-canary-0123456789")
ask("create_program", id="p", signature="a -> b")
ask("execute_program", program_id="p")
ask("list_programs")
ask("call", target="dspy.Predict", args=["a -> b"])
ask("call", target="dspy.LM", args=["a/b"])
ask("configure", framework="sklearn", config={})
ask("ping")
"""


def test_frameworks_that_are_not_installed() -> None:
    done = subprocess.run([sys.executable, "-c", _ABSENT], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    codes = [(op, code) for op, code, *_ in rows]
    assert codes == [
        ("configure", "not_found"),
        ("configure_lm", "not_found"),
        ("create_program", "not_found"),
        ("execute_program", "not_found"),
        ("list_programs", None),
        ("call", "unresolvable"),
        ("call", "not_found"),
        ("configure", "not_found"),
        ("ping", None),
    ]
    assert "snakekernel[dspy]" in rows[0][2]
    assert "snakekernel[sklearn]" in rows[7][2]
    assert rows[4][4] == 0
    assert "dspy" not in rows[8][3]
    assert "canary" not in done.stdout


def test_loading_our_plugins_imports_no_framework() -> None:
    code = (
        "import sys\n"
        "from snakekernel.plugins.load import CommandTable, PluginTable\n"
        "plugins, commands = PluginTable(), CommandTable()\n"
        "assert plugins.get('dspy').name == 'dspy' and plugins.get('sklearn').name == 'sklearn'\n"
        "assert all(commands[op].op == op for op in commands)\n"
        "heavy = {'dspy', 'sklearn', 'numpy', 'pandas', 'litellm', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_legacy_commands_are_in_the_table(bench: Any) -> None:
    assert set(bench.runtime.table) >= LEGACY


def _package(root: Path, name: str, source: str, entry: str) -> None:
    (root / f"{name}.py").write_text(source)
    info = root / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry)


def test_a_plugin_that_fails_to_load_is_reported_and_harms_no_other(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _package(
        tmp_path,
        "snake_broken",
        "raise RuntimeError('broken on purpose')\n",
        "[snakekernel.plugins]\nsnake_broken = snake_broken:PLUGIN\n"
        "[snakekernel.commands]\nsnake_broken_op = snake_broken:COMMAND\n",
    )
    _package(tmp_path, "snake_odd", "PLUGIN = 5\n", "[snakekernel.plugins]\nsnake_odd = snake_odd:PLUGIN\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    old: Runtime = bench.runtime
    bench.runtime = Runtime(
        table=CommandTable(),
        frameworks=PluginTable(),
        clock=old.clock,
        store=old.store,
        sessions=old.sessions,
    )
    assert bench.error("configure", framework="snake_broken", config={})["code"] in ("not_found", "raised")
    bench.ask("configure", framework="snake_odd", config={})
    assert bench.error("snake_broken_op")["code"] == "unknown_operation"
    failures = bench.runtime.frameworks.failures()
    assert "broken on purpose" in failures["snake_broken"]
    assert "no snakekernel.plugins.api.Plugin" in failures["snake_odd"]
    assert "snake_broken" in caplog.text
    assert bench.runtime.frameworks.get("sklearn") is not None
    assert "snake_broken" not in bench.ok("ping")["frameworks_available"]


def test_a_third_partys_plugin_takes_over_and_describes(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from snakekernel.plugins.api import Plugin\n"
        "class Box:\n    pass\n"
        "def work():\n    return 'theirs'\n"
        "class P(Plugin):\n"
        "    name = 'snake_third'\n"
        "    def takes_over(self, path):\n"
        "        return (lambda scope, args, kwargs: 'ours') if path == ('work',) else None\n"
        "    def describe(self, obj, describer):\n"
        "        return {'boxed': True}\n"
        "PLUGIN = P()\n"
    )
    _package(tmp_path, "snake_third", source, "[snakekernel.plugins]\nsnake_third = snake_third:PLUGIN\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    bench.runtime.frameworks = PluginTable()
    assert bench.ok("call", target="snake_third.work")["result"]["value"] == "ours"
    assert bench.ok("call", target="snake_third.Box")["result"]["boxed"] is True
    assert "snake_third" in bench.ok("ping")["frameworks_available"]
    assert bench.error("configure", framework="snake_third", config={})["code"] == "not_found"
