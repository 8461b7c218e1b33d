"""The documentation builds without a warning, says what the types say, and its links lead somewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from blocks import ROOT, pages

from snakekernel.testing import protocol
from snakekernel.wire.names import PROTOCOL_VERSION

COMMITTED = ROOT / "docs" / "protocol.json"


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-E",
        "-d",
        str(tmp_path / "trees"),
    ]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(tmp_path / "html")], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "reference" / "protocol.html").read_text(encoding="utf-8")
    assert "snake_rename_stored_request" in page


def test_protocol_json_is_what_the_types_say() -> None:
    assert protocol.main(["--check", str(COMMITTED)]) == 0, "see the diff above"


def test_a_change_of_the_wire_is_shown_as_a_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stale = tmp_path / "protocol.json"
    stale.write_text(COMMITTED.read_text(encoding="utf-8").replace('"string_refs"', '"stringrefs"'))
    assert protocol.main(["--check", str(stale)]) == 1
    shown = capsys.readouterr()
    assert '-        "stringrefs": {' in shown.out
    assert '+        "string_refs": {' in shown.out
    assert f"--write {stale}" in shown.err
    assert protocol.main(["--check", str(tmp_path / "missing.json")]) == 1


def test_protocol_json_says_where_operations_are_served() -> None:
    data = json.loads(COMMITTED.read_text(encoding="utf-8"))
    served = {op: row["channels"] for op, row in data["operations"].items()}
    assert data["protocol_version"] == PROTOCOL_VERSION
    on_control = {op for op, channels in served.items() if channels["control"]}
    assert on_control == {
        "ping",
        "list_stored",
        "delete_stored",
        "rename_stored",
        "list_sessions",
        "inspect",
        "cancel",
        "attach",
        "unpublish",
        "renew",
        "credit",
        "outcome",
        "open_subshells",
        "close_subshells",
        "list_variables",
        "watch",
        "table",
        "summarize",
        "preview",
    }
    assert {op for op, channels in served.items() if channels["comm"]} == on_control
    assert {op for op, row in data["operations"].items() if row["task"]} == {
        "inspect",
        "table",
        "summarize",
        "preview",
    }
    assert data["operations"]["create_program"]["plugin"] == "dspy"
    assert data["errors"]["raised"]["fault"] == "target"


def test_every_reference_in_protocol_json_has_its_schema() -> None:
    data = json.loads(COMMITTED.read_text(encoding="utf-8"))
    references = re.findall(r'"\$ref": "#/\$defs/([^"]+)"', COMMITTED.read_text(encoding="utf-8"))
    assert references
    assert set(references) <= set(data["$defs"])
    for name, schema in data["$defs"].items():
        if name.removesuffix("_request") in data["operations"]:
            # Unknown fields are refused, and another language's validator must know it.
            assert schema["additionalProperties"] is False, name
            assert msgspec.json.encode(schema)


def test_links_between_pages_lead_somewhere() -> None:
    for page in pages():
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}"
