"""Objects that raise, lie, hang or never end when looked at: one reply each, and the kernel goes on."""

from __future__ import annotations

import time
from pathlib import Path

import hostile_objects
import pytest
from stock_client import PATIENCE, Stock, check_error

pytestmark = [pytest.mark.kernel, pytest.mark.promise("attack-12")]

LOOKS = ("inspect", "table", "summarize", "preview")


@pytest.fixture(scope="module", autouse=True)
def hostile(stock: Stock) -> None:
    folder = str(Path(hostile_objects.__file__).parent)
    stock.cell(f"import sys; sys.path.insert(0, {folder!r}); import hostile_objects")


def answered(stock: Stock, op: str, content: dict[str, object], *, channel: str = "shell") -> None:
    """One reply came in bounded time, and it is whole: a description, or an error."""
    began = time.monotonic()
    msg_id = stock.send(op, content, channel=channel)
    reply = stock.only_reply(msg_id, channel=channel)["content"]
    assert time.monotonic() - began < PATIENCE
    if reply["status"] != "ok":
        check_error(reply)
        assert reply["fault"] != "kernel", reply


@pytest.mark.parametrize("name", hostile_objects.MAKERS)
def test_whoever_looks_gets_one_answer(stock: Stock, name: str) -> None:
    given = {"target": "hostile_objects.give", "args": [name]}
    for returns in ("auto", "value", "preview", "proxy"):
        answered(stock, "call", {**given, "returns": returns})
    answered(stock, "call", {**given, "store_as": "it", "returns": "none"})
    stock.cell(f"held = hostile_objects.give({name!r}); stored.held = held")
    target = "stored.held"
    for returns in ("auto", "value"):
        answered(stock, "retrieve", {"id": "held", "returns": returns})
    for op in LOOKS:
        answered(stock, op, {"target": target, "budget": 0.5})
        answered(stock, op, {"target": target, "budget": 0.5}, channel="control")
    answered(stock, "inspect", {"target": target, "run_code": True, "budget": 0.2}, channel="control")
    answered(stock, "inspect", {"target": f"{target}.x", "budget": 0.2}, channel="control")
    for op in ("list_stored", "list_variables"):
        answered(stock, op, {}, channel="control")
    steps = [{"target": "builtins.id", "args": [{"$ref": "held"}]}, {"op": "retrieve", "id": "held"}]
    answered(stock, "pipeline", {"steps": steps})
    answered(stock, "delete_stored", {"id": "held"})
    answered(stock, "delete_stored", {"id": "it"})
    complete = stock.send("complete_request", {"code": "hel", "cursor_pos": 3})
    # IPython's own, which may give up on such an object.
    assert stock.reply(complete)["content"]["status"] == "ok"
    stock.run("del held", stop_on_error=False)
    assert stock.call("operator.add", 1, 1) == 2


@pytest.mark.parametrize("name", hostile_objects.ERRORS)
def test_whatever_is_raised_is_told(stock: Stock, name: str) -> None:
    for op, content in (
        ("call", {"target": "hostile_objects.fail", "args": [name]}),
        ("pipeline", {"steps": [{"target": "hostile_objects.fail", "args": [name]}]}),
    ):
        reply = stock.fails(op, content)
        check_error(reply)
        assert reply["code"] == "raised"
        assert len(str(reply)) < 1_000_000
    # As an object it is one like any other.
    stock.cell(f"stored.held = hostile_objects.ERRORS[{name!r}]()")
    answered(stock, "retrieve", {"id": "held"})
    answered(stock, "inspect", {"target": "stored.held"})
    answered(stock, "inspect", {"target": "stored.held"}, channel="control")
    assert stock.call("operator.add", 1, 1) == 2
