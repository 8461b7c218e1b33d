"""The magics of the stored objects, as cells use them."""

from __future__ import annotations

from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def objects(stock: Stock) -> None:
    """What the magics are tried on."""
    stock.cell(
        "stored.clear()\n"
        "class Loud:\n"
        "    def __repr__(self): raise RuntimeError('asked')\n"
        "    __len__ = __repr__\n"
        "stored.numbers = [3, 1, 2]\n"
        "stored.settings = {'lm': {'model': 'x<y>'}}\n"
        "stored['my name'] = 5\n"
        "stored.loud = Loud()\n"
    )


def result(stock: Stock, code: str) -> dict[str, Any]:
    """The bundle that a cell's value is shown as."""
    cell = stock.send("execute_request", {"code": code, "store_history": True})
    assert stock.reply(cell)["content"]["status"] == "ok", stock.reply(cell)["content"]
    (shown,) = [m for m in stock.outputs(cell) if m["msg_type"] == "execute_result"]
    return dict(shown["content"]["data"])


def usage_error(stock: Stock, code: str) -> str:
    """What a cell's UsageError says."""
    cell = stock.send("execute_request", {"code": code, "stop_on_error": False})
    assert stock.reply(cell)["content"]["status"] == "error"
    assert stock.reply(cell)["content"]["ename"] == "UsageError"
    return str(stock.reply(cell)["content"]["evalue"])


class TestObjects:
    def test_a_table_of_all(self, stock: Stock) -> None:
        shown = result(stock, "%objects")
        assert "4 stored objects" in shown["text/plain"]
        assert "<table>" in shown["text/html"]
        for name in ("numbers", "settings", "my name", "loud"):
            assert name in shown["text/html"]

    def test_a_pattern(self, stock: Stock) -> None:
        shown = result(stock, "%objects n*")
        assert "1 stored object like n*" in shown["text/plain"]
        assert "settings" not in shown["text/html"]

    def test_none(self, stock: Stock) -> None:
        assert "No objects" in result(stock, "%objects nothing*")["text/plain"]

    def test_the_mapping_shows_the_same(self, stock: Stock) -> None:
        assert result(stock, "stored")["text/html"] == result(stock, "%objects")["text/html"]


class TestObject:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("numbers", "[3, 1, 2]"),
            ("my name", "5"),
            ("settings.lm", "x<y>"),
            ("settings['lm'].model", "x<y>"),
            ("numbers[0]", "3"),
            ("stored.numbers", "[3, 1, 2]"),
            ("numbers.append", "append"),
        ],
    )
    def test_it_is_shown(self, stock: Stock, words: str, said: str) -> None:
        shown = result(stock, f"%object {words}")
        assert said in shown["text/plain"]
        assert "<script" not in shown["text/html"]
        assert "x<y>" not in shown["text/html"]

    def test_a_hostile_one(self, stock: Stock) -> None:
        assert "Loud" in result(stock, "%object loud")["text/plain"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [("", "Name a stored object"), ("nope", "'nope'"), ("numbers.nope", "nope"), ("5 + 5", "'5 + 5'")],
    )
    def test_usage_errors(self, stock: Stock, words: str, said: str) -> None:
        assert said in usage_error(stock, f"%object {words}")


class TestDelObject:
    def test_it_is_gone(self, stock: Stock) -> None:
        stock.cell("%del_object my name")
        assert stock.fails("retrieve", {"id": "my name"})["code"] == "not_found"

    def test_usage_errors(self, stock: Stock) -> None:
        assert "%objects lists" in usage_error(stock, "%del_object")
        assert "'nope'" in usage_error(stock, "%del_object nope")


class TestStoreAs:
    def test_the_last_value_is_stored_and_shown(self, stock: Stock) -> None:
        shown = result(stock, "%%store_as total\nx = sum(stored.numbers)\nx * 2")
        assert shown["text/plain"] == "12"
        assert stock.ok("retrieve", {"id": "total"})["object"]["value"] == 12
        assert stock.call("user.x") == 6

    def test_a_semicolon_shows_nothing(self, stock: Stock) -> None:
        cell = stock.send("execute_request", {"code": "%%store_as quiet\n5;"})
        assert stock.reply(cell)["content"]["status"] == "ok"
        assert not [m for m in stock.outputs(cell) if m["msg_type"] == "execute_result"]
        assert stock.ok("retrieve", {"id": "quiet"})["object"]["value"] == 5

    def test_magics_within(self, stock: Stock) -> None:
        stock.cell("%%store_as inner\n%call builtins.len stored.numbers")
        assert stock.ok("retrieve", {"id": "inner"})["object"]["value"] == 3

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("%%store_as\n5", "%%store_as NAME"),
            ("%%store_as x\ny = 5", "no expression"),
            ("%%store_as x\n# nothing", "no expression"),
            ("%%store_as ~1\n5", "kernel's own"),
            ("%%store_as x\nimport asyncio\nawait asyncio.sleep(0)", "await"),
        ],
    )
    def test_usage_errors(self, stock: Stock, code: str, said: str) -> None:
        assert said in usage_error(stock, code)

    def test_what_the_cell_raises(self, stock: Stock) -> None:
        reply = stock.run("%%store_as never\n1 / 0", stop_on_error=False)
        assert reply["ename"] == "ZeroDivisionError"
        assert stock.fails("retrieve", {"id": "never"})["code"] == "not_found"


class TestCall:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("math.hypot 3, 4", "5.0"),
            ("math.hypot(3, 4)", "5.0"),
            ("stored.numbers.count 3", "1"),
            ("stored.numbers[0]", "3"),
            ("builtins.sorted stored.numbers, reverse=True", "[3, 2, 1]"),
            ("user.double 4", "8"),
            ("stored.settings['lm']", "{'model': 'x<y>'}"),
            ("builtins.str 'a -> b'", "'a -> b'"),
            ("builtins.len {'a': 1}", "1"),
            ("math.pi", "3.141592653589793"),
            ("stored['my name']", "5"),
        ],
    )
    def test_its_result_is_shown(self, stock: Stock, words: str, said: str) -> None:
        stock.cell("double = lambda n: 2 * n")
        assert result(stock, f"%call {words}")["text/plain"] == said

    @pytest.mark.parametrize(
        "words", ["builtins.sorted stored.numbers -> kept", "builtins.sorted(stored.numbers) -> kept"]
    )
    def test_its_result_is_stored(self, stock: Stock, words: str) -> None:
        stock.cell(f"assert get_ipython().run_line_magic('call', {words!r}) is None")
        assert stock.ok("retrieve", {"id": "kept"})["object"]["value"] == [1, 2, 3]

    def test_an_arrow_in_a_text(self, stock: Stock) -> None:
        stock.cell("%call builtins.str 'a -> b' -> my text")
        assert stock.ok("retrieve", {"id": "my text"})["object"]["value"] == "a -> b"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("", "%call TARGET"),
            ("math.hypot 3 4", "arguments"),
            ("no_such_module.f", "no_such_module"),
            ("stored.nope", "'nope'"),
            ("user.nope", "'nope'"),
            ("stored.numbers 5", "takes no arguments"),
            ("math.pi -> ~1", "kernel's own"),
            ("asyncio.sleep 0", "asynchronous"),
        ],
    )
    def test_usage_errors(self, stock: Stock, words: str, said: str) -> None:
        assert said in usage_error(stock, f"%call {words}")

    def test_what_the_target_raises(self, stock: Stock) -> None:
        assert stock.run("%call operator.truediv 1, 0", stop_on_error=False)["ename"] == "ZeroDivisionError"


class TestTheyAreMagics:
    def test_lsmagic_lists_them(self, stock: Stock) -> None:
        listed = result(stock, "%lsmagic")["text/plain"]
        for name in ("%objects", "%object", "%del_object", "%call", "%%store_as"):
            assert name in listed

    @pytest.mark.parametrize("name", ["%objects", "%object", "%del_object", "%call", "%%store_as"])
    def test_they_are_documented(self, stock: Stock, name: str) -> None:
        (page,) = stock.run(f"{name}?")["payload"]
        assert "Usage::" in page["data"]["text/plain"]
