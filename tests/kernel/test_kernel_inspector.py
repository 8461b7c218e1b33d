"""Tasks of the inspector: beside a running cell, one at a time, cancellable, with exactly one reply each."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from stock_client import Stock

import snakekernel
from snakekernel.commands.dispatch import Run
from snakekernel.commands.outcomes import Packed
from snakekernel.commands.suspending import Moving
from snakekernel.kernel.inspector import Inspector
from snakekernel.testing.dispatch import make_runtime
from snakekernel.wire.frame import Frame

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

_THREADS = "[t.name for t in __import__('threading').enumerate()]"


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

    def test_a_session_is_released(self, stock: Stock, make: Callable[[str], str]) -> None:
        """A cancelled task holds no lease on its session."""
        stock.ok("create_session", {"session_id": "short", "ttl": 3})
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
    def test_where_no_thread_is_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        inspector, packed = Inspector(lambda: None), list[Packed]()
        run = Run(
            Frame("snake_inspect_request", "1", {"target": "builtins.len", "run_code": True}),
            make_runtime(),
            "control",
        )
        assert isinstance(run.resume(), Moving)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        inspector.submit(run, packed.append)
        assert [msgspec.json.decode(one.content)["status"] for one in packed] == ["error"]
        assert not inspector.cancel("1", "")
        inspector.close()

    def test_it_begins_with_the_first_task(self, fresh_kernel: Callable[..., tuple[Any, Stock]]) -> None:
        _, stock = fresh_kernel()
        stock.ok("inspect", {"target": "user.stored"}, channel="control")
        assert "snakekernel inspector" not in stock.call("builtins.eval", _THREADS)
        stock.only_reply(inspect(stock, "user.stored"), channel="control")
        assert stock.call("builtins.eval", _THREADS).count("snakekernel inspector") == 1


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

    def test_made_by_a_step_of_a_pipeline(self, stock: Stock) -> None:
        call = {"target": "builtins.list", "store_as": "step 1"}
        steps = [call, {"op": "store", "id": "step 2", "value": 1}]
        stock.ok("pipeline", {"steps": steps})
        listed = stock.ok("list_stored", {"prefix": "step "}, channel="control")["objects"]
        assert [line["made_by"]["label"] for line in listed] == ["builtins.list", "store"]

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


class Comm:
    """A front-end that can send only comm messages, and may have several of them under way."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.comm_id = uuid.uuid4().hex
        stock.send("comm_open", {"comm_id": self.comm_id, "target_name": "snakekernel", "data": {}})

    def send(self, id: Any, op: str, content: Any) -> str:
        """Send a request under this id; returns the message's own."""
        data = {"op": op, "content": content, "id": id}
        return self.stock.send("comm_msg", {"comm_id": self.comm_id, "data": data})

    def came(self, id: Any, field: str) -> list[Any]:
        """What came for this id: its answers (``content``), or its ``progress``."""
        messages = [m["content"] for m in self.stock.messages["iopub"] if m["msg_type"] == "comm_msg"]
        mine = [m["data"] for m in messages if m["comm_id"] == self.comm_id and m["data"]["id"] == id]
        return [data[field] for data in mine if field in data]

    def answer(self, id: Any) -> dict[str, Any]:
        """The one answer to a request."""
        self.stock.until(lambda: bool(self.came(id, "content")), "an answer")
        self.stock.flush_iopub()
        (answer,) = self.came(id, "content")
        return dict(answer)


class TestComm:
    def test_tasks_hold_up_nothing(self, stock: Stock, make: Callable[[str], str]) -> None:
        comm, other = Comm(stock), Comm(stock)
        comm.send("a", "inspect", {"target": ["stored", make("Endless")], "run_code": True, "budget": 60})
        comm.send("b", "inspect", {"target": ["stored", make("Plain")], "run_code": True})
        # The main thread is free, and the comm answers what is no task.
        comm.send("c", "ping", {})
        assert comm.answer("c")["status"] == "ok"
        assert not comm.came("a", "content")
        # Ids are a comm's own.
        other.send("d", "cancel", {"msg_id": "a"})
        assert other.answer("d")["cancelled"] is False
        comm.send("e", "cancel", {"msg_id": "a"})
        assert comm.answer("e")["cancelled"] is True
        assert comm.answer("a")["code"] == "cancelled"
        assert comm.answer("b")["inspection"]["string_repr"] == "plain itself"

    def test_interrupts_at_any_moment(self, fresh_kernel: Callable[..., tuple[Any, Stock]]) -> None:
        client, stock = fresh_kernel()
        stock.cell(_OBJECTS + "plain = Plain()")
        comm = Comm(stock)
        asked = [
            ("ping", {}),
            ("inspect", {"target": "user.plain", "run_code": True}),
            ("watch", {"lease": 9}),
        ]
        numbers = range(150)
        for number, (op, content) in zip(numbers, itertools.cycle(asked), strict=False):
            comm.send(number, op, content)
            client.interrupt()
        stock.fence()
        stock.until(lambda: all(comm.came(number, "content") for number in numbers), "the answers")
        stock.flush_iopub()
        assert [len(comm.came(number, "content")) for number in numbers] == [1] * len(numbers)
        names = stock.call("builtins.eval", _THREADS)
        assert [names.count(f"snakekernel {name}") for name in ("inspector", "watch")] == [1, 1]

    def test_a_watch_ends_with_its_comm(self, fresh_kernel: Callable[..., tuple[Any, Stock]]) -> None:
        _, stock = fresh_kernel()
        comm = Comm(stock)
        comm.send(1, "watch", {"variables": [], "lease": 3_600})
        assert comm.answer(1)["expires_at"] > 0
        stock.send("comm_close", {"comm_id": comm.comm_id})
        while "snakekernel watch" in stock.call("builtins.eval", _THREADS):
            stock.poll(lambda: False, 0.1)


_SLOW = """
import pandas
big = pandas.DataFrame({"n": range(3_000_000), "t": ["text " * 5] * 3_000_000})
"""


class TestProgress:
    def test_it_is_told_to_who_asked(self, stock: Stock) -> None:
        stock.cell(_SLOW)
        content = {"target": "user.big", "filter": [{"column": 1, "op": "regex", "value": "x+t.$"}]}
        task = stock.send("table", {**content, "budget": 60}, channel="control")
        assert stock.only_reply(task, channel="control")["content"]["status"] == "ok"
        stock.flush_iopub()
        told = [m for m in stock.messages["iopub"] if m["msg_type"] == "snake_progress"]
        assert told
        for message in told:
            assert message["parent_header"]["msg_id"] == task
            assert set(message["content"]) == {"done", "total", "text"}
        # Requests on control are never shown as busy.
        assert not stock.statuses(task)

    def test_on_a_comm(self, stock: Stock) -> None:
        comm = Comm(stock)
        content = {"target": "user.big", "sort": [{"column": 1}], "search": "no such", "budget": 60}
        comm.send("p", "table", content)
        assert comm.answer("p")["status"] == "ok"
        assert comm.came("p", "progress")
        stock.cell("del big")
