"""Every subcommand against a running kernel: what people see, and the documents that programs read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from command_lines import Run

from snakekernel import Client

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["math.hypot", "3", "4"], "5.0"),
        (["math.pi"], "3.141592653589793"),
        (["builtins.str", "[1, null, true]"], "[1, None, True]"),
        (["builtins.repr", "plain words"], "'plain words'"),
        (["builtins.repr", '"4"'], "'4'"),
        (["builtins.repr", "NaN"], "'NaN'"),
        (["builtins.repr", "1e999"], "'1e999'"),
        (["builtins.dict", "a=1", "b=two", 'c={"d": [3]}'], "{'a': 1, 'b': 'two', 'c': {'d': [3]}}"),
        (["builtins.dict", "--kwargs", '{"a b": 1}', "c=2"], "{'a b': 1, 'c': 2}"),
        (["builtins.repr", '"a=b"'], "'a=b'"),
        (["builtins.sum", '{"$tuple": [1, 2]}'], "3"),
        (["math.fabs", "-2.5"], "2.5"),
        (["--", "builtins.repr", "--json"], "'--json'"),
        (['["builtins", "len"]', "abc"], "3"),
        (["builtins.repr", '{"$int": "123456789012345678901234567890"}'], "123456789012345678901234567890"),
        (["--", "math.fabs", "-1e3"], "1000.0"),
        (["builtins.len", '"\\ud800"'], "1"),
        (["builtins.ascii", "undecodable \udcff"], "'undecodable \\udcff'"),
        (["builtins.str", "ü …"], "ü …"),
        (["numpy.arange", "3"], "[0 1 2]"),
        (["builtins.complex", "1", "2"], "(1+2j)"),
        (["builtins.str", "[bold]no markup[/bold]"], "[bold]no markup[/bold]"),
    ],
)
def test_call_reads_words_as_data(kernel: Client, run: Run, words: list[str], shown: str) -> None:
    ran = run("call", "--existing", *words)
    assert (ran.status, ran.out.rstrip("\n"), ran.err) == (0, shown, "")


def test_call_as_a_document(kernel: Client, run: Run) -> None:
    document = run("call", "math.hypot", "3", "--json", "4", "--existing").document
    assert document["status"] == "ok"
    assert document["result"] == {"type": "float", "module": "builtins", "value": 5.0}
    assert document["epoch"] == kernel.ping()["epoch"]
    assert "note" not in document


def test_what_json_cannot_hold_is_noted(kernel: Client, run: Run) -> None:
    document = run("call", "numpy.arange", "3", "--existing", "--json").document
    assert document["result"]["value"]["$ndarray"]["shape"] == [3]
    assert document["note"] == "1 binary buffers (24 bytes) are left out of this document."


def test_call_stores_and_describes(kernel: Client, run: Run) -> None:
    ran = run("call", "--existing", "collections.Counter", "hello", "--store-as=counter")
    assert ran.status == 0
    assert "stored as counter" in ran.out
    assert "collections.Counter" in ran.out
    assert "'l': 2" in ran.out
    assert run("call", "--existing", "stored.counter.total").out == "5\n"
    assert run("call", "--existing", "builtins.len", '{"$ref": "counter"}').out == "4\n"
    assert run("call", "--existing", "builtins.object", "--returns=none").out == ""
    assert "stored.~" in run("call", "--existing", "builtins.object", "--returns=ref").out


def test_an_outcome_is_fetched_by_its_id(kernel: Client, run: Run) -> None:
    words = ("call", "--existing", "uuid.uuid4", "--call-id=of a line")
    first = run(*words)
    assert (first.status, run(*words).out) == (0, first.out)
    assert run("outcome", "--existing", "of a line").out == first.out
    document = run("outcome", "--existing", "of a line", "--json").document
    assert document["result"]["type"] == "UUID"
    run("call", "--existing", "math.sqrt", "[]", "--call-id=failed")
    ran = run("outcome", "--existing", "failed", "--json")
    assert (ran.status, ran.document["ename"]) == (1, "TypeError")
    assert run("outcome", "--existing", "never seen", "--json").document["code"] == "not_found"


def test_output_of_a_call_is_passed_on(kernel: Client, run: Run) -> None:
    ran = run("call", "--existing", "builtins.print", "hello")
    assert (ran.out, ran.err) == ("hello\nNone\n", "")
    ran = run("call", "--existing", "builtins.print", "hello", "--json")
    assert (ran.document["result"]["value"], ran.err) == (None, "hello\n")
    ran = run("call", "--existing", "warnings.warn", "careful", "--returns=none")
    assert ran.out == ""
    assert "careful" in ran.err


def test_a_streams_items_are_printed_one_a_line(kernel: Client, run: Run) -> None:
    assert run("call", "--existing", "--stream", "builtins.range", "3").out == "0\n1\n2\n"
    ran = run("call", "--existing", "--stream", "--json", "itertools.repeat", '{"a": 1}', "2")
    assert [json.loads(line)["value"] for line in ran.out.splitlines()] == [{"a": 1}, {"a": 1}]
    ran = run("call", "--existing", "--stream", "builtins.len", "abc")
    assert ran.status == 1
    kernel.call("builtins.eval", args=["(1 / n for n in (1, 0))"], store_as="inverses")
    ran = run("call", "--existing", "--stream", "stored.inverses")
    assert (ran.status, ran.out) == (1, "1.0\n")
    assert "division by zero" in ran.err


def test_saving_and_restoring(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAKEKERNEL_DURABLE_FOLDER", str(tmp_path))
    with Client.start(durable="own") as client:
        where = f"--existing={client.connection_file}"
        assert run("store", where, "kept", "1", "--durable").status == 0
        assert run("execute", where, "call", '{"target": "threading.Lock", "store_as": "lock"}').status == 0
        saved = run("checkpoint", where, "evening")
        assert "1 saved" in saved.out
        assert "not saved: lock: TypeError" in saved.out
        assert run("delete", where, "kept").status == 0
        assert run("restore", where, "--json", "evening", "kept").document["restored"] == ["kept"]
        assert "not restored: kept" in run("restore", where, "evening").out
        assert run("restore", where, "evening", "--overwrite").out.startswith("1 restored")
        path = str(tmp_path / "another.db")
        assert run("checkpoint", where, "--json", path, "kept").document["path"] == path
        refused = run("restore", where, "./nothing.db", "--json")
        assert (refused.status, refused.document["code"]) == (1, "not_found")


def test_the_life_of_an_object(kernel: Client, run: Run) -> None:
    assert run("store", "--existing", "settings", '{"rate": 0.1}').out == "Object stored as 'settings'\n"
    assert run("retrieve", "--existing", "settings").out == "{'rate': 0.1}\n"
    assert run("retrieve", "--existing", "stored.settings.rate").out == "0.1\n"
    assert run("retrieve", "--existing", '["stored", "settings", "rate"]').out == "0.1\n"
    listed = run("list", "--existing", "sett").out
    assert "settings" in listed
    assert "dict" in listed
    assert "1 of 1 objects" in listed
    document = run("list", "--existing", "--json", "sett").document
    assert document["stored_objects"] == ["settings"]
    assert run("list", "--existing", "--json", "--limit=0").document["stored_objects"] == []
    renamed = run("execute", "rename_stored", '{"id": "settings", "to": "kept"}', "--existing")
    assert renamed.status == 0
    assert "kept" in renamed.out
    assert run("delete", "--existing", "kept").out == "Object 'kept' deleted\n"
    gone = run("retrieve", "--existing", "kept", "--json")
    assert (gone.status, gone.document["code"]) == (1, "not_found")


def test_sessions_keep_objects_apart(kernel: Client, run: Run) -> None:
    assert run("store", "--existing", "--session=mine", "x", "1").status == 0
    assert run("retrieve", "--existing", "--session=mine", "x").out == "1\n"
    assert run("retrieve", "--existing", "x").status == 1
    assert run("list", "--existing", "--session=mine", "--json").document["stored_objects"] == ["x"]
    assert run("delete", "--existing", "--session=mine", "x").status == 0


def test_ttl(kernel: Client, run: Run) -> None:
    assert run("store", "--existing", "brief", "1", "--ttl=100").status == 0
    refused = run("store", "--existing", "brief", "1", "--ttl=-1", "--json")
    assert refused.document["code"] == "invalid_request"
    assert refused.document["at"] == "$.ttl"


def test_inspect(kernel: Client, run: Run) -> None:
    shown = run("inspect", "--existing", "json.dumps").out
    assert "signature" in shown
    assert "Serialize ``obj``" in shown
    kernel.store("list", [1, "two"])
    shown = run("inspect", "--existing", "stored.list", "--channel=control", "--limit=1").out
    assert "children (1 of 2)" in shown
    document = run("inspect", "--existing", "--json", "stored.list").document
    assert document["inspection"]["length"] == 2


def test_ping(kernel: Client, run: Run) -> None:
    assert "snakekernel" in run("ping", "--existing").out
    assert run("ping", "--existing", "--json").document["bridge_type"] == "snakekernel"


PIPELINE = [
    {"target": "math.sqrt", "args": [16]},
    {"target": "operator.add", "args": [{"$step": 0}, 1], "store_as": "five"},
    {"op": "store", "id": "six", "value": 6},
    {"op": "retrieve", "id": "six"},
]


def test_pipelines_from_a_file_and_from_stdin(
    kernel: Client, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "steps.json"
    file.write_text(json.dumps(PIPELINE))
    shown = run("pipeline", "--existing", str(file)).out.splitlines()
    assert shown[:2] == ["0  call math.sqrt", "4.0"]
    assert "stored as five" in shown
    assert shown[-2:] == ["3  retrieve six", "6"]
    for words in ((), ("-",)):
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"steps": PIPELINE})))
        document = run("pipeline", "--existing", "--json", *words).document
        assert document["steps_completed"] == 4


def test_a_failing_pipeline(kernel: Client, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "steps.json"
    file.write_text(json.dumps([PIPELINE[0], {"target": "math.sqrt", "args": [-1]}, PIPELINE[3]]))
    ran = run("pipeline", "--existing", "--json", str(file))
    assert ran.status == 1
    assert ran.document["step"] == 1
    assert len(ran.document["completed_steps"]) == 1
    ran = run("pipeline", "--existing", str(file), "--keep-going")
    assert ran.status == 0
    assert "error [raised] ValueError: math domain error" in ran.out
    assert ran.out.splitlines()[-1] == "6"


def test_values_from_stdin(kernel: Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"from": "stdin"}'))
    assert run("store", "--existing", "piped", "-").status == 0
    assert kernel.retrieve("piped") == {"from": "stdin"}
    monkeypatch.setattr("sys.stdin", io.StringIO('{"target": "math.sqrt", "args": [4]}'))
    assert run("execute", "--existing", "call", "-", "--json").document["result"]["value"] == 2.0


def test_existing_takes_a_file_or_an_id(kernel: Client, run: Run) -> None:
    file = Path(kernel.connection_file or "")
    for name in (str(file), file.stem.removeprefix("kernel-"), file.name):
        assert run("ping", f"--existing={name}", "--json").document["epoch"] == kernel.ping()["epoch"]


def test_existing_passes_over_dead_and_broken_connection_files(kernel: Client, run: Run) -> None:
    folder = Path(kernel.connection_file or "").parent
    details = json.loads(Path(kernel.connection_file or "").read_text())
    (folder / "kernel-dead.json").write_text(json.dumps({**details, "ip": details["ip"] + "-gone"}))
    (folder / "kernel-dead-tcp.json").write_text(
        json.dumps({**details, "transport": "tcp", "ip": "127.0.0.1", "control_port": 1})
    )
    (folder / "kernel-broken.json").write_text("{")
    (folder / "kernel-empty.json").write_text("{}")
    try:
        assert run("ping", "--existing", "--json").document["epoch"] == kernel.ping()["epoch"]
    finally:
        for name in ("dead", "dead-tcp", "broken", "empty"):
            (folder / f"kernel-{name}.json").unlink()


def test_a_fresh_kernel_where_none_is_named(run: Run) -> None:
    assert run("call", "operator.add", "2", "3").out == "5\n"
