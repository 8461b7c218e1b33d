"""The stored objects in notebook cells: live both ways, and pinned by nothing of ours."""

from __future__ import annotations

from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


_WATCHED = (
    "import weakref\n"
    "class Thing:\n"
    "    def __init__(self): self.x = 1\n"
    "    def fail(self, *args, **kwargs):\n"
    "        mine = self\n"
    "        raise ValueError('failed')\n"
    "    async def fail_later(self):\n"
    "        import asyncio\n"
    "        await asyncio.sleep(0)\n"
    "        mine = self\n"
    "        raise ValueError('failed')\n"
    "watched = {}\n"
    "def watch(thing): watched[thing.x] = weakref.ref(thing)\n"
    "def alive(): return sorted(x for x, ref in watched.items() if ref() is not None)\n"
)


class TestLiveBothWays:
    def test_from_outside_to_cells(self, stock: Stock) -> None:
        stock.ok("store", {"id": "df", "value": {"a": 1}})
        stock.ok("store", {"id": "my.model ✓", "value": 2})
        stock.cell(
            "assert stored['df'] == {'a': 1} and stored.df is stored['df']\n"
            "assert stored['my.model ✓'] == 2\n"
            "assert 'df' in stored and 'nope' not in stored and 5 not in stored\n"
            "assert {'df', 'my.model ✓'} <= set(stored) and len(stored) == len(list(stored))\n"
            "stored.df['b'] = 2\n"
        )
        assert stock.ok("retrieve", {"id": "df"})["object"]["value"] == {"a": 1, "b": 2}

    def test_from_cells_to_outside(self, stock: Stock) -> None:
        cell = stock.send("execute_request", {"code": "stored['made'] = [1]; stored.made_too = (2,)"})
        stock.reply(cell)
        assert stock.ok("retrieve", {"id": "made"})["object"]["value"] == [1]
        assert stock.ok("retrieve", {"id": "made_too"})["object"]["value"] == {"$tuple": [2]}
        (entry,) = stock.ok("list_stored", {"prefix": "made_too"})["objects"]
        assert entry["writer"] == cell
        stock.cell("del stored['made'], stored.made_too")
        assert stock.fails("retrieve", {"id": "made"})["code"] == "not_found"

    def test_the_errors_of_a_mapping(self, stock: Stock) -> None:
        stock.cell(
            "def raises(kind, code):\n"
            "    try: exec(code)\n"
            "    except kind: return True\n"
            "assert raises(KeyError, \"stored['nope']\") and raises(AttributeError, 'stored.nope')\n"
            "assert raises(KeyError, \"del stored['nope']\")\n"
            "assert raises(AttributeError, 'del stored.nope')\n"
            "assert raises(TypeError, 'stored[5] = 1') and raises(TypeError, \"stored[''] = 1\")\n"
            "assert stored.get('nope', 7) == 7\n"
            "assert stored.setdefault('set', 8) == 8 and stored.pop('set') == 8\n"
        )

    def test_sessions_are_not_seen(self, stock: Stock) -> None:
        stock.ok("store", {"id": "private", "value": 1, "session_id": "s"})
        stock.cell("assert 'private' not in stored")

    @pytest.mark.parametrize(
        "reset", ["%reset -f", "%reset -f out", "%reset_selective -f stored", "del stored"]
    )
    def test_it_survives_a_reset(self, stock: Stock, reset: str) -> None:
        stock.ok("store", {"id": "kept", "value": 5})
        stock.run(reset)
        stock.cell("assert stored.kept == 5 and stored['kept'] == 5")
        assert stock.call("stored.kept") == 5
        if reset == "%reset -f":
            assert stock.fails("call", {"target": "user.raises"})["code"] == "unresolvable"

    def test_a_variable_of_that_name_is_the_users(self, stock: Stock) -> None:
        stock.cell("stored = 5")
        stock.cell("assert stored == 5")
        assert stock.call("stored.kept") == 5
        stock.cell("del stored")
        stock.cell("assert stored.kept == 5")

    def test_it_is_no_variable_of_the_user(self, stock: Stock) -> None:
        stock.cell("assert 'stored' not in get_ipython().run_line_magic('who_ls', '')")

    def test_completion(self, stock: Stock) -> None:
        stock.ok("store", {"id": "completed_name", "value": 5})
        for code in ("stored.completed_n", "stored['completed_n"):
            reply = stock.reply(stock.send("complete_request", {"code": code, "cursor_pos": len(code)}))
            assert any("completed_name" in match for match in reply["content"]["matches"])

    def test_repr_and_rich_display(self, stock: Stock) -> None:
        cell = stock.send("execute_request", {"code": "stored", "store_history": False})
        (result,) = [m for m in stock.outputs(cell) if m["msg_type"] == "execute_result"]
        assert "completed_name: builtins.int" in result["content"]["data"]["text/plain"]


class TestNothingPins:
    @pytest.fixture(autouse=True)
    def thing(self, stock: Stock) -> str:
        """A stored object that is watched, and referred to by nothing else."""
        stock.cell(_WATCHED)
        stock.ok("call", {"target": "user.Thing", "store_as": "thing", "returns": "none"})
        stock.ok("call", {"target": "user.watch", "args": [{"$ref": "thing"}]})
        return "thing"

    def assert_gone_after_deletion(self, stock: Stock, **route: Any) -> None:
        """Without a collection of cycles: what is let go goes at once."""
        assert stock.call("user.alive") == [1]
        stock.cell("import gc; gc.disable()")
        stock.ok("delete_stored", {"id": "thing"}, **route)
        alive = stock.call("user.alive")
        stock.cell("gc.enable()")
        assert alive == []

    @pytest.mark.parametrize("channel", ["shell", "control"])
    def test_deletion(self, stock: Stock, channel: str) -> None:
        self.assert_gone_after_deletion(stock, channel=channel)

    @pytest.mark.parametrize(
        ("op", "content", "status"),
        [
            ("call", {"target": "stored.thing.fail", "args": [{"$ref": "thing"}]}, "error"),
            ("call", {"target": "stored.thing.fail_later"}, "error"),
            ("call", {"target": "stored.thing.no_such"}, "error"),
            ("call", {"target": "stored.thing", "returns": "value"}, "error"),
            ("call", {"target": "stored.thing"}, "ok"),
            ("call", {"target": "builtins.repr", "args": [{"$ref": "thing"}]}, "ok"),
            ("retrieve", {"id": "thing"}, "ok"),
            ("inspect", {"target": "stored.thing"}, "ok"),
            ("set", {"target": "stored.thing.y", "value": 5}, "ok"),
            (
                "pipeline",
                {
                    "steps": [
                        {"target": "stored.thing"},
                        {"target": "stored.thing.fail", "args": [{"$step": 0}]},
                    ]
                },
                "error",
            ),
            (
                "pipeline",
                {
                    "steps": [{"target": "stored.thing.fail"}, {"target": "stored.thing"}],
                    "stop_on_error": False,
                },
                "ok",
            ),
        ],
        ids=lambda v: str(v)[:70],
    )
    def test_requests(self, stock: Stock, op: str, content: dict[str, Any], status: str) -> None:
        assert stock.ask(op, content)["status"] == status
        assert stock.ask(op, {**content, "call_id": f"{op} {content}"})["status"] == status
        self.assert_gone_after_deletion(stock)

    def test_a_subshell(self, stock: Stock, subshell: str) -> None:
        stock.ask("call", {"target": "stored.thing.fail"}, subshell_id=subshell)
        stock.ok("call", {"target": "stored.thing"}, subshell_id=subshell)
        self.assert_gone_after_deletion(stock, subshell_id=subshell)

    def test_control(self, stock: Stock) -> None:
        stock.ok("inspect", {"target": "stored.thing"}, channel="control")
        stock.fails("inspect", {"target": "stored.thing.no_such"}, channel="control")
        self.assert_gone_after_deletion(stock, channel="control")

    @pytest.mark.parametrize(
        "code", ["stored.thing", "stored['thing']", "stored.thing\n", "[stored.thing][0]"]
    )
    def test_showing_it_in_a_cell(self, stock: Stock, code: str) -> None:
        stock.cell(code)
        stock.cell("1 + 1")
        self.assert_gone_after_deletion(stock)

    def test_showing_it_last(self, stock: Stock) -> None:
        stock.cell("import gc; gc.disable(); stored.thing")
        stock.ok("delete_stored", {"id": "thing"})
        assert stock.call("user.alive") == []
        stock.cell("gc.enable()")
        stock.cell("3 + 4\n")
        stock.cell("assert _ == 7, _")  # the history of other outputs goes on

    def test_a_cell_that_failed(self, stock: Stock) -> None:
        assert stock.run("stored.thing.fail()")["status"] == "error"
        self.assert_gone_after_deletion(stock)

    def test_deletion_in_a_cell(self, stock: Stock) -> None:
        stock.cell("stored.thing")
        stock.cell("del stored.thing\nassert alive() == [], alive()")

    def test_replacement(self, stock: Stock) -> None:
        stock.cell("stored.thing")
        stock.ok("store", {"id": "thing", "value": 1})
        assert stock.call("user.alive") == []

    def test_other_outputs_stay(self, stock: Stock) -> None:
        stock.cell("stored.five = 5; kept = [5]; kept")
        number = int(stock.run("get_ipython().execution_count")["execution_count"])
        stock.cell("stored.five")
        stock.ok("delete_stored", {"id": "five"})
        stock.cell(f"assert Out[{number + 1}] == 5 and Out[{number - 1}] is kept")
