"""Targets, references and awaitables on a real kernel."""

from __future__ import annotations

from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("target", "args", "value"),
    [
        ("builtins.len", ["abc"], 3),
        ("os.path.join", ["a", "b"], "a/b"),
        ("xml.etree.ElementTree.fromstring", None, None),
        ("datetime.datetime.fromisoformat", ["2024-02-29T00:00:00"], {"$datetime": "2024-02-29T00:00:00"}),
        ("builtins.str.upper", ["abc"], "ABC"),
        ("builtins.dict.fromkeys", [["a"], 1], {"a": 1}),
        ("fractions.Fraction.__add__", None, None),
        ("sys.maxsize", [], 2**63 - 1),
        ("math.pi", [], 3.141592653589793),
        (["builtins", "len"], ["abc"], 3),
        (["os", {"attr": "path"}, "join"], ["a"], "a"),
        (["string", "ascii_letters", 0], [], "a"),
        (["os", "path", {"attr": "sep"}], [], "/"),
    ],
)
def test_importable_targets(stock: Stock, target: Any, args: Any, value: Any) -> None:
    if args is None:
        assert stock.ok("inspect", {"target": target})["inspection"]["callable"]
        return
    got = stock.call(target, *args)
    assert got == ({"$int": str(value)} if isinstance(value, int) and value > 2**53 else value)


def test_stored_targets(stock: Stock) -> None:
    stock.ok("store", {"id": "my.model", "value": {"a": [1, 2, 3], "pop": "an item"}})
    assert stock.call(["stored", "my.model", "a", 1]) == 2
    assert stock.call(["stored", "my.model", "a", "index"], 3) == 2
    assert stock.call(["stored", "my.model", "pop"]) == "an item"  # a Mapping's key comes first
    assert stock.call(["stored", "my.model", {"attr": "pop"}], "pop") == "an item"
    assert stock.call(["stored", "my.model", {"item": "a"}, {"item": 0}]) == 1
    stock.ok("store", {"id": "my", "value": [7]})
    assert stock.call("stored.my.pop") == 7
    stock.cell("stored.adder = lambda a, b=1: a + b")
    assert stock.call("stored.adder", 1) == stock.call("stored.adder.__call__", 1) == 2
    assert stock.call("stored.adder", 1, b=5) == 6


def test_items_with_keys_that_json_cannot_express(stock: Stock) -> None:
    stock.cell("stored.odd = {(1, 2): 'tuple', 3: 'int', None: 'none', 2.5: 'float'}")
    assert stock.call(["stored", "odd", {"item": {"$tuple": [1, 2]}}]) == "tuple"
    assert stock.call(["stored", "odd", 3]) == "int"
    assert stock.call(["stored", "odd", {"item": None}]) == "none"
    assert stock.call(["stored", "odd", {"item": 2.5}]) == "float"


def test_user_targets(stock: Stock) -> None:
    stock.cell("counter = {'n': 0}\ndef bump(by=1):\n counter['n'] += by\n return counter['n']")
    assert stock.call("user.bump", by=3) == 3
    assert stock.call("user.counter.n") == 3
    stock.ok("set", {"target": "user.counter", "value": {"n": 10}})
    assert stock.call("user.bump") == 11
    stock.cell("assert counter == {'n': 11}")


def test_references_anywhere_in_arguments(stock: Stock) -> None:
    stock.ok("store", {"id": "data", "value": {"xs": [3, 1, 2]}})
    assert stock.call("builtins.sorted", {"$ref": ["data", "xs"]}) == [1, 2, 3]
    value = stock.call("builtins.list", [{"a": {"$tuple": [{"$ref": ["data", "xs", 0]}]}}])
    assert value == [{"a": {"$tuple": [3]}}]
    assert stock.call("builtins.dict", x={"deep": [{"$ref": ["data", "xs", {"item": 1}]}]}) == {
        "x": {"deep": [1]}
    }
    stock.cell("def same(a, b): return a is b")
    assert stock.call("user.same", {"$ref": "data"}, {"$ref": "data"}) is True


def test_string_refs(stock: Stock) -> None:
    stock.ok("store", {"id": "words", "value": ["b", "a"]})
    for content, value in [
        ({"args": ["stored.words"], "string_refs": True}, ["a", "b"]),
        ({"args": [["stored.words", "x"]], "string_refs": True}, None),
    ]:
        reply = stock.ask("call", {"target": "builtins.sorted", **content})
        if value is not None:
            assert reply["result"]["value"] == value
        else:
            assert reply["ename"] == "TypeError"  # a list and a text do not compare: it was resolved
    stock.ok("store", {"id": "nested", "value": {"a": [1]}})
    assert stock.call("builtins.len", "stored.words") == len("stored.words")
    reply = stock.ok(
        "call",
        {
            "target": "builtins.dict",
            "kwargs": {"x": {"y": ["stored.nested.a", "stored"]}},
            "string_refs": True,
        },
    )
    assert reply["result"]["value"] == {"x": {"y": [[1], "stored"]}}
    reply = stock.fails("call", {"target": "builtins.len", "args": ["stored.nope"], "string_refs": True})
    assert (reply["code"], reply["at"]) == ("not_found", "$.args[0]")


class TestAwaitables:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def awaitables(cls, stock: Stock) -> None:
        """Awaitables of each kind."""
        stock.cell(
            "import asyncio, types, contextvars\n"
            "async def double(x):\n"
            "    await asyncio.sleep(0)\n"
            "    return 2 * x\n"
            "class Awaitable:\n"
            "    def __await__(self):\n"
            "        return (yield from double(21).__await__())\n"
            "class Plain:\n"
            "    def __await__(self): return iter([])\n"
            "def future():\n"
            "    made = asyncio.get_running_loop().create_future()\n"
            "    asyncio.get_running_loop().call_soon(made.set_result, 42)\n"
            "    return made\n"
            "def task(): return asyncio.ensure_future(double(21))\n"
            "@types.coroutine\n"
            "def generator():\n"
            "    yield\n"
            "    return 42\n"
            "async def with_timeout():\n"
            "    try:\n"
            "        async with asyncio.timeout(0.01): await asyncio.sleep(100)\n"
            "    except TimeoutError: return 'timed out'\n"
            "async def gathered(): return await asyncio.gather(double(1), double(2))\n"
            "async def name(): return asyncio.current_task() is not None\n"
            "async def agen():\n"
            "    yield 1\n"
        )

    @pytest.mark.parametrize("route", ["shell", "subshell"])
    @pytest.mark.parametrize(
        ("target", "args", "value"),
        [
            ("user.double", [21], 42),
            ("user.Awaitable", [], 42),
            ("user.Plain", [], None),
            ("user.future", [], 42),
            ("user.task", [], 42),
            ("user.generator", [], 42),
            ("user.with_timeout", [], "timed out"),
            ("user.gathered", [], [2, 4]),
            ("user.name", [], True),
        ],
    )
    def test_are_awaited(
        self, stock: Stock, subshell: str, route: str, target: str, args: list[Any], value: Any
    ) -> None:
        where = {"subshell_id": subshell} if route == "subshell" else {}
        reply = stock.ok("call", {"target": target, "args": args}, **where)
        assert reply["result"]["value"] == value

    def test_async_generators_are_objects(self, stock: Stock) -> None:
        assert stock.ok("call", {"target": "user.agen"})["result"]["type"] == "async_generator"

    def test_in_a_pipeline(self, stock: Stock) -> None:
        steps = [{"target": "user.double", "args": [1]}, {"target": "user.double", "args": [{"$step": 0}]}]
        reply = stock.ok("pipeline", {"steps": steps})
        assert [one["result"]["value"] for one in reply["pipeline_results"]] == [2, 4]

    def test_a_stored_coroutine_function(self, stock: Stock) -> None:
        stock.cell("stored.double = double")
        assert stock.call("stored.double", 4) == 8

    def test_cells_still_await(self, stock: Stock) -> None:
        stock.cell("assert await double(3) == 6")
