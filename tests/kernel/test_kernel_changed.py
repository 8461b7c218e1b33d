"""``snake_changed``: announced on iopub, coalesced, without gaps in versions, a child of nothing."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


@pytest.fixture
def name() -> str:
    """A name nobody else uses."""
    return uuid.uuid4().hex


def announcements(stock: Stock) -> list[dict[str, Any]]:
    """All announcements so far."""
    return [m for m in stock.messages["iopub"] if m["msg_type"] == "snake_changed"]


def changes(stock: Stock, name: str) -> list[dict[str, Any]]:
    """Announced changes of names that begin so."""
    return [c for m in announcements(stock) for c in m["content"]["changes"] if c["name"].startswith(name)]


def up_to(stock: Stock, version: int) -> None:
    """Wait until a version of the store is announced."""
    stock.until(
        lambda: any(m["content"]["version"] >= version for m in announcements(stock)), f"version {version}"
    )


def test_every_change_is_told_with_its_writer(stock: Stock, name: str) -> None:
    store = stock.send("store", {"id": name, "value": 1})
    again = stock.send("call", {"target": "builtins.list", "store_as": name, "call_id": f"call of {name}"})
    cell = stock.send("execute_request", {"code": f"stored['{name}'] = 3"})
    rename = stock.send("rename_stored", {"id": name, "to": name + "2"})
    delete = stock.send("delete_stored", {"id": name + "2"})
    session = stock.send("store", {"id": name, "value": 1, "session_id": name})
    for msg_id in (store, again, cell, rename, delete, session):
        stock.reply(msg_id)
    up_to(stock, stock.ok("list_stored")["version"])
    assert [(c["action"], c["name"], c["session_id"], c["writer"]) for c in changes(stock, name)] == [
        ("stored", name, None, store),
        ("replaced", name, None, f"call of {name}"),
        ("replaced", name, None, cell),
        ("deleted", name, None, rename),
        ("stored", name + "2", None, rename),
        ("deleted", name + "2", None, delete),
        ("stored", name, name, session),
    ]


def test_versions_have_no_gaps(stock: Stock, name: str, subshell: str) -> None:
    for number in range(50):
        stock.send("store", {"id": f"{name}{number}", "value": 1})
        stock.send("store", {"id": f"{name}{number}", "value": 2}, subshell_id=subshell)
        stock.send("delete_stored", {"id": f"{name}{number}"}, channel="control")
    stock.fence()
    stock.fence(subshell_id=subshell)
    stock.fence(channel="control")
    up_to(stock, stock.ok("list_stored")["version"])
    known = announcements(stock)[0]["content"]["since"]
    for message in announcements(stock):
        content = message["content"]
        assert content["since"] == known
        versions = [change["version"] for change in content["changes"]]
        assert versions == list(range(content["since"] + 1, content["version"] + 1))
        known = content["version"]
    assert known == stock.ok("list_stored")["version"]


def test_many_changes_are_told_together(stock: Stock, name: str) -> None:
    before, begun = len(announcements(stock)), time.monotonic()
    steps = [{"op": "store", "id": f"{name}{number}", "value": number} for number in range(1_500)]
    stock.ok("pipeline", {"steps": steps})
    up_to(stock, stock.ok("list_stored")["version"])
    took = time.monotonic() - begun
    assert len(announcements(stock)) - before <= 20 * took + 2
    # More than fit into one announcement: the gap shows in `since`.
    assert all(len(m["content"]["changes"]) <= 1_000 for m in announcements(stock))


def test_it_is_a_child_of_nothing(stock: Stock, name: str) -> None:
    stock.cell(f"stored['{name}'] = 1")
    up_to(stock, stock.ok("list_stored")["version"])
    assert announcements(stock)
    for message in announcements(stock):
        assert message["parent_header"] == {}
        assert message["header"]["version"]


def test_it_comes_while_the_main_thread_is_held(stock: Stock, snake: Any, name: str) -> None:
    stock.ok("store", {"id": name, "value": 1})
    cell = stock.send("execute_request", {"code": "print('held', flush=True)\nwhile True: pass"})
    stock.until_it_prints(cell)
    stock.ok("delete_stored", {"id": name}, channel="control")
    stock.until(lambda: any(c["action"] == "deleted" for c in changes(stock, name)), "the announcement")
    snake.interrupt()
    stock.reply(cell)


def test_anonymous_objects_are_told_too(stock: Stock) -> None:
    value = stock.ok("call", {"target": "builtins.object", "returns": "ref"})["result"]["value"]
    up_to(stock, 1)
    stock.until(lambda: bool(changes(stock, value["$ref"])), "the announcement")
    assert value["$ref"] not in stock.ok("list_stored", {"limit": 10_000})["stored_objects"]
