"""Bad input gets one clear error reply with code, path and fault, and the kernel goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def goes_on(stock: Stock) -> Iterator[None]:
    """After whatever a test sends, the same kernel serves the next call, and a cell."""
    epoch = stock.ok("ping")["epoch"]
    yield
    assert stock.call("operator.add", 1, 2) == 3
    assert stock.ok("ping")["epoch"] == epoch


STEPS = [{"target": "builtins.len", "args": ["ab"]}]

#: op, content, code, at
MALFORMED: list[tuple[str, dict[str, Any], str, str]] = [
    # missing fields
    ("call", {}, "invalid_request", "$"),
    ("store", {"id": "x"}, "invalid_request", "$"),
    ("store", {"value": 1}, "invalid_request", "$"),
    ("retrieve", {}, "invalid_request", "$"),
    ("retrieve", {"id": "x", "target": "stored.x"}, "invalid_request", "$"),
    ("delete_stored", {}, "invalid_request", "$"),
    ("rename_stored", {"id": "x"}, "invalid_request", "$"),
    ("share", {"id": "x"}, "invalid_request", "$"),
    ("set", {"target": "stored.x"}, "invalid_request", "$"),
    ("table", {}, "invalid_request", "$"),
    ("pipeline", {}, "invalid_request", "$"),
    ("inspect", {}, "invalid_request", "$"),
    ("configure", {}, "invalid_request", "$"),
    ("close_session", {}, "invalid_request", "$.session_id"),
    # unknown fields
    ("call", {"target": "builtins.len", "argz": []}, "invalid_request", "$.argz"),
    ("ping", {"verbose": True}, "invalid_request", "$.verbose"),
    ("pipeline", {"steps": [{"target": "builtins.len", "argz": []}]}, "invalid_request", "$.steps[0].argz"),
    # mistyped fields
    ("call", {"target": 5}, "invalid_request", "$.target"),
    ("call", {"target": "builtins.len", "args": {}}, "invalid_request", "$.args"),
    ("call", {"target": "builtins.len", "kwargs": []}, "invalid_request", "$.kwargs"),
    ("call", {"target": "builtins.len", "returns": "all"}, "invalid_request", "$.returns"),
    ("call", {"target": "builtins.len", "string_refs": 1}, "invalid_request", "$.string_refs"),
    ("call", {"target": "builtins.len", "store_as": ""}, "invalid_request", "$.store_as"),
    ("call", {"target": "builtins.len", "session_id": 7}, "invalid_request", "$.session_id"),
    ("call", {"target": "builtins.len", "client": "me"}, "invalid_request", "$.client"),
    ("store", {"id": "", "value": 1}, "invalid_request", "$.id"),
    ("store", {"id": "x", "value": 1, "ttl": 0}, "invalid_request", "$.ttl"),
    ("store", {"id": "x", "value": 1, "ttl": "1"}, "invalid_request", "$.ttl"),
    ("list_stored", {"limit": -1}, "invalid_request", "$.limit"),
    ("list_stored", {"offset": 1.5}, "invalid_request", "$.offset"),
    ("create_session", {"ttl": -1}, "invalid_request", "$.ttl"),
    ("table", {"target": "user.x", "rows": [0]}, "invalid_request", "$.rows"),
    ("table", {"target": "user.x", "rows": [0, "1"]}, "invalid_request", "$.rows[1]"),
    ("table", {"target": "user.x", "sort": [{"column": -1}]}, "invalid_request", "$.sort[0].column"),
    ("table", {"target": "user.x", "sort": [{"column": "a"}]}, "invalid_request", "$.sort[0].column"),
    (
        "table",
        {"target": "user.x", "filter": [{"column": 0, "op": "like"}]},
        "invalid_request",
        "$.filter[0].op",
    ),
    (
        "table",
        {"target": "user.x", "filter": [{"column": 0, "op": "between", "value": 1}]},
        "invalid_request",
        "$.filter[0].value",
    ),
    ("summarize", {"target": "user.x", "bins": 0}, "invalid_request", "$.bins"),
    ("summarize", {"target": "user.x", "sort": []}, "invalid_request", "$.sort"),
    ("pipeline", {"steps": {}}, "invalid_request", "$.steps"),
    ("pipeline", {"steps": [5]}, "invalid_request", "$.steps[0]"),
    ("pipeline", {"steps": [*STEPS, {"target": 5}]}, "invalid_request", "$.steps[1].target"),
    ("pipeline", {"steps": [{"op": 5}]}, "unknown_operation", "$.steps[0].op"),
    ("pipeline", {"steps": [{"op": "pipeline", "steps": []}]}, "invalid_request", "$.steps[0].op"),
    ("pipeline", {"steps": [{**STEPS[0], "session_id": "s"}]}, "invalid_request", "$.steps[0].session_id"),
    # targets
    ("call", {"target": ""}, "invalid_request", "$.target"),
    ("call", {"target": []}, "invalid_request", "$.target"),
    ("call", {"target": "."}, "invalid_request", "$.target"),
    ("call", {"target": "builtins..len"}, "invalid_request", "$.target"),
    ("call", {"target": "builtins.len()"}, "invalid_request", "$.target"),
    ("call", {"target": "stored"}, "invalid_request", "$.target"),
    ("call", {"target": ["stored"]}, "invalid_request", "$.target"),
    ("call", {"target": [5]}, "invalid_request", "$.target"),
    ("call", {"target": ["stored", "x", [1]]}, "invalid_request", "$.target[2]"),
    ("call", {"target": ["stored", "x", {"attr": 5}]}, "invalid_request", "$.target[2]"),
    ("call", {"target": "builtins.lenn"}, "unresolvable", "$.target"),
    ("call", {"target": "no_such_module_here.f"}, "unresolvable", "$.target"),
    ("call", {"target": "os.path.no_such"}, "unresolvable", "$.target"),
    ("call", {"target": "user.no_such_variable"}, "unresolvable", "$.target"),
    ("call", {"target": "stored.no_such"}, "not_found", "$.target"),
    ("call", {"target": "sys.maxsize", "args": [1]}, "invalid_request", "$.target"),
    ("inspect", {"target": "json.no_such"}, "unresolvable", "$.target"),
    ("set", {"target": "sys.path", "value": 1}, "invalid_request", "$.target"),
    ("retrieve", {"target": "os.path"}, "invalid_request", "$.target"),
    # unknown ids and sessions
    ("retrieve", {"id": "no such"}, "not_found", "$.id"),
    ("delete_stored", {"id": "no such"}, "not_found", "$.id"),
    ("rename_stored", {"id": "no such", "to": "x"}, "not_found", "$.id"),
    ("share", {"id": "no such", "to": None}, "not_found", "$.id"),
    ("retrieve", {"id": "x", "session_id": "no such"}, "not_found", "$.session_id"),
    ("list_stored", {"session_id": "no such"}, "not_found", "$.session_id"),
    ("close_session", {"session_id": "no such"}, "not_found", "$.session_id"),
    ("configure", {"framework": "no_such_framework"}, "not_found", "$.framework"),
    ("configure", {"framework": "json"}, "not_found", "$.framework"),
    # data
    ("call", {"target": "builtins.len", "args": [{"$ref": "no such"}]}, "not_found", "$.args[0]"),
    ("call", {"target": "builtins.len", "args": [{"$step": 0}]}, "invalid_request", "$.args[0]"),
    (
        "call",
        {"target": "builtins.len", "args": [[{"$bytes": 0}]]},
        "invalid_request",
        "$.args[0][0]['$bytes']",
    ),
    ("call", {"target": "builtins.len", "kwargs": {"a": {"$nonsense": 1}}}, "invalid_request", "$.kwargs.a"),
    ("store", {"id": "x", "value": [1, {"$int": "one"}]}, "invalid_request", "$.value[1]['$int']"),
    ("store", {"id": "x", "value": {"$tuple": 1, "b": 2}}, "invalid_request", "$.value"),
    ("call", {"target": "builtins.len", "deadline": 0}, "invalid_request", "$.deadline"),
    ("call", {"target": "builtins.len", "concurrent": 1}, "invalid_request", "$.concurrent"),
    ("call", {"target": "builtins.len", "stream": {"credit": 0}}, "invalid_request", "$.stream.credit"),
    ("call", {"target": "builtins.len", "stream": True}, "invalid_request", "$.stream"),
    ("call", {"target": "builtins.len", "lease": 0}, "invalid_request", "$.lease"),
    (
        "call",
        {"target": "builtins.len", "args": [{"$callback": 1}]},
        "invalid_request",
        "$.args[0]['$callback']",
    ),
    ("credit", {"msg_id": "x", "credit": -1}, "invalid_request", "$.credit"),
    ("pull", {"target": "builtins.len", "count": 0}, "invalid_request", "$.count"),
    # not served yet
    ("store", {"id": "x", "value": 1, "durable": True}, "unsupported", "$.durable"),
    ("create_session", {"quota": {"objects": -1}}, "invalid_request", "$.quota.objects"),
]


@pytest.mark.parametrize(("op", "content", "code", "at"), MALFORMED, ids=lambda v: str(v)[:60])
def test_malformed(stock: Stock, op: str, content: dict[str, Any], code: str, at: str) -> None:
    reply = stock.fails(op, content)
    assert (reply["code"], reply["at"]) == (code, at), reply
    assert reply["fault"] == "caller"


@pytest.mark.parametrize("op", ["nonsense", "stop", "call_request_request", "a" * 300])
def test_unknown_operation(stock: Stock, op: str) -> None:
    for channel in ("shell", "control"):
        reply = stock.fails(f"snake_{op}_request", {"anything": 1}, channel=channel)
        assert (reply["code"], reply["fault"]) == ("unknown_operation", "caller")
        assert "Served: " in reply["error"]


@pytest.mark.parametrize("msg_type", ["snake_call_reply", "snake_", "snake_changed_reply", "snake__request"])
def test_messages_that_are_no_requests(stock: Stock, msg_type: str) -> None:
    msg_id, frames = stock.frames(msg_type)
    stock.send_frames(frames)
    assert stock.only_reply(msg_id)["content"]["code"] == "unknown_operation"


@pytest.fixture(scope="module")
def raisers(stock: Stock) -> None:
    """A function that raises what it is told, and hostile exceptions."""
    stock.cell(
        "import builtins\n"
        "def throw(name, *args):\n"
        "    raise getattr(builtins, name)(*args)\n"
        "async def throw_later(name, *args):\n"
        "    import asyncio\n"
        "    await asyncio.sleep(0)\n"
        "    raise getattr(builtins, name)(*args)\n"
        "class Mute(Exception):\n"
        "    def __str__(self): raise RuntimeError('no text')\n"
        "    __repr__ = __str__\n"
        "class Fatal(BaseException):\n"
        "    def __str__(self): raise SystemExit(3)\n"
        "    __repr__ = __str__\n"
        "def mute(): raise Mute()\n"
        "def fatal(): raise Fatal()\n"
    )


@pytest.mark.usefixtures("raisers")
class TestWhatTargetsRaise:
    @pytest.mark.parametrize("route", ["shell", "subshell"])
    @pytest.mark.parametrize("thrower", ["user.throw", "user.throw_later"])
    @pytest.mark.parametrize(
        "name",
        ["ValueError", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "StopIteration", "MemoryError"],
    )
    def test_any_exception(self, stock: Stock, subshell: str, route: str, thrower: str, name: str) -> None:
        where = {"subshell_id": subshell} if route == "subshell" else {}
        reply = stock.fails("call", {"target": thrower, "args": [name, "what I said"]}, **where)
        assert (reply["code"], reply["fault"]) == ("raised", "target")
        if (thrower, name) == ("user.throw_later", "StopIteration"):
            name = "RuntimeError"  # Python's own rule for coroutines
        assert reply["ename"] == name
        if name != "RuntimeError":
            assert reply["evalue"] == "what I said"
        assert "in throw" in "\n".join(reply["traceback"])
        assert "snakekernel" not in "\n".join(reply["traceback"]), "user frames only"

    @pytest.mark.parametrize("target", ["mute", "fatal"])
    def test_hostile_exceptions(self, stock: Stock, target: str) -> None:
        reply = stock.fails("call", {"target": f"user.{target}"})
        assert (reply["code"], reply["ename"]) == ("raised", target.capitalize())
        assert "cannot be had" in reply["evalue"]

    def test_cancelled_error_is_no_interrupt(self, stock: Stock) -> None:
        stock.cell("import asyncio\nasync def give_up(): raise asyncio.CancelledError('mine')")
        reply = stock.fails("call", {"target": "user.give_up"})
        assert (reply["code"], reply["ename"]) == ("raised", "CancelledError")

    def test_in_a_pipeline(self, stock: Stock) -> None:
        steps = [*STEPS, {"target": "user.throw", "args": ["SystemExit", "bye"]}, *STEPS]
        reply = stock.fails("pipeline", {"steps": steps})
        assert (reply["code"], reply["step"], reply["ename"]) == ("raised", 1, "SystemExit")
        assert [done["result"]["value"] for done in reply["completed_steps"]] == [2]
        assert reply["step_result"]["code"] == "raised"
        assert reply["error"].startswith("Pipeline failed at step 1")

    def test_a_pipeline_that_goes_on(self, stock: Stock) -> None:
        steps = [{"target": "user.throw", "args": ["ValueError", "x"]}, *STEPS]
        reply = stock.ok("pipeline", {"steps": steps, "stop_on_error": False})
        assert reply["steps_completed"] == 1
        first, second = reply["pipeline_results"]
        assert (first["status"], first["code"], first["ename"]) == ("error", "raised", "ValueError")
        assert second["result"]["value"] == 2

    def test_a_later_step_cannot_use_a_failed_one(self, stock: Stock) -> None:
        steps = [{"target": "user.no_such"}, {"target": "builtins.len", "args": [{"$step": 0}]}]
        reply = stock.ok("pipeline", {"steps": steps, "stop_on_error": False})
        assert [one["status"] for one in reply["pipeline_results"]] == ["error", "error"]
        assert reply["pipeline_results"][1]["code"] == "invalid_request"
        assert reply["pipeline_results"][1]["at"] == "$.steps[1].args[0]"

    def test_properties_and_items_that_raise(self, stock: Stock) -> None:
        stock.cell(
            "class Trap:\n"
            "    @property\n"
            "    def p(self): raise SystemExit('from a property')\n"
            "    def __getitem__(self, key): raise KeyboardInterrupt\n"
            "trap = Trap()"
        )
        reply = stock.fails("call", {"target": "user.trap.p"})
        assert (reply["code"], reply["ename"], reply["at"]) == ("raised", "SystemExit", "$.target")
        reply = stock.fails("call", {"target": ["user", "trap", 0]})
        assert (reply["code"], reply["ename"]) == ("raised", "KeyboardInterrupt")
        stock.ok("call", {"target": "user.Trap", "store_as": "trap"})
        reply = stock.fails("call", {"target": "builtins.len", "args": [{"$ref": ["trap", "p"]}]})
        assert (reply["code"], reply["at"]) == ("raised", "$.args[0]")

    def test_modules_that_raise_on_import(self, stock: Stock, tmp_path: Any) -> None:
        (tmp_path / "bad_module_here.py").write_text("raise SystemExit('at import')\n")
        (tmp_path / "needy_module_here.py").write_text("import not_there_at_all\n")
        stock.call("sys.path.append", str(tmp_path))
        reply = stock.fails("call", {"target": "bad_module_here.f"})
        assert (reply["code"], reply["ename"]) == ("raised", "SystemExit")
        reply = stock.fails("call", {"target": "needy_module_here.f"})
        assert (reply["code"], reply["ename"]) == ("raised", "ModuleNotFoundError")


class TestResults:
    def test_demanding_a_value_that_has_none(self, stock: Stock) -> None:
        reply = stock.fails("call", {"target": "threading.Lock", "returns": "value"})
        assert (reply["code"], reply["fault"], reply["at"]) == ("unserializable", "target", "$.returns")
        assert stock.ok("call", {"target": "threading.Lock"})["result"]["string_repr"]

    @pytest.mark.parametrize("returns", ["auto", "preview", "value"])
    def test_self_referential_results(self, stock: Stock, returns: str) -> None:
        stock.cell("def ouroboros():\n tail = []\n tail.append({'head': tail})\n return tail")
        reply = stock.ask("call", {"target": "user.ouroboros", "returns": returns})
        if returns == "value":
            assert reply["code"] in ("unserializable", "limit")
        else:
            assert reply["result"]["type"] == "list"

    @pytest.mark.parametrize("returns", ["auto", "preview", "value"])
    def test_results_too_deep(self, stock: Stock, returns: str) -> None:
        stock.cell("def abyss(n):\n top = []\n for _ in range(n): top = [top]\n return top")
        reply = stock.ask("call", {"target": "user.abyss", "args": [100_000], "returns": returns})
        assert reply.get("code") in (("unserializable", "limit") if returns == "value" else (None,))

    def test_hostile_results(self, stock: Stock) -> None:
        stock.cell(
            "class Hostile:\n"
            "    def _no(self, *a, **k): raise SystemExit('hostile')\n"
            "    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __eq__ = __hash__ = __dir__ = _no\n"
            "    __getattr__ = __format__ = __reduce_ex__ = __sizeof__ = _no\n"
            "    __class__ = property(_no)\n"
        )
        for returns in ("auto", "preview", "ref"):
            result = stock.ok("call", {"target": "user.Hostile", "returns": returns})["result"]
            assert result["type"] == "Hostile"
        stock.ok("call", {"target": "user.Hostile", "store_as": "hostile"})
        assert stock.ok("inspect", {"target": "stored.hostile"})["inspection"]["type"] == "Hostile"
        assert stock.ok("inspect", {"target": "stored.hostile"}, channel="control")["inspection"]
        assert stock.ok("list_stored", {"prefix": "hostile"})["objects"][0]["type"] == "Hostile"
        stock.ok("delete_stored", {"id": "hostile"})

    def test_names_that_are_taken(self, stock: Stock) -> None:
        stock.ok("store", {"id": "here", "value": 1})
        stock.ok("store", {"id": "there", "value": 2})
        reply = stock.fails("rename_stored", {"id": "here", "to": "there"})
        assert (reply["code"], reply["at"]) == ("invalid_request", "$.to")
        assert stock.ok("retrieve", {"id": "there"})["object"]["value"] == 2
        stock.ok("create_session", {"session_id": "taken"})
        reply = stock.fails("create_session", {"session_id": "taken"})
        assert (reply["code"], reply["at"]) == ("invalid_request", "$.session_id")

    def test_streams_replaced_by_user_code(self, stock: Stock) -> None:
        stock.cell(
            "import sys\n"
            "class Broken:\n"
            "    def flush(self): raise SystemExit('no flush')\n"
            "    def write(self, text): raise SystemExit('no write')\n"
            "def smash():\n"
            "    globals()['kept'] = sys.stdout\n"
            "    sys.stdout = Broken()\n"
            "def mend(): sys.stdout = kept\n"
        )
        assert stock.ok("call", {"target": "user.smash"})["result"]["value"] is None
        assert stock.call("operator.add", 1, 1) == 2
        stock.ok("call", {"target": "user.mend"})
