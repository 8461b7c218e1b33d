"""What goes wrong is one readable line, or one document; never a traceback of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_lines import Run

from snakekernel import Client

pytestmark = pytest.mark.kernel


FIELDS = {"status", "code", "error", "at", "fault", "ename", "evalue", "traceback"}

#: A command line, the code of its error, and words of its message.
BAD: list[tuple[list[str], str, str]] = [
    (["call", "--existing"], "invalid_request", "takes TARGET"),
    (["call", "--existing", "no_such_module.f"], "unresolvable", "no_such_module"),
    (["call", "--existing", "math.sqrt", "-1"], "raised", "ValueError"),
    (["call", "--existing", "math.pi", "1"], "invalid_request", "math.pi"),
    (["call", "--existing", "builtins.len", '{"$ref": "nope"}'], "not_found", "nope"),
    (["call", "--existing", "builtins.len", '{"$nope": 1}'], "invalid_request", "$nope"),
    (["call", "--existing", "builtins.dict", "a=1", "--kwargs", '{"a": 2}'], "invalid_request", "twice"),
    (["call", "--existing", "builtins.dict", "--kwargs", "{"], "invalid_request", "--kwargs"),
    (["call", "--existing", "builtins.dict", "--kwargs", "[]"], "invalid_request", "object"),
    (["call", "--existing", "--returns=nothing", "math.pi"], "invalid_request", "returns"),
    (["call", "--existing", "--timeout=soon", "math.pi"], "invalid_request", "timeout"),
    (["call", "--existing", "--no-such-option=1", "math.pi"], "invalid_request", "--no-such-option"),
    (["call", "--existing", "--no-such-flag", "math.pi"], "invalid_request", "no-such-flag"),
    (["call", "--existing", "time.sleep", "0.3", "--timeout=0.05"], "outcome_unknown", "0.05"),
    (["call", "--existing", "builtins.object", "--returns=value"], "unserializable", ""),
    (["call", "--existing=/no/such/file.json", "math.pi"], "not_found", "/no/such/file.json"),
    (["call", "--kernel=no-such-spec", "math.pi"], "not_found", "no-such-spec"),
    (["store", "--existing", "only-an-id"], "invalid_request", "takes ID VALUE"),
    (["retrieve", "--existing"], "invalid_request", "takes ID"),
    (["retrieve", "--existing", "nope"], "not_found", "nope"),
    (["delete", "--existing"], "invalid_request", "takes ID"),
    (["delete", "--existing", "nope"], "not_found", "nope"),
    (["inspect", "--existing", "stored.nope"], "not_found", "nope"),
    (["inspect", "--existing", "--limit=100000", "math"], "invalid_request", "limit"),
    (["list", "--existing", "a", "b"], "invalid_request", "takes [PREFIX]"),
    (["list", "--existing", "--session=nope"], "not_found", "nope"),
    (["ping", "--existing", "word"], "invalid_request", "no words"),
    (["pipeline", "--existing", "/no/such/file"], "invalid_request", "/no/such/file"),
    (["execute", "--existing", "no_such_operation"], "unknown_operation", "no_such_operation"),
    (["execute", "--existing", "call", "[]"], "invalid_request", "object"),
    (["install", "word"], "invalid_request", "no words"),
    (["install", "--user", "--sys-prefix"], "invalid_request", "one of"),
    (["install", "--provisioner=kube"], "invalid_request", "zygote, sandbox, ray, dask"),
    (["install", "--preload=numpy"], "invalid_request", "--provisioner is missing"),
    (["install", "--provisioner=zygote", "--config", "nope=1"], "invalid_request", "no setting 'nope'"),
    (["install", "--provisioner=zygote", "--config", "idle_timeout=soon"], "invalid_request", "float"),
    (["start", "word"], "invalid_request", "no words"),
    (["--traceback", "ping"], "invalid_request", "snakekernel ping --option"),
    (["start", "--kernel=no-such-spec"], "not_found", "no-such-spec"),
    (["start", "--transport=carrier"], "invalid_request", "transport"),
    (["call", "--existing", "math.fabs", "-1e3"], "invalid_request", "behind --"),
    (["install", "--env", "X"], "invalid_request", "env"),
    (["nonsense"], "invalid_request", "no command 'nonsense'"),
]


@pytest.mark.parametrize(("words", "code", "message"), BAD, ids=lambda value: " ".join(value)[:60])
def test_errors_for_people_and_for_programs(
    kernel: Client, run: Run, words: list[str], code: str, message: str
) -> None:
    ran = run(*words)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"error [{code}] ")
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) == 1

    ran = run(*words, "--json")
    assert ran.status == 1
    assert set(ran.document) >= FIELDS
    assert (ran.document["status"], ran.document["code"]) == ("error", code)
    assert message in ran.document["error"]
    assert ran.err == ""


def test_pipelines_that_are_none(kernel: Client, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "steps.json"
    for text, message in (("{", "not valid JSON"), ("3", "list of steps"), ("[NaN]", "NaN")):
        file.write_text(text)
        ran = run("pipeline", "--existing", "--json", str(file))
        assert ran.document["code"] == "invalid_request"
        assert message in ran.document["error"]
    file.write_bytes(b"\xff\xfe")
    assert "UTF-8" in run("pipeline", "--existing", "--json", str(file)).document["error"]
    file.write_text("[" * 100_000)
    assert "deeply" in run("pipeline", "--existing", "--json", str(file)).document["error"]


def test_the_place_of_the_error_is_told(kernel: Client, run: Run) -> None:
    ran = run("call", "--existing", "builtins.len", '{"$ref": "nope"}')
    assert "(at $.args[0])" in ran.err
    ran = run("call", "--existing", "builtins.len", '{"$ref": "nope"}', "--json")
    assert ran.document["at"] == "$.args[0]"


def test_the_remote_traceback_on_demand(kernel: Client, run: Run) -> None:
    assert "decoder.py" not in run("call", "--existing", "json.loads", '"{"').err
    assert "decoder.py" in run("call", "--existing", "json.loads", '"{"', "--traceback").err
    document = run("call", "--existing", "json.loads", '"{"', "--json").document
    assert "decoder.py" in "".join(document["traceback"])


def test_no_kernel_runs(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    ran = run("ping", "--existing")
    assert (ran.status, ran.out) == (1, "")
    assert "snakekernel start" in ran.err


def test_a_connection_file_that_is_none(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "kernel.json"
    for text in ("{", "[]", json.dumps({"ip": "127.0.0.1"})):
        file.write_text(text)
        assert run("ping", f"--existing={file}", "--json").document["code"] == "invalid_request"


def test_a_kernel_that_dies_of_a_call(run: Run) -> None:
    ran = run("call", "os._exit", "1", "--json")
    assert (ran.status, ran.document["code"]) == (1, "outcome_unknown")
