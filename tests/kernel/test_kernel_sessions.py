"""Sessions and times to live on a real kernel and its real clock."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


@pytest.fixture
def name() -> str:
    """A session id nobody else uses."""
    return f"session {uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module", autouse=True)
def mortal(stock: Stock) -> None:
    """A class whose objects tell when, and on which thread, they end."""
    stock.cell(
        "import threading\n"
        "ended = []\n"
        "class Mortal:\n"
        "    def __init__(self, name): self.name = name\n"
        "    def __del__(self):\n"
        "        ended.append([self.name, threading.current_thread() is threading.main_thread()])\n"
        "        print('ended', self.name, flush=True)\n"
    )


def value(stock: Stock, id: str, session_id: str | None = None) -> Any:
    """The value under a name as a session sees it."""
    content = {"id": id} if session_id is None else {"id": id, "session_id": session_id}
    return stock.ok("retrieve", content)["object"]["value"]


def test_sessions_are_apart_and_the_kernel_wide_names_are_underneath(stock: Stock, name: str) -> None:
    one, two = f"{name} 1", f"{name} 2"
    stock.ok("store", {"id": "wide", "value": "kernel"})
    stock.ok("store", {"id": "x", "value": 1, "session_id": one})
    stock.ok("store", {"id": "x", "value": 2, "session_id": two})
    assert (value(stock, "x", one), value(stock, "x", two)) == (1, 2)
    assert stock.fails("retrieve", {"id": "x"})["code"] == "not_found"
    assert value(stock, "wide", one) == "kernel"
    stock.ok("store", {"id": "wide", "value": "mine", "session_id": one})
    assert (value(stock, "wide", one), value(stock, "wide", two), value(stock, "wide")) == (
        "mine",
        "kernel",
        "kernel",
    )
    assert stock.ok("list_stored", {"session_id": two})["stored_objects"] == ["x"]
    stock.ok("delete_stored", {"id": "wide", "session_id": one})
    assert value(stock, "wide", one) == "kernel"
    reply = stock.fails("delete_stored", {"id": "wide", "session_id": one})
    assert reply["code"] == "not_found"  # the one underneath is not this session's to delete


def test_what_makes_a_session(stock: Stock, name: str) -> None:
    for number, (op, content) in enumerate(
        [
            ("call", {"target": "builtins.len", "args": [""]}),
            ("store", {"id": "x", "value": 1}),
            ("pipeline", {"steps": []}),
        ]
    ):
        session_id = f"{name} {number}"
        stock.ok(op, {**content, "session_id": session_id})
        assert stock.ok("list_sessions", {"session_id": session_id})["count"] == 1
    for op, content in [
        ("retrieve", {"id": "x"}),
        ("list_stored", {}),
        ("delete_stored", {"id": "x"}),
        ("inspect", {"target": "builtins.len"}),
        ("set", {"target": "stored.x", "value": 1}),
        ("share", {"id": "x", "to": None}),
        ("close_session", {}),
    ]:
        reply = stock.fails(op, {**content, "session_id": f"{name} unknown"})
        assert (reply["code"], reply["at"]) == ("not_found", "$.session_id"), op


def test_share_reaches_the_same_object(stock: Stock, name: str) -> None:
    one, two = f"{name} 1", f"{name} 2"
    stock.ok("store", {"id": "list", "value": [1], "session_id": one})
    reply = stock.fails("share", {"id": "list", "to": two, "session_id": one})
    assert (reply["code"], reply["at"]) == ("not_found", "$.to")
    stock.ok("create_session", {"session_id": two})
    stock.ok("share", {"id": "list", "to": two, "session_id": one})
    stock.ok("call", {"target": "stored.list.append", "args": [2], "session_id": two})
    assert value(stock, "list", one) == [1, 2]
    stock.ok("close_session", {"session_id": one})
    assert value(stock, "list", two) == [1, 2]


def test_a_closed_session_lets_go_at_once(stock: Stock, name: str) -> None:
    stock.cell("ended.clear()")
    call = {
        "target": "user.Mortal",
        "args": ["closed"],
        "store_as": "m",
        "session_id": name,
        "returns": "none",
    }
    stock.ok("call", call)
    anonymous = {"target": "user.Mortal", "args": ["anonymous"], "returns": "ref", "session_id": name}
    stock.ok("call", anonymous)
    stock.ok("close_session", {"session_id": name})
    ended = stock.ok("retrieve", {"target": "user.ended"})["object"]["value"]
    assert sorted(ended) == [["anonymous", True], ["closed", True]]
    assert stock.fails("retrieve", {"id": "m", "session_id": name})["code"] == "not_found"


def wait_for_end(stock: Stock, what: str, seconds: float) -> float:
    """Wait, asking the kernel nothing, until an object said that it ended; how long that took."""
    begun = time.monotonic()
    stock.until(
        lambda: any(what in m["content"].get("text", "") for m in stock.messages["iopub"]), what, seconds
    )
    return time.monotonic() - begun


class TestExpiry:
    TTL = 3.0

    def test_an_idle_kernel_cleans_up_on_the_main_thread(self, stock: Stock, name: str) -> None:
        stock.cell("ended.clear()")
        # A session that ends far later must not keep the kernel from looking sooner.
        stock.ok("create_session", {"session_id": f"{name} long", "ttl": 3600})
        stock.ok("create_session", {"session_id": name, "ttl": self.TTL})
        call = {"target": "user.Mortal", "args": ["idle"], "store_as": "m", "session_id": name}
        stock.reply(stock.send("call", {**call, "returns": "none"}))
        took = wait_for_end(stock, "ended idle", 20)
        assert took < self.TTL + 10  # not an hour: the other session's time
        assert stock.ok("retrieve", {"target": "user.ended"})["object"]["value"] == [["idle", True]]
        for op, content in [
            ("retrieve", {"id": "m"}),
            ("call", {"target": "builtins.len", "args": [""]}),
            ("store", {"id": "m", "value": 1}),
            ("list_stored", {}),
        ]:
            reply = stock.fails(op, {**content, "session_id": name})
            assert (reply["code"], reply["fault"], reply["at"]) == (
                "session_expired",
                "caller",
                "$.session_id",
            )
        assert stock.ok("list_sessions", {"session_id": name})["count"] == 0
        stock.ok("create_session", {"session_id": name})
        assert stock.ok("list_stored", {"session_id": name})["stored_objects"] == []

    def test_use_renews(self, stock: Stock, name: str) -> None:
        expires = [stock.ok("create_session", {"session_id": name, "ttl": 60})["expires_at"]]
        for op, content in [
            ("store", {"id": "x", "value": 1}),
            ("retrieve", {"id": "x"}),
            ("list_stored", {}),
        ]:
            stock.ok(op, {**content, "session_id": name})
            (session,) = stock.ok("list_sessions", {"session_id": name})["sessions"]
            expires.append(session["expires_at"])
        assert expires == sorted(set(expires))

    def test_looking_on_control_renews_nothing(self, stock: Stock, name: str) -> None:
        stock.ok("create_session", {"session_id": name, "ttl": 60})
        stock.ok("store", {"id": "x", "value": [1], "session_id": name})
        (before,) = stock.ok("list_sessions", {"session_id": name})["sessions"]
        for op, content in [
            ("list_stored", {}),
            ("inspect", {"target": "stored.x"}),
            ("table", {"target": ["stored", "x"]}),
        ]:
            stock.ask(op, {**content, "session_id": name}, channel="control")
        (after,) = stock.ok("list_sessions", {"session_id": name})["sessions"]
        assert after["expires_at"] == before["expires_at"]

    def test_no_session_ends_under_a_call(self, stock: Stock, name: str) -> None:
        stock.ok("create_session", {"session_id": name, "ttl": self.TTL})
        stock.ok("store", {"id": "x", "value": 1, "session_id": name})
        steps = [
            {"target": "time.sleep", "args": [2 * self.TTL]},
            {"target": "stored.x"},
            {"op": "store", "id": "y", "value": 2},
        ]
        reply = stock.ok("pipeline", {"steps": steps, "session_id": name})
        assert reply["pipeline_results"][1]["result"]["value"] == 1
        assert value(stock, "y", name) == 2  # the time to live counts from the end of the call

    def test_what_a_call_stores_in_a_session_closed_under_it_is_gone(
        self, stock: Stock, name: str, subshell: str
    ) -> None:
        stock.cell(
            "begun, go = threading.Event(), threading.Event()\ndef wait():\n begun.set()\n return go.wait(30)"
        )
        call = {"target": "user.wait", "store_as": "late", "session_id": name}
        running = stock.send("call", call, subshell_id=subshell)
        stock.ok("call", {"target": "user.begun.wait", "args": [30]})
        stock.ok("close_session", {"session_id": name})
        stock.ok("call", {"target": "user.go.set"})
        reply = stock.only_reply(running, subshell_id=subshell)["content"]
        assert reply["code"] == "session_expired"
        stock.ok("create_session", {"session_id": name})
        assert stock.ok("list_stored", {"session_id": name})["stored_objects"] == []

    def test_a_stored_objects_own_time_to_live(self, stock: Stock, name: str) -> None:
        stock.cell("ended.clear()")
        stock.ok("store", {"id": name, "value": 1, "ttl": self.TTL})
        assert value(stock, name) == 1
        # Nothing is asked meanwhile: the announcement of its end is what tells.
        stock.until(lambda: bool(changes(stock, "deleted", name)), "the announcement", 20)
        (change,) = changes(stock, "deleted", name)
        assert change["writer"] == "expiry"
        assert stock.fails("retrieve", {"id": name})["code"] == "not_found"

    def test_storing_anew_without_a_time_keeps_it(self, stock: Stock, name: str) -> None:
        other = f"{name} other"
        stock.ok("store", {"id": name, "value": 1, "ttl": self.TTL})
        stock.ok("store", {"id": name, "value": 2})
        stock.ok("store", {"id": other, "value": 3, "ttl": self.TTL})
        stock.until(lambda: bool(changes(stock, "deleted", other)), "the announcement", 20)
        assert value(stock, name) == 2
        assert not changes(stock, "deleted", name)


def changes(stock: Stock, action: str, name: str) -> list[dict[str, Any]]:
    """Announced changes of a name."""
    announced = (m["content"]["changes"] for m in stock.messages["iopub"] if m["msg_type"] == "snake_changed")
    return [c for c in itertools.chain(*announced) if (c["action"], c["name"]) == (action, name)]


@pytest.mark.parametrize("config_file", ["ipython_kernel_config.py", "snakekernel_kernel_config.py"])
def test_limits_are_configured(fresh_kernel: Callable[..., Any], tmp_path: Any, config_file: str) -> None:
    config = tmp_path / "profile_default" / config_file
    config.parent.mkdir()
    config.write_text(
        "c.SnakeKernel.auto_sessions = False\nc.SnakeKernel.max_sessions = 2\nc.SnakeKernel.max_objects = 3\n"
    )
    _, stock = fresh_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path)})
    reply = stock.fails("store", {"id": "x", "value": 1, "session_id": "new"})
    assert (reply["code"], reply["at"]) == ("not_found", "$.session_id")
    stock.ok("create_session", {"session_id": "new"})
    stock.ok("store", {"id": "x", "value": 1, "session_id": "new"})
    stock.ok("create_session", {"session_id": "newer"})
    assert stock.fails("create_session", {"session_id": "newest"})["code"] == "limit"
    stock.ok("store", {"id": "y", "value": 1})
    stock.ok("store", {"id": "z", "value": 1})
    assert stock.fails("store", {"id": "w", "value": 1})["code"] == "limit"
    stock.ok("store", {"id": "z", "value": 2})  # replacing takes no more room
