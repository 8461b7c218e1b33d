"""Tasks of the inspector: beside a running cell, one at a time, cancellable, with exactly one reply each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stock_client import Stock

import snakekernel

pytestmark = pytest.mark.kernel

_OBJECTS = """
import threading, time

class Plain:
    def __repr__(self): return "plain itself"

class Endless:
    "Its repr goes on until it is stopped."
    begun = threading.Event()
    def __repr__(self):
        self.begun.set()
        while True: pass

class Native:
    "Its repr waits in native code until it is let go."
    def __init__(self): self.begun, self.go = threading.Event(), threading.Event()
    def __repr__(self):
        self.begun.set()
        _wait(self.go)
        return "native itself"

def _wait(event):
    lock = threading.Lock()
    lock.acquire()
    threading.Thread(target=lambda: (event.wait(), lock.release())).start()
    lock.acquire()

class Chain:
    "Its parts are properties."
    @property
    def part(self): return Plain()
"""

_numbers = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def _objects(stock: Stock) -> None:
    stock.cell(_OBJECTS)


@pytest.fixture
def busy(stock: Stock, snake: snakekernel.Client) -> Iterator[None]:
    """A cell holds the main thread, and the interpreter as far as Python code does."""
    cell = stock.send("execute_request", {"code": "print('held', flush=True)\nwhile True: pass"})
    stock.until_it_prints(cell)
    yield
    snake.interrupt()
    stock.reply(cell)


@pytest.fixture
def make(stock: Stock) -> Callable[[str], str]:
    """Stores an object of one of the classes above under a name of its own."""

    def store(cls: str) -> str:
        name = f"{cls} {next(_numbers)}"
        stock.ok("call", {"target": f"user.{cls}", "store_as": name, "returns": "none"})
        return name

    return store


def inspect(stock: Stock, target: Any, **fields: Any) -> str:
    """Ask for an inspection that runs code, on control; returns the request's id."""
    return stock.send("inspect", {"target": target, "run_code": True, **fields}, channel="control")


def text(reply: dict[str, Any]) -> str:
    """The text in an inspection."""
    assert reply["content"]["status"] == "ok", reply["content"]
    return str(reply["content"]["inspection"]["string_repr"])


def cancel(stock: Stock, msg_id: str) -> bool:
    """Cancel a request."""
    return bool(stock.ok("cancel", {"msg_id": msg_id}, channel="control")["cancelled"])


class TestWhileACellRuns:
    @pytest.fixture
    def named(self, make: Callable[[str], str]) -> str:
        """A stored object whose repr is code."""
        return make("Plain")

    def test_an_objects_own_code_runs_where_it_is_asked_for(
        self, stock: Stock, named: str, busy: None
    ) -> None:
        plain = stock.ok("inspect", {"target": ["stored", named]}, channel="control")
        assert plain["inspection"]["string_repr"] == "<Plain object>"
        assert text(stock.only_reply(inspect(stock, ["stored", named]), channel="control")) == "plain itself"

    def test_a_path_that_needs_code(self, stock: Stock, make: Callable[[str], str]) -> None:
        target = ["stored", make("Chain"), "part"]
        refused = stock.fails("inspect", {"target": target}, channel="control")
        assert refused["code"] == "unresolvable"
        assert text(stock.only_reply(inspect(stock, target), channel="control")) == "plain itself"


class TestCancel:
    def test_a_running_task(self, stock: Stock, make: Callable[[str], str]) -> None:
        endless = inspect(stock, ["stored", make("Endless")], budget=60)
        stock.ok("call", {"target": "user.Endless.begun.wait", "args": [30]})
        assert cancel(stock, endless)
        reply = stock.only_reply(endless, channel="control")["content"]
        assert (reply["status"], reply["code"]) == ("error", "cancelled")
        # The thread is free again, for Python code can be stopped.
        following = inspect(stock, ["stored", make("Plain")])
        assert text(stock.only_reply(following, channel="control")) == "plain itself"
        assert not cancel(stock, endless)

    def test_a_waiting_task(self, stock: Stock, make: Callable[[str], str]) -> None:
        first = inspect(stock, ["stored", make("Endless")], budget=60)
        second = inspect(stock, ["stored", make("Plain")])
        third = inspect(stock, ["stored", make("Plain")])
        assert cancel(stock, second)
        assert stock.only_reply(second, channel="control")["content"]["code"] == "cancelled"
        assert not stock.replies(first, "control")
        assert cancel(stock, first)
        assert text(stock.only_reply(third, channel="control")) == "plain itself"

    def test_native_code_is_left_to_its_end(self, stock: Stock, make: Callable[[str], str]) -> None:
        name = make("Native")
        native = inspect(stock, ["stored", name], budget=60)
        stock.ok("call", {"target": ["stored", name, "begun", "wait"], "args": [30]})
        following = inspect(stock, ["stored", make("Plain")])
        assert cancel(stock, native)
        assert stock.only_reply(native, channel="control")["content"]["code"] == "cancelled"
        assert not stock.replies(following, "control")
        stock.ok("call", {"target": ["stored", name, "go", "set"]})
        assert text(stock.only_reply(following, channel="control")) == "plain itself"
        assert len(stock.replies(native, "control")) == 1

    def test_what_there_is_not(self, stock: Stock) -> None:
        assert not cancel(stock, "never asked")

    def test_other_requests_cannot_be(self, stock: Stock, snake: snakekernel.Client) -> None:
        call = stock.send("call", {"target": "builtins.exec", "args": ["print(1, flush=True)\nwhile 1: 0"]})
        stock.until_it_prints(call)
        reply = stock.fails("cancel", {"msg_id": call}, channel="control")
        assert reply["code"] == "unsupported"
        snake.interrupt()
        stock.reply(call)

    def test_a_session_is_released(self, stock: Stock, make: Callable[[str], str]) -> None:
        """A cancelled task holds no lease on its session."""
        stock.ok("create_session", {"session_id": "short", "ttl": 0.2})
        endless = inspect(stock, ["stored", make("Endless")], budget=60, session_id="short")
        waiting = inspect(stock, ["stored", make("Plain")], session_id="short")
        assert cancel(stock, waiting)
        assert cancel(stock, endless)

        def is_closed() -> bool:
            told = [m["content"] for m in stock.messages["iopub"] if m["msg_type"] == "snake_changed"]
            return {"action": "closed", "session_id": "short"} in itertools.chain(
                *(content.get("sessions", []) for content in told)
            )

        stock.until(is_closed, "the session to expire")


def test_shutting_down_answers_all(fresh_kernel: Callable[..., tuple[Any, Stock]]) -> None:
    client, stock = fresh_kernel()
    stock.cell(_OBJECTS)
    for name in ("Endless", "Plain"):
        stock.ok("call", {"target": f"user.{name}", "store_as": name, "returns": "none"})
    tasks = [inspect(stock, "stored.Endless", budget=60), inspect(stock, "stored.Plain")]
    stock.ok("call", {"target": "user.Endless.begun.wait", "args": [30]})
    over = stock.send("shutdown_request", {"restart": False}, channel="control")
    stock.reply(over, channel="control")
    for task in tasks:
        (reply,) = stock.replies(task, "control")
        assert reply["content"]["code"] == "cancelled"
    client.manager.finish_shutdown()


class TestThreads:
    def test_it_begins_with_the_first_task(self, fresh_kernel: Callable[..., tuple[Any, Stock]]) -> None:
        _, stock = fresh_kernel()
        names = "[t.name for t in __import__('threading').enumerate()]"
        stock.ok("inspect", {"target": "user.stored"}, channel="control")
        assert "snakekernel inspector" not in stock.call("builtins.eval", names)
        stock.only_reply(inspect(stock, "user.stored"), channel="control")
        assert stock.call("builtins.eval", names).count("snakekernel inspector") == 1


class TestDetails:
    def test_made_by_a_call_and_a_cell(self, stock: Stock) -> None:
        stock.ok("call", {"target": "builtins.list", "args": [[1]], "store_as": "made"})
        count = stock.run("stored.made = [1, 2]")["execution_count"]
        stock.ok("store", {"id": "made", "value": 5})
        stock.ok("rename_stored", {"id": "made", "to": "renamed"})
        stored = stock.ok("inspect", {"target": "stored.renamed"}, channel="control")["inspection"]["stored"]
        user = stock.session.username
        assert stored["made_by"] == {"kind": "call", "label": "store", "client": user}
        assert (stored["name"], stored["session_id"], stored["expires_at"]) == ("renamed", None, None)
        told = [(entry["action"], entry["made_by"]["label"]) for entry in stored["history"]]
        assert told == [
            ("renamed", "rename_stored"),
            ("replaced", "store"),
            ("replaced", f"In [{count}]"),
            ("stored", "builtins.list"),
        ]
        versions = [entry["version"] for entry in stored["history"]]
        assert versions == sorted(versions, reverse=True)
        assert stored["history"][0]["size"] == stored["size"] > 0

    def test_a_line_of_the_list(self, stock: Stock) -> None:
        stock.ok(
            "call", {"target": "builtins.dict", "kwargs": {"a": [1, 2], "b": [3, 4]}, "store_as": "Line"}
        )
        (line,) = stock.ok("list_stored", {"search": "LIN"}, channel="control")["objects"]
        assert (line["name"], line["view"], line["length"]) == ("Line", "table", 2)
        assert line["preview"] == "{'a': [1, 2], 'b': [3, 4]}"
        assert line["made_by"]["label"] == "builtins.dict"
        assert line["session_id"] is None
        assert line["version"] > 0

    def test_the_notebooks_variables(self, stock: Stock) -> None:
        stock.cell("import json as a_module\na_variable = [1, 2, 3]\n_hidden = 1")
        listed = stock.ok("list_variables", {"prefix": "a_"}, channel="control")
        (line,) = listed["objects"]
        assert (line["name"], line["type"], line["length"]) == ("a_variable", "list", 3)
        everything = stock.ok("list_variables", {"modules": True}, channel="control")
        assert {"a_module", "a_variable", "Plain"} <= set(everything["variables"])
        assert not {"In", "Out", "exit", "stored", "get_ipython", "_hidden", "_"} & set(
            everything["variables"]
        )
        assert everything["count"] == len(everything["variables"])

    def test_parts_of_containers_on_control(self, stock: Stock) -> None:
        stock.cell(
            "import collections, pandas\n"
            "Pair = collections.namedtuple('Pair', 'one two')\n"
            "nest = {'deep': collections.OrderedDict(x=Pair(1, pandas.DataFrame({'c': [1, 2]})))}"
        )
        target = ["user", "nest", "deep", "x", {"attr": "two"}, {"item": "c"}]
        inspection = stock.ok("inspect", {"target": target}, channel="control")["inspection"]
        assert (inspection["type"], inspection["shape"], inspection["view"]) == ("Series", [2], "table")
