"""Attack 15: session ids that are paths, shell words or templates are names like any other, or refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from snakekernel.testing.dispatch import ask, dispatch, make_runtime
from snakekernel.wire.frame import Frame
from snakekernel.wire.names import request_type

pytestmark = pytest.mark.promise("attack-15")

NAMES = [
    "../x",
    "../../../../tmp/escaped",
    "/etc/passwd",
    "..",
    ".",
    "a/b/c",
    "C:\\x",
    "$(touch escaped)",
    "`touch escaped`",
    "; touch escaped;",
    "| cat",
    "-rf",
    "{{7*7}}",
    "${7*7}",
    "{session.__class__}",
    "%n%s%x",
    "%(message)s",
    "<script>alert(1)</script>",
    '" onload="x',
    "__proto__",
    "constructor",
    'a\n{"op": "forged"}',
    "a\r\nb",
    "\x00",
    "a\x00b",
    "\x1b[31m",
    "\u202efdp.exe",
    "\u2028",
    "'; DROP TABLE objects; --",
    "\u00e9",
    "e\u0301",
    "🐍",
    "x" * 1024,
    "~1",
    "stored",
    "None",
    "null",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_like_any_other(name: str) -> None:
    runtime = make_runtime()
    assert ask(runtime, "create_session", {"session_id": name, "quota": {"objects": 5}})["session_id"] == name
    assert ask(runtime, "store", {"session_id": name, "id": name, "value": name})["status"] in ("ok", "error")
    assert ask(runtime, "store", {"session_id": name, "id": "x", "value": name})["status"] == "ok"
    assert ask(runtime, "retrieve", {"session_id": name, "id": "x"})["object"]["value"] == name
    assert ask(runtime, "retrieve", {"id": "x"})["code"] == "not_found"
    (listed,) = ask(runtime, "list_sessions")["sessions"]
    assert listed["session_id"] == name
    for other in NAMES:
        if other != name:
            assert ask(runtime, "list_stored", {"session_id": other})["code"] == "not_found"
    assert ask(runtime, "close_session", {"session_id": name})["status"] == "ok"
    assert len(runtime.store) == len(runtime.sessions) == 0


@pytest.mark.parametrize(
    "name",
    ["", "x" * 10_000, "\ud800", "a\udfffb", 7, ["x"], {"a": 1}, True],
    ids=lambda name: ascii(name)[:20],
)
def test_what_is_no_name_is_refused(name: Any) -> None:
    runtime = make_runtime()
    for op in ("create_session", "store", "list_sessions", "close_session"):
        # As Python's own JSON writes it, lone surrogates included.
        fields = {"session_id": name, **({"id": "x", "value": 1} if op == "store" else {})}
        frame = Frame(request_type(op), "m", json.dumps(fields).encode(), {})
        reply = msgspec.json.decode(dispatch(frame, runtime).content)
        assert reply["code"] == "invalid_request", reply
        assert len(reply["error"]) < 1_000
    assert len(runtime.sessions) == 0


@pytest.mark.kernel
def test_nothing_on_disk_and_no_line_of_a_log_is_named_by_them(
    fresh_kernel: Callable[..., Any], tmp_path: Path
) -> None:
    log, place = tmp_path / "audit.jsonl", tmp_path / "a" / "b" / "c"
    place.mkdir(parents=True)
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "snakekernel_kernel_config.py").write_text(f"c.SnakeKernel.audit_log = {str(log)!r}\n")
    env = {**os.environ, "IPYTHONDIR": str(profile.parent), "JUPYTER_DATA_DIR": str(tmp_path / "data")}
    env["SNAKEKERNEL_DURABLE"] = "own"
    with (tmp_path / "output").open("wb") as output:
        _, stock = fresh_kernel(env=env, cwd=str(place), output=output)
        stock.ok("store", {"id": "x", "value": 1, "durable": True, "session_id": "plain"})
        before = set(tmp_path.rglob("*"))
        for name in NAMES:
            for op, fields in (
                ("store", {"id": "x", "value": 1, "durable": True}),
                ("call", {"target": "builtins.print", "args": ["hello"]}),
                ("call", {"target": "no.such.target"}),
                ("checkpoint", {"name": "all"}),
                ("close_session", {}),
            ):
                stock.ask(op, {"session_id": name, **fields})
        named = {path.name for path in set(tmp_path.rglob("*")) - before}
    assert all(name.startswith(("own.db", "all.db")) for name in named), named
    assert not list(tmp_path.rglob("*escaped*"))
    records = [json.loads(line) for line in log.read_bytes().split(b"\n") if line]
    assert "forged" not in {record["op"] for record in records}
    told = {record["session_id"] for record in records if "session_id" in record}
    assert told == {"plain", *(name if len(name) <= 300 else name[:299] + "…" for name in NAMES)}
    # What the process writes of its own holds none either that could end a line.
    assert "\x1b[31m" not in (tmp_path / "output").read_text()
    assert '{"op": "forged"}' not in (tmp_path / "output").read_text().splitlines()
