"""Calls sent with ``concurrent``: what awaits lets others be served, and shares nothing with them."""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest
from stock_client import Stock

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"n{uuid.uuid4().hex}"


@pytest.fixture(scope="module", autouse=True)
def functions(stock: Stock) -> None:
    """Gates that a call waits at until another one opens them; each says when it has begun."""
    stock.cell(
        "import asyncio, contextvars, random\n"
        "from collections import defaultdict\n"
        "gates = defaultdict(asyncio.Event)\n"
        "seen = contextvars.ContextVar('seen', default=None)\n"
        "async def passes(name, *values):\n"
        "    print('begun', name, flush=True)\n"
        "    seen.set(name)\n"
        "    await gates[name].wait()\n"
        "    print('passed', name)\n"
        "    assert seen.get() == name\n"
        "    return [name, *values]\n"
        "def later(name):\n"
        "    return passes(name)\n"
        "def opens(name):\n"
        "    gates[name].set()\n"
        "async def fails(name):\n"
        "    await gates[name].wait()\n"
        "    raise LookupError(name)\n"
        "async def spins(name):\n"
        "    await gates[name].wait()\n"
        "    print('spins', flush=True)\n"
        "    while True: pass\n"
        "async def wanders(steps, value):\n"
        "    for _ in range(steps): await asyncio.sleep(random.random() / 1000)\n"
        "    return value\n"
        "async def cancels_all():\n"
        "    for task in asyncio.all_tasks():\n"
        "        if task is not asyncio.current_task(): task.cancel()\n"
    )


def _begin(stock: Stock, target: str, *args: Any, **fields: Any) -> str:
    content = {"target": f"user.{target}", "args": list(args), "concurrent": True, **fields}
    return stock.send("call", content)


def _value(stock: Stock, msg_id: str) -> Any:
    reply = stock.only_reply(msg_id)["content"]
    assert reply["status"] == "ok", reply
    return reply["result"]["value"]


def _code(stock: Stock, msg_id: str) -> str:
    return str(stock.only_reply(msg_id)["content"]["code"])


class TestOthersAreServed:
    def test_calls(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "passes", name, 5)
        # It would never be served behind one that holds the shell.
        stock.call("user.opens", name)
        assert _value(stock, waiting) == [name, 5]

    def test_cells(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "passes", name)
        stock.cell(f"opens({name!r})")
        assert _value(stock, waiting) == [name]

    def test_while_a_cell_awaits(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "passes", name)
        stock.cell(f"asyncio.get_running_loop().call_soon(opens, {name!r})\nawait passes({name!r})")
        assert _value(stock, waiting) == [name]

    def test_the_end_may_be_in_any_order(self, stock: Stock, name: str) -> None:
        names = [f"{name}{i}" for i in range(5)]
        waiting = [_begin(stock, "passes", each) for each in names]
        for each, msg_id in reversed(list(zip(names, waiting, strict=True))):
            stock.call("user.opens", each)
            assert _value(stock, msg_id) == [each]

    def test_a_function_that_returns_an_awaitable(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "later", name)
        stock.call("user.opens", name)
        assert _value(stock, waiting) == [name]

    def test_what_awaits_nothing_is_a_call_as_any(self, stock: Stock) -> None:
        assert stock.ok("call", {"target": "math.pi", "concurrent": True})["result"]["value"] > 3
        reply = stock.fails("call", {"target": "math.sqrt", "args": [-1], "concurrent": True})
        assert reply["ename"] == "ValueError"

    def test_a_step_of_a_pipeline(self, stock: Stock, name: str) -> None:
        steps = [
            {"target": "user.passes", "args": [name], "concurrent": True},
            {"target": "builtins.len", "args": [{"$step": [0]}]},
        ]
        waiting = stock.send("pipeline", {"steps": steps})
        stock.call("user.opens", name)
        results = stock.only_reply(waiting)["content"]["pipeline_results"]
        assert results[1]["result"]["value"] == 1

    def test_on_a_subshell_each_is_served_to_its_end(self, stock: Stock, subshell: str, name: str) -> None:
        stock.cell(f"opens({name!r})")
        content = {"target": "user.wanders", "args": [2, 1], "concurrent": True}
        first = stock.send("call", content, subshell_id=subshell)
        second = stock.send("ping", subshell_id=subshell)
        stock.reply(second)
        assert [m["parent_header"]["msg_id"] for m in stock.messages["shell"][-2:]] == [first, second]


class TestWhatIsItsOwn:
    def test_its_output(self, stock: Stock, name: str) -> None:
        names = [f"{name}{i}" for i in range(3)]
        waiting = [_begin(stock, "passes", each) for each in names]
        for each, msg_id in zip(names, waiting, strict=True):
            stock.call("user.opens", each)
            assert _value(stock, msg_id) == [each]
        for each, msg_id in zip(names, waiting, strict=True):
            text = "".join(m["content"]["text"] for m in stock.outputs(msg_id))
            assert text == f"begun {each}\npassed {each}\n"
            assert stock.reply(msg_id)["content"]["output"] == len(stock.outputs(msg_id))

    def test_its_context(self, stock: Stock, name: str) -> None:
        # Each asserts that it sees its own after the others have set theirs.
        names = [f"{name}{i}" for i in range(3)]
        waiting = [_begin(stock, "passes", each) for each in names]
        assert stock.call("user.seen.get") is None
        for each in names:
            stock.call("user.opens", each)
        assert [_value(stock, msg_id) for msg_id in waiting] == [[each] for each in names]
        assert stock.call("user.seen.get") is None

    def test_what_it_stores_is_there_when_it_ends(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "passes", name, store_as=name)
        assert stock.fails("retrieve", {"id": name})["code"] == "not_found"
        stock.call("user.opens", name)
        stock.only_reply(waiting)
        assert stock.ok("retrieve", {"id": name})["object"]["value"] == [name]

    def test_its_exception(self, stock: Stock, name: str) -> None:
        fails, passes = _begin(stock, "fails", name), _begin(stock, "passes", name)
        stock.call("user.opens", name)
        reply = stock.only_reply(fails)["content"]
        assert (reply["ename"], reply["evalue"]) == ("LookupError", name)
        assert _value(stock, passes) == [name]

    def test_a_repeated_call_id_gets_its_outcome(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "passes", name, call_id=name)
        stock.call("user.opens", name)
        assert _value(stock, waiting) == [name]
        assert _value(stock, _begin(stock, "passes", name, call_id=name)) == [name]

    def test_its_repetition_waits_beside_others_too(self, stock: Stock, name: str) -> None:
        both = [_begin(stock, "passes", name, call_id=name) for _ in range(2)]
        # Comes after the repetition, which would hold the shell.
        stock.call("user.opens", name)
        for waiting in both:
            assert _value(stock, waiting) == [name]


class TestStopping:
    def test_an_interrupt_strikes_the_one_that_holds_the_thread(self, stock: Stock, name: str) -> None:
        spins, waiting = _begin(stock, "spins", name), _begin(stock, "passes", f"{name}2")
        stock.until_it_prints(waiting)
        opened = stock.send("call", {"target": "user.opens", "args": [name]})
        stock.until_it_prints(spins)
        stock.reply(stock.send("interrupt_request", channel="control"), channel="control")
        assert _code(stock, spins) == "interrupted"
        stock.only_reply(opened)
        stock.call("user.opens", f"{name}2")
        assert _value(stock, waiting) == [f"{name}2"]

    def test_an_interrupt_strikes_all_that_await(self, stock: Stock, name: str) -> None:
        waiting = [_begin(stock, "passes", name) for _ in range(3)]
        for msg_id in waiting:
            stock.until_it_prints(msg_id)
        stock.fence()
        stock.reply(stock.send("interrupt_request", channel="control"), channel="control")
        assert [_code(stock, msg_id) for msg_id in waiting] == ["interrupted"] * 3

    def test_a_cell_that_awaits_takes_the_interrupt(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "passes", name)
        # In steps: ipykernel's own handler does not wake a loop that sleeps.
        code = "print('begun', flush=True)\nwhile True: await asyncio.sleep(0.01)"
        cell = stock.send("execute_request", {"code": code, "silent": False})
        stock.until_it_prints(cell)
        stock.reply(stock.send("interrupt_request", channel="control"), channel="control")
        assert stock.reply(cell)["content"]["status"] == "error"
        stock.call("user.opens", name)
        assert _value(stock, waiting) == [name]

    def test_cancel_stops_one(self, stock: Stock, name: str) -> None:
        waiting = [_begin(stock, "passes", name) for _ in range(3)]
        for msg_id in waiting:
            stock.until_it_prints(msg_id)
        assert stock.ok("cancel", {"msg_id": waiting[1]}, channel="control")["cancelled"]
        stock.call("user.opens", name)
        assert _value(stock, waiting[0]) == _value(stock, waiting[2]) == [name]
        assert _code(stock, waiting[1]) == "cancelled"

    def test_a_deadline_stops_one(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "passes", name)
        assert _code(stock, _begin(stock, "passes", name, deadline=0.05)) == "deadline"
        stock.call("user.opens", name)
        assert _value(stock, waiting) == [name]

    def test_code_that_cancels_all_tasks(self, stock: Stock, name: str) -> None:
        waiting = _begin(stock, "passes", name)
        stock.until_it_prints(waiting)
        stock.only_reply(_begin(stock, "cancels_all"))
        assert stock.only_reply(waiting)["content"]["status"] == "error"
        assert stock.call("math.sqrt", 4) == 2


def test_many_between_others_get_one_reply_each(stock: Stock) -> None:
    chance = random.Random(5)
    sent = {}
    for number in range(300):
        if chance.random() < 0.7:
            sent[_begin(stock, "wanders", chance.randrange(4), number)] = number
        else:
            sent[stock.send("call", {"target": "operator.pos", "args": [number]})] = number
    stock.until(lambda: all(stock.replies(msg_id) for msg_id in sent), "all replies")
    stock.fence()
    for msg_id, number in sent.items():
        assert [m["content"]["result"]["value"] for m in stock.replies(msg_id)] == [number]
