"""Whatever our client does, a stock jupyter_client does as well: the same requests, the same answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stock_client import Stock

from snakekernel import Client
from snakekernel.plugins.load import CommandTable

pytestmark = pytest.mark.kernel

#: A request of each operation, in an order in which each finds what it needs, and a field of its reply.
REQUESTS: list[tuple[str, dict[str, Any], str, Any]] = [
    ("ping", {}, "bridge_type", "snakekernel"),
    ("create_session", {"session_id": "stock", "ttl": 60}, "session_id", "stock"),
    ("store", {"id": "x", "value": [[1, 2], [3, 4]], "session_id": "stock"}, "stored_objects", 1),
    (
        "call",
        {"target": "operator.add", "args": [2, 3]},
        "result",
        {"type": "int", "module": "builtins", "value": 5},
    ),
    (
        "call",
        {"target": "builtins.len", "args": [{"$ref": "x"}], "session_id": "stock", "store_as": "n"},
        "stored_as",
        "n",
    ),
    (
        "retrieve",
        {"id": "n", "session_id": "stock"},
        "object",
        {"type": "int", "module": "builtins", "value": 2},
    ),
    ("list_stored", {"session_id": "stock"}, "stored_objects", ["x", "n"]),
    ("list_variables", {"prefix": "no such"}, "variables", []),
    ("watch", {"stored": [["stock", "x"]], "lease": 0}, "expires_at", None),
    ("cancel", {"msg_id": "no such"}, "cancelled", False),
    ("call", {"target": "math.sqrt", "args": [9], "call_id": "three"}, "status", "ok"),
    ("outcome", {"call_id": "three"}, "state", "done"),
    ("summarize", {"target": ["stored", "x"], "session_id": "stock"}, "status", "ok"),
    ("preview", {"target": ["stored", "x"], "session_id": "stock"}, "preview", None),
    ("rename_stored", {"id": "n", "to": "count", "session_id": "stock"}, "status", "ok"),
    ("share", {"id": "count", "to": None, "session_id": "stock"}, "status", "ok"),
    ("publish", {"id": "x", "session_id": "stock"}, "status", "ok"),
    ("unpublish", {"session_id": "stock"}, "count", 1),
    ("set", {"target": ["stored", "x", 0, 0], "value": 9, "session_id": "stock"}, "status", "ok"),
    (
        "pipeline",
        {
            "steps": [
                {"target": "math.sqrt", "args": [16]},
                {"target": "operator.neg", "args": [{"$step": 0}]},
            ]
        },
        "steps_completed",
        2,
    ),
    ("table", {"target": ["stored", "x"], "session_id": "stock", "rows": [0, 1]}, "data", [[9], [2]]),
    ("renew", {"release": ["~0"], "lease": 5}, "held", 0),
    ("call", {"target": "builtins.iter", "args": [[7, 8]], "store_as": "numbers"}, "stored_as", "numbers"),
    ("pull", {"target": "stored.numbers"}, "done", True),
    ("delete_stored", {"id": "numbers"}, "status", "ok"),
    ("open_subshells", {}, "status", "ok"),
    ("close_subshells", {"subshells": ["no such"]}, "closed", 0),
    ("delete_stored", {"id": "count"}, "status", "ok"),
    ("list_checkpoint", {}, "objects", []),
    ("list_sessions", {"session_id": "stock"}, "count", 1),
    ("close_session", {"session_id": "stock"}, "session_id", "stock"),
    ("create_program", {"id": "qa", "signature": "question -> answer"}, "status", "ok"),
    ("list_programs", {}, "count", 1),
    ("get_program", {"program_id": "qa"}, "status", "ok"),
    ("delete_program", {"program_id": "qa"}, "status", "ok"),
    ("clear_session", {}, "status", "ok"),
    (
        "configure",
        {"framework": "dspy", "config": {"lm": "openai/demo", "api_key": "sk-of-no-worth-1"}},
        "status",
        "ok",
    ),
    ("configure_lm", {"provider": "openai", "model": "demo", "api_key": "sk-of-no-worth-1"}, "status", "ok"),
]


def test_every_operation_through_a_stock_client(stock: Stock) -> None:
    for op, content, field, expected in REQUESTS:
        reply = stock.ok(op, content)
        assert reply[field] == expected, (op, reply)
    assert stock.ok("inspect", {"target": "json.dumps"})["inspection"]["callable"] is True


def test_the_requests_above_are_of_every_operation() -> None:
    tried = {op for op, *_ in REQUESTS} | {"inspect"}
    # Running a program needs a language model: the plugin's own tests do it; those of streams grant
    # credit, those of durable objects write files.
    assert set(CommandTable()) - tried == {
        "attach",
        "checkpoint",
        "credit",
        "execute_program",
        "restore",
    }


def test_both_kinds_of_client_see_the_same_objects(snake: Client, stock: Stock) -> None:
    snake.store("ours", np.arange(3, dtype="<i4"))
    msg_id = stock.send("retrieve", {"id": "ours"})
    reply = stock.only_reply(msg_id)
    assert reply["content"]["object"]["value"]["$ndarray"] == {
        "buffer": 0,
        "dtype": "<i4",
        "shape": [3],
        "order": "C",
    }
    assert bytes(reply["buffers"][0]) == np.arange(3, dtype="<i4").tobytes()
    data = np.array([1.5, 2.5])
    value = {"$ndarray": {"buffer": 0, "dtype": "<f8", "shape": [2], "order": "C"}}
    stock.ok("store", {"id": "theirs", "value": value}, buffers=[data.tobytes()])
    assert snake.retrieve("theirs").tolist() == [1.5, 2.5]


def test_the_message_by_hand(snake: Client) -> None:
    """As the documentation shows it: nothing but jupyter_client."""
    client = snake.manager.client()
    client.start_channels()
    try:
        message = client.session.msg("snake_call_request", {"target": "math.hypot", "args": [3, 4]})
        client.shell_channel.send(message)
        while True:
            reply = client.get_shell_msg(timeout=30)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                break
        assert reply["msg_type"] == "snake_call_reply"
        assert reply["content"]["result"]["value"] == 5.0
    finally:
        client.stop_channels()


def test_cells_and_calls_share_the_objects(snake: Client, stock: Stock) -> None:
    stock.cell("stored['from_cell'] = {'a': 1}\nx = 20")
    assert snake.retrieve("from_cell") == {"a": 1}
    snake.set("user.y", 22)
    assert snake.call("user.x") == 20
    stock.cell("assert x + y == 42\nassert stored['from_cell']['a'] == 1")
