"""Order with cells, and delivery at most once."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


class TestOrder:
    def test_calls_and_cells_run_as_they_came(self, stock: Stock) -> None:
        stock.cell("log = []")
        sent = []
        for number in range(10):
            sent.append(stock.send("execute_request", {"code": f"log.append('cell {number}')"}))
            sent.append(stock.send("call", {"target": "user.log.append", "args": [f"call {number}"]}))
        stock.fence()
        expected = [f"{kind} {number}" for number in range(10) for kind in ("cell", "call")]
        assert stock.ok("retrieve", {"target": "user.log"})["object"]["value"] == expected
        order = [m["parent_header"]["msg_id"] for m in stock.messages["shell"]]
        assert [msg_id for msg_id in order if msg_id in sent] == sent

    def test_an_awaiting_call_holds_its_turn(self, stock: Stock) -> None:
        stock.cell(
            "import asyncio\n"
            "log = []\n"
            "async def slow():\n"
            "    log.append('begun')\n"
            "    for _ in range(50): await asyncio.sleep(0.001)\n"
            "    log.append('ended')\n"
        )
        stock.send("call", {"target": "user.slow"})
        stock.send("execute_request", {"code": "log.append('cell')"})
        stock.send("call", {"target": "user.log.append", "args": ["call"]})
        stock.fence()
        value = stock.ok("retrieve", {"target": "user.log"})["object"]["value"]
        assert value == ["begun", "ended", "cell", "call"]

    def test_a_call_after_a_failing_cell_runs(self, stock: Stock, tmp_path: Path) -> None:
        go = tmp_path / "go"
        code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n1/0"
        failing = stock.send("execute_request", {"code": code, "stop_on_error": True})
        call = stock.send("call", {"target": "operator.add", "args": [1, 1]})
        cell = stock.send("execute_request", {"code": "1"})
        # Where this one is known, what was sent before it has come; what comes later is not aborted.
        last = stock.send("call", {"target": "operator.add", "args": [1, 1]})
        while not stock.ok("cancel", {"msg_id": last}, channel="control")["cancelled"]:
            pass
        go.touch()
        assert stock.reply(failing)["content"]["status"] == "error"
        assert stock.only_reply(call)["content"]["result"]["value"] == 2
        assert stock.reply(cell)["content"]["status"] == "aborted"  # as ever

    def test_a_cell_after_a_failing_call_runs(self, stock: Stock) -> None:
        call = stock.send("call", {"target": "operator.truediv", "args": [1, 0]})
        cell = stock.send("execute_request", {"code": "1"})
        assert stock.only_reply(call)["content"]["ename"] == "ZeroDivisionError"
        assert stock.reply(cell)["content"]["status"] == "ok"


@pytest.mark.promise("fault-14")
class TestAtMostOnce:
    @pytest.fixture
    def call_id(self) -> str:
        """A fresh idempotency key."""
        return uuid.uuid4().hex

    @pytest.fixture(autouse=True)
    def counter(self, stock: Stock) -> None:
        """A function that counts its calls."""
        stock.cell(
            "count = 0\n"
            "def bump(*args):\n"
            "    global count\n"
            "    count += 1\n"
            "    if args == ('fail',): raise ValueError(count)\n"
            "    return [count, *args]\n"
        )

    def count(self, stock: Stock) -> int:
        value: int = stock.ok("call", {"target": "user.count"})["result"]["value"]
        return value

    def test_a_repeated_call_gets_the_first_outcome(self, stock: Stock, call_id: str, subshell: str) -> None:
        content = {"target": "user.bump", "args": ["a"], "call_id": call_id}
        first = stock.ok("call", content)
        assert first["result"]["value"] == [1, "a"]
        assert stock.ok("call", content) == first
        assert stock.ok("call", content, subshell_id=subshell) == first
        assert self.count(stock) == 1

    def test_a_failure_is_an_outcome_too(self, stock: Stock, call_id: str) -> None:
        content = {"target": "user.bump", "args": ["fail"], "call_id": call_id}
        first = stock.fails("call", content)
        assert (first["code"], first["evalue"]) == ("raised", "1")
        assert stock.fails("call", content) == first
        assert self.count(stock) == 1

    def test_buffers_come_again_too(self, stock: Stock, call_id: str) -> None:
        content = {"target": "builtins.bytes", "args": [{"$bytes": 0}], "call_id": call_id}
        for _ in range(2):
            reply = stock.only_reply(stock.send("call", content, buffers=[b"abc"]))
            assert [bytes(b) for b in reply["buffers"]] == [b"abc"]
        other = stock.fails("call", content, buffers=[b"abd"])
        assert (other["code"], other["at"]) == ("invalid_request", "$.call_id")

    def test_other_content_is_refused(self, stock: Stock, call_id: str) -> None:
        stock.ok("call", {"target": "user.bump", "call_id": call_id})
        for op, content in [
            ("call", {"target": "user.bump", "args": ["b"], "call_id": call_id}),
            ("store", {"id": "x", "value": 1, "call_id": call_id}),
        ]:
            reply = stock.fails(op, content)
            assert (reply["code"], reply["at"]) == ("invalid_request", "$.call_id")
        assert self.count(stock) == 1

    def test_a_repeat_on_a_subshell_waits_for_the_first(
        self, stock: Stock, call_id: str, subshell: str
    ) -> None:
        stock.cell(
            "import threading\n"
            "begun, go = threading.Event(), threading.Event()\n"
            "def wait():\n"
            "    begun.set()\n"
            "    assert go.wait(30)\n"
            "    return bump()\n"
        )
        made = stock.send("create_subshell_request", channel="control")
        other = stock.reply(made, channel="control")["content"]["subshell_id"]
        content = {"target": "user.wait", "call_id": call_id}
        first = stock.send("call", content)
        stock.ok("call", {"target": "user.begun.wait", "args": [30]}, subshell_id=subshell)
        second = stock.send("call", content, subshell_id=subshell)
        stock.ok("call", {"target": "user.go.set"}, subshell_id=other)
        one = stock.only_reply(first)["content"]
        assert stock.only_reply(second, subshell_id=subshell)["content"] == one
        assert one["result"]["value"] == [1]
        assert self.count(stock) == 1
        gone = stock.send("delete_subshell_request", {"subshell_id": other}, channel="control")
        stock.reply(gone, channel="control")

    def test_on_control(self, stock: Stock, call_id: str) -> None:
        stock.ok("store", {"id": "once", "value": 1})
        content = {"id": "once", "call_id": call_id}
        first = stock.ok("delete_stored", content, channel="control")
        assert stock.ok("delete_stored", content, channel="control") == first

    def test_the_oldest_outcomes_are_let_go(self, stock: Stock, call_id: str) -> None:
        stock.ok("call", {"target": "user.bump", "call_id": call_id})
        for number in range(1_001):
            stock.send("call", {"target": "builtins.len", "args": [""], "call_id": f"{call_id} {number}"})
        stock.fence()
        reply = stock.fails("call", {"target": "user.bump", "call_id": call_id})
        assert (reply["code"], reply["at"]) == ("outcome_unknown", "$.call_id")
        assert self.count(stock) == 1

    def test_another_epoch_runs_nothing(self, stock: Stock) -> None:
        reply = stock.fails("call", {"target": "user.bump", "epoch": "another process"})
        assert (reply["code"], reply["at"]) == ("outcome_unknown", "$.epoch")
        assert self.count(stock) == 0
        epoch = stock.ok("ping")["epoch"]
        assert stock.ok("call", {"target": "user.bump", "epoch": epoch})["result"]["value"] == [1]
