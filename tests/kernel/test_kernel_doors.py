"""Every operation through every door that serves it: shell, subshell, control, comm."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from stock_client import Stock, check_error

from snakekernel.commands.table import BUILTINS

pytestmark = pytest.mark.kernel

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(params=["shell", "subshell"])
def ok(request: pytest.FixtureRequest, stock: Stock) -> Ask:
    """Asks through the shell or a subshell; the request must go well."""
    if request.param == "shell":
        return stock.ok
    subshell_id = request.getfixturevalue("subshell")
    return lambda op, content=None: stock.ok(op, content, subshell_id=subshell_id)


@pytest.fixture
def name() -> str:
    """A name nobody else uses; ids may hold any character."""
    return f"an object.{uuid.uuid4().hex[:8]} ✓"


class TestShellAndSubshell:
    def test_call(self, ok: Ask) -> None:
        reply = ok("call", {"target": "operator.add", "args": [2, 3]})
        assert reply["result"] == {"type": "int", "module": "builtins", "value": 5}
        assert reply["target"] == "operator.add"
        assert reply["stored_as"] is None

    def test_call_store_as(self, ok: Ask, name: str) -> None:
        reply = ok("call", {"target": "builtins.dict", "kwargs": {"a": 1}, "store_as": name})
        assert reply["stored_as"] == name
        assert "value" not in reply["result"]  # with store_as, a preview
        assert ok("retrieve", {"id": name})["object"]["value"] == {"a": 1}

    @pytest.mark.parametrize(
        ("returns", "keys"),
        [
            ("auto", {"value"}),
            ("value", {"value"}),
            ("preview", {"string_repr", "truncated"}),
            ("ref", {"value"}),
        ],
    )
    def test_call_returns(self, ok: Ask, returns: str, keys: set[str]) -> None:
        result = ok("call", {"target": "builtins.list", "args": [[1, 2]], "returns": returns})["result"]
        assert (result["type"], result["module"]) == ("list", "builtins")
        assert keys <= set(result)
        if returns == "ref":
            assert ok("call", {"target": "builtins.sum", "args": [result["value"]]})["result"]["value"] == 3

    def test_call_returns_none(self, ok: Ask) -> None:
        assert ok("call", {"target": "builtins.len", "args": ["ab"], "returns": "none"})["result"] is None

    def test_store_and_retrieve(self, ok: Ask, name: str) -> None:
        value = {"$tuple": [1, {"$float": "nan"}, {"$dict": [[1, 2]]}]}
        assert ok("store", {"id": name, "value": value})["stored_objects"] >= 1
        assert ok("retrieve", {"id": name})["object"]["value"] == value
        assert ok("retrieve", {"target": ["stored", name, 2, 1]})["object"]["value"] == 2

    def test_list_delete_rename(self, ok: Ask, name: str) -> None:
        ok("store", {"id": name, "value": 1})
        listed = ok("list_stored", {"prefix": name})
        assert listed["stored_objects"] == [name]
        assert listed["count"] == 1
        (entry,) = listed["objects"]
        assert (entry["name"], entry["type"], entry["module"]) == (name, "int", "builtins")
        assert entry["created"] <= entry["last_used"]
        ok("rename_stored", {"id": name, "to": name + "2"})
        assert ok("list_stored", {"prefix": name})["stored_objects"] == [name + "2"]
        ok("delete_stored", {"id": name + "2"})
        after = ok("list_stored", {"prefix": name})
        assert after["stored_objects"] == []
        assert after["version"] > listed["version"]

    def test_list_pages(self, ok: Ask, name: str) -> None:
        for index in range(5):
            ok("store", {"id": f"{name}{index}", "value": index})
        page = ok("list_stored", {"prefix": name, "offset": 1, "limit": 2})
        assert page["stored_objects"] == [f"{name}1", f"{name}2"]
        assert page["count"] == 5

    def test_share(self, ok: Ask, name: str) -> None:
        ok("store", {"id": name, "value": [1], "session_id": f"from {name}"})
        ok("create_session", {"session_id": f"to {name}"})
        ok("share", {"id": name, "to": f"to {name}", "session_id": f"from {name}"})
        assert ok("retrieve", {"id": name, "session_id": f"to {name}"})["object"]["value"] == [1]
        ok("share", {"id": name, "to": None, "session_id": f"to {name}"})
        assert ok("retrieve", {"id": name})["object"]["value"] == [1]

    def test_set(self, ok: Ask, name: str) -> None:
        ok("store", {"id": name, "value": {"a": [1, 2]}})
        ok("set", {"target": ["stored", name, "b"], "value": 5})
        ok("set", {"target": ["stored", name, "a", 1], "value": {"$tuple": []}})
        assert ok("retrieve", {"id": name})["object"]["value"] == {"a": [1, {"$tuple": []}], "b": 5}
        ok("set", {"target": "user.from_outside", "value": 7})
        assert ok("call", {"target": "user.from_outside"})["result"]["value"] == 7

    def test_set_an_attribute(self, ok: Ask, name: str) -> None:
        ok("call", {"target": "types.SimpleNamespace", "kwargs": {"x": 1}, "store_as": name})
        ok("set", {"target": ["stored", name, "x"], "value": 2})
        assert ok("retrieve", {"target": ["stored", name, {"attr": "x"}]})["object"]["value"] == 2

    def test_table(self, ok: Ask, name: str) -> None:
        ok(
            "call",
            {"target": "pandas.DataFrame", "args": [{"a": [1, 2, 3], "b": [4, 5, 6]}], "store_as": name},
        )
        page = ok("table", {"target": ["stored", name], "rows": [1, 3], "columns": [1, 2]})
        assert [column["name"] for column in page["columns"]] == ["b"]
        assert (page["total_rows"], page["total_columns"]) == (3, 2)
        assert page["rows"] == [1, 3]
        assert page["column_range"] == [1, 2]
        assert page["data"] == [[5, 6]]

    def test_pipeline(self, ok: Ask, name: str) -> None:
        reply = ok(
            "pipeline",
            {
                "steps": [
                    {"target": "builtins.list", "args": [[3, 1, 2]], "store_as": name},
                    {"target": "builtins.sorted", "args": [{"$step": 0}]},
                    {"op": "store", "id": name + "2", "value": {"deep": [{"$step": [1, 0]}]}},
                    {"op": "inspect", "target": ["stored", name + "2"]},
                    {"op": "ping"},
                ]
            },
        )
        assert reply["steps_completed"] == 5
        first, second, third, fourth, fifth = reply["pipeline_results"]
        assert first["stored_as"] == name
        assert second["result"]["value"] == [1, 2, 3]
        assert third["message"]
        assert fourth["inspection"]["type"] == "dict"
        assert fifth["bridge_type"]
        assert ok("retrieve", {"id": name + "2"})["object"]["value"] == {"deep": [1]}

    def test_inspect(self, ok: Ask) -> None:
        inspection = ok("inspect", {"target": "json.dumps"})["inspection"]
        assert inspection["callable"] is True
        assert inspection["signature"].startswith("(obj, *, skipkeys=False")
        assert inspection["docstring"].startswith("Serialize")
        assert inspection["module"] == "builtins"  # a function's class

    def test_inspect_imports_what_is_not_imported(self, ok: Ask) -> None:
        assert ok("inspect", {"target": "xml.dom.minidom.parseString"})["inspection"]["callable"] is True

    def test_inspect_pages_children(self, ok: Ask, name: str) -> None:
        ok("store", {"id": name, "value": list(range(100))})
        inspection = ok("inspect", {"target": ["stored", name], "offset": 98, "limit": 5})["inspection"]
        assert (inspection["length"], inspection["total"]) == (100, 100)
        assert [child["string_repr"] for child in inspection["children"]] == ["98", "99"]

    def test_ping(self, ok: Ask) -> None:
        first, second = ok("ping"), ok("ping")
        assert first["bridge_type"] == "snakekernel"
        assert {"dspy", "sklearn"} <= set(first["frameworks_available"])
        assert second["requests_handled"] > first["requests_handled"]
        assert second["uptime"] >= first["uptime"] > 0
        assert second["stored_objects"] >= 0
        assert first["epoch"] == second["epoch"]

    def test_configure_without_plugin(self, ok: Ask) -> None:
        # bdb has no plugin and no configure; threading neither: a module of our own making has one.
        ok("call", {"target": "builtins.exec", "args": [_MODULE_WITH_CONFIGURE, {}]})
        ok("configure", {"framework": "made_here", "config": {"level": {"$tuple": [3]}}})
        assert ok("call", {"target": "made_here.configured"})["result"]["value"] == {"level": {"$tuple": [3]}}

    def test_sessions(self, ok: Ask, name: str) -> None:
        made = ok("create_session", {"session_id": name, "ttl": 1000})
        assert made["session_id"] == name
        assert made["expires_at"] > made["timestamp"]
        ok("store", {"id": "mine", "value": 1, "session_id": name})
        (session,) = ok("list_sessions", {"session_id": name})["sessions"]
        assert (session["session_id"], session["ttl"], session["stored_objects"]) == (name, 1000, 1)
        assert ok("close_session", {"session_id": name})["stored_objects"] == 1
        assert ok("list_sessions", {"session_id": name})["count"] == 0

    def test_create_session_names_it(self, ok: Ask) -> None:
        first, second = ok("create_session"), ok("create_session")
        assert first["session_id"] != second["session_id"]

    def test_common_fields(self, ok: Ask) -> None:
        reply = ok("call", {"target": "builtins.len", "args": [""], "client": {"anything": ["goes"]}})
        assert isinstance(reply["timestamp"], float)
        assert reply["epoch"]
        assert reply["output"] == 0


_MODULE_WITH_CONFIGURE = """
import sys, types
module = sys.modules["made_here"] = types.ModuleType("made_here")
module.configured = {}
module.configure = lambda **config: module.configured.update(config)
"""


def test_subshells_run_beside_the_main_shell(stock: Stock, subshell: str) -> None:
    """A call on a subshell ends what the main shell waits for."""
    stock.ok("call", {"target": "threading.Event", "store_as": "gate"})
    waiting = stock.send("call", {"target": "stored.gate.wait", "args": [30]})
    stock.ok("call", {"target": "stored.gate.set"}, subshell_id=subshell)
    assert stock.only_reply(waiting)["content"]["result"]["value"] is True


class TestControl:
    def test_the_operations_named_for_it(self) -> None:
        assert {op for op, command in BUILTINS.items() if command.control} == {
            "ping",
            "list_stored",
            "list_variables",
            "delete_stored",
            "rename_stored",
            "list_sessions",
            "inspect",
            "cancel",
            "outcome",
            "attach",
            "credit",
            "watch",
            "table",
            "summarize",
            "preview",
            "renew",
            "open_subshells",
            "close_subshells",
            "unpublish",
        }

    def test_list_rename_delete(self, stock: Stock, name: str) -> None:
        stock.ok("store", {"id": name, "value": [1]})
        listed = stock.ok("list_stored", {"prefix": name}, channel="control")
        assert listed["objects"][0]["type"] == "list"
        stock.ok("rename_stored", {"id": name, "to": name + "2"}, channel="control")
        stock.ok("delete_stored", {"id": name + "2"}, channel="control")
        assert stock.ok("list_stored", {"prefix": name}, channel="control")["count"] == 0

    def test_ping_and_sessions(self, stock: Stock) -> None:
        assert stock.ok("ping", channel="control")["epoch"] == stock.ok("ping")["epoch"]
        assert isinstance(stock.ok("list_sessions", channel="control")["sessions"], list)

    def test_inspect(self, stock: Stock, name: str) -> None:
        stock.ok("store", {"id": name, "value": {"a": [1, 2]}})
        inspection = stock.ok("inspect", {"target": ["stored", name, "a", 1]}, channel="control")[
            "inspection"
        ]
        assert (inspection["type"], inspection["string_repr"]) == ("int", "2")

    def test_cancel_wants_one_name(self, stock: Stock) -> None:
        for channel in ("shell", "control"):
            for names in ({}, {"msg_id": "a", "call_id": "b"}):
                reply = stock.fails("cancel", names, channel=channel)
                assert reply["code"] == "invalid_request"

    @pytest.mark.parametrize("op", sorted(op for op, c in BUILTINS.items() if not c.control))
    def test_other_operations_name_the_shell(self, stock: Stock, op: str) -> None:
        reply = stock.fails(op, {"target": "builtins.len"}, channel="control")
        assert (reply["code"], reply["fault"]) == ("unknown_operation", "caller")
        assert "shell" in reply["error"]


class Comm:
    """A front-end that can send only comm messages."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.comm_id = uuid.uuid4().hex
        self._numbers = itertools.count()
        stock.send("comm_open", {"comm_id": self.comm_id, "target_name": "snakekernel", "data": {}})

    def send(self, data: Any, buffers: Any = ()) -> list[dict[str, Any]]:
        """All answers to one comm message, a task's too."""
        msg_id = self.stock.send("comm_msg", {"comm_id": self.comm_id, "data": data}, buffers=buffers)

        def answers() -> list[dict[str, Any]]:
            came = [m for m in self.stock.messages["iopub"] if m["msg_type"] == "comm_msg"]
            mine = [m for m in came if m["parent_header"].get("msg_id") == msg_id]
            return [m for m in mine if "content" in m["content"]["data"]]

        self.stock.outputs(msg_id)
        self.stock.until(lambda: bool(answers()), "an answer")
        return answers()

    def ask(self, op: Any, content: Any = None) -> dict[str, Any]:
        """The content of the one answer, which carries our id."""
        number = next(self._numbers)
        (answer,) = self.send({"op": op, "content": content or {}, "id": number})
        assert answer["content"]["comm_id"] == self.comm_id
        assert answer["content"]["data"]["id"] == number
        return dict(answer["content"]["data"]["content"])


@pytest.fixture(scope="module")
def comm(stock: Stock) -> Comm:
    return Comm(stock)


class TestComm:
    def test_inspector_operations(self, comm: Comm, stock: Stock, name: str) -> None:
        stock.ok("store", {"id": name, "value": [1, 2, 3]})
        assert comm.ask("ping")["status"] == "ok"
        assert comm.ask("list_stored", {"prefix": name})["stored_objects"] == [name]
        assert comm.ask("inspect", {"target": ["stored", name]})["inspection"]["length"] == 3
        assert comm.ask("list_sessions")["status"] == "ok"
        assert comm.ask("rename_stored", {"id": name, "to": name + "2"})["status"] == "ok"
        assert comm.ask("delete_stored", {"id": name + "2"})["status"] == "ok"
        assert comm.ask("cancel", {"msg_id": "no such"})["state"] == "unknown"

    def test_table(self, comm: Comm, stock: Stock, name: str) -> None:
        stock.ok("call", {"target": "pandas.DataFrame", "args": [{"a": [1, 2]}], "store_as": name})
        assert comm.ask("table", {"target": ["stored", name]})["data"] == [[1, 2]]

    def test_table_as_arrow_comes_with_its_buffer(self, comm: Comm, stock: Stock, name: str) -> None:
        stock.ok("call", {"target": "pandas.DataFrame", "args": [{"a": [1, 2]}], "store_as": name})
        data = {"op": "table", "content": {"target": ["stored", name], "format": "arrow"}, "id": 1}
        (answer,) = comm.send(data)
        assert answer["content"]["data"]["content"]["status"] == "ok"
        assert len(answer["buffers"]) == 1

    def test_inspect_runs_user_code_where_asked_to(self, comm: Comm, stock: Stock, name: str) -> None:
        stock.cell("class Shy:\n def __repr__(self): return 'here I am'")
        stock.ok("call", {"target": "user.Shy", "store_as": name})
        asked = {"target": ["stored", name]}
        assert comm.ask("inspect", asked)["inspection"]["string_repr"] == "<Shy object>"
        asked["run_code"] = True
        assert comm.ask("inspect", asked)["inspection"]["string_repr"] == "here I am"

    @pytest.mark.parametrize("op", sorted(op for op, c in BUILTINS.items() if not (c.control or c.comm)))
    def test_other_operations_are_refused(self, comm: Comm, op: str) -> None:
        reply = comm.ask(op, {"target": "builtins.len"})
        check_error(reply)
        assert reply["code"] == "unknown_operation"

    @pytest.mark.parametrize("data", [None, 5, "text", [], {}, {"op": 5}, {"op": "ping", "content": [1]}])
    def test_malformed_data(self, comm: Comm, data: Any) -> None:
        (answer,) = comm.send(data)
        reply = answer["content"]["data"]["content"]
        check_error(reply)
        assert reply["code"] == "invalid_request"
        assert comm.ask("ping")["status"] == "ok"

    @pytest.mark.parametrize("op", ["", "nonsense", "ping_request", "snake_ping_request", "é" * 10])
    def test_unknown_operations(self, comm: Comm, op: str) -> None:
        assert comm.ask(op)["code"] == "unknown_operation"

    def test_bad_content(self, comm: Comm) -> None:
        reply = comm.ask("inspect", {"target": "builtins.len", "offset": -1})
        assert (reply["code"], reply["at"]) == ("invalid_request", "$.offset")

    def test_an_answer_goes_to_its_own_comm(self, comm: Comm, stock: Stock) -> None:
        other = Comm(stock)
        assert other.ask("ping")["status"] == "ok"
        assert comm.ask("ping")["status"] == "ok"
