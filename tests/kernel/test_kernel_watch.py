"""``watch``: what cells and calls change in place is told, to those who ask and for as long as they do."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from stock_client import PATIENCE, Stock

pytestmark = pytest.mark.kernel


@pytest.fixture
def name() -> str:
    """A name nobody else uses, which is an identifier."""
    return f"x{uuid.uuid4().hex}"


@pytest.fixture(autouse=True)
def _end(stock: Stock) -> Any:
    yield
    stock.ok("watch", {"lease": 0}, channel="control")


def told(stock: Stock, field: str, **wanted: Any) -> list[dict[str, Any]]:
    """The rows of this field of all announcements so far that have these values."""
    messages = [m["content"] for m in stock.messages["iopub"] if m["msg_type"] == "snake_changed"]
    rows = [row for content in messages for row in content.get(field, ())]
    return [row for row in rows if wanted.items() <= row.items()]


def until_told(stock: Stock, field: str, **wanted: Any) -> None:
    """Wait until it is told."""
    stock.until(lambda: bool(told(stock, field, **wanted)), f"{wanted} among {field}")


def watch(stock: Stock, **content: Any) -> dict[str, Any]:
    """Watch, on control."""
    return stock.ok("watch", content, channel="control")


class TestStoredObjects:
    def test_a_change_by_a_call(self, stock: Stock, name: str) -> None:
        stock.ok("store", {"id": name, "value": [1]})
        version = stock.ok("list_stored", {"prefix": name})["objects"][0]["version"]
        watch(stock, stored=[[None, name]])
        stock.ok("call", {"target": ["stored", name, "append"], "args": [2]})
        until_told(stock, "changes", action="changed", name=name, session_id=None, version=version)
        # It raises no version.
        assert stock.ok("list_stored", {"prefix": name})["objects"][0]["version"] == version

    def test_a_change_by_a_cell(self, stock: Stock, name: str) -> None:
        stock.cell(f"import pandas\nstored.{name} = pandas.DataFrame({{'a': [1, 2]}})")
        watch(stock, stored=[[None, name]])
        stock.cell(f"stored.{name}.loc[0, 'a'] = 9")
        until_told(stock, "changes", action="changed", name=name)

    def test_a_change_in_a_session(self, stock: Stock, name: str) -> None:
        stock.ok("store", {"id": name, "value": {}, "session_id": name})
        watch(stock, stored=[[name, name], ["no such session", name]])
        stock.ok("set", {"target": ["stored", name, "k"], "value": 1, "session_id": name})
        until_told(stock, "changes", action="changed", name=name, session_id=name)

    def test_a_change_while_a_cell_runs(self, stock: Stock, snake: Any, name: str) -> None:
        stock.ok("store", {"id": name, "value": []})
        watch(stock, stored=[[None, name]])
        cell = stock.send(
            "execute_request", {"code": f"print(1, flush=True)\nwhile True: stored.{name}.append(1)"}
        )
        stock.until_it_prints(cell)
        until_told(stock, "changes", action="changed", name=name)
        assert not stock.replies(cell)
        snake.interrupt()
        stock.reply(cell)
        stock.ok("delete_stored", {"id": name})

    def test_a_replaced_object_is_no_changed_one(self, stock: Stock, name: str) -> None:
        for other in ("a", "b"):
            stock.ok("store", {"id": name + other, "value": [1]})
        watch(stock, stored=[[None, name + "a"], [None, name + "b"]])
        stock.ok("store", {"id": name + "a", "value": [1, 2]})
        stock.ok("call", {"target": ["stored", name + "b", "append"], "args": [2]})
        until_told(stock, "changes", action="changed", name=name + "b")
        assert not told(stock, "changes", action="changed", name=name + "a")
        # The new one is watched too.
        stock.ok("call", {"target": ["stored", name + "a", "append"], "args": [2]})
        until_told(stock, "changes", action="changed", name=name + "a")

    def test_a_thousand(self, stock: Stock, name: str) -> None:
        steps = [{"op": "store", "id": f"{name}{n}", "value": [n]} for n in range(1_000)]
        stock.ok("pipeline", {"steps": steps})
        watch(stock, stored=[[None, f"{name}{n}"] for n in range(1_000)])

        def all_told() -> bool:
            rows = told(stock, "changes", action="changed")
            return len({row["name"] for row in rows if row["name"].startswith(name)}) == 1_000

        deadline = time.monotonic() + PATIENCE
        while not all_told():
            assert time.monotonic() < deadline, "waited for all changes"
            # What changes before its first look is not told, and on a busy machine that takes a while.
            stock.cell(f"for n in range(1_000): stored[f'{name}{{n}}'].append(n)")
            stock.poll(all_told, 5)


class TestVariables:
    def test_what_comes_goes_and_changes(self, stock: Stock, name: str) -> None:
        before = watch(stock, variables=[name])
        stock.cell(f"{name} = [1]")
        until_told(stock, "variables", action="stored", name=name)
        stock.cell(f"{name}.append(2)")
        until_told(stock, "variables", action="changed", name=name)
        stock.cell(f"{name} = 5")
        stock.until(lambda: len(told(stock, "variables", action="stored", name=name)) == 2, "the new value")
        stock.cell(f"del {name}")
        until_told(stock, "variables", action="deleted", name=name)
        assert stock.ok("list_variables", channel="control")["version"] >= before["variables_version"] + 4

    def test_only_those_named_are_looked_into(self, stock: Stock, name: str) -> None:
        stock.cell(f"{name}a, {name}b = [1], [1]")
        watch(stock, variables=[name + "b"])
        stock.cell(f"{name}a.append(2); {name}b.append(2)")
        until_told(stock, "variables", action="changed", name=name + "b")
        assert not told(stock, "variables", name=name + "a")

    def test_nobody_asked_for_them(self, stock: Stock, name: str) -> None:
        stock.ok("store", {"id": name, "value": [1]})
        watch(stock, stored=[[None, name]])
        stock.cell(f"{name} = 1; stored.{name}.append(2)")
        until_told(stock, "changes", action="changed", name=name)
        assert not told(stock, "variables", name=name)


_HOSTILE = """
import time
class Hostile:
    touched = []
    def __init__(self): self.__dict__["x"] = 0
    def __repr__(self): time.sleep(60)
    def __eq__(self, other): Hostile.touched.append("eq"); raise RuntimeError
    def __hash__(self): Hostile.touched.append("hash"); raise RuntimeError
    def __len__(self): Hostile.touched.append("len"); raise RuntimeError
    def __iter__(self): Hostile.touched.append("iter"); raise RuntimeError
    def __getattr__(self, name): Hostile.touched.append(name); raise RuntimeError
    @property
    def __class__(self): Hostile.touched.append("class"); return dict
    @property
    def prop(self): Hostile.touched.append("prop"); raise RuntimeError
class Meta(type):
    def __hash__(cls): Hostile.touched.append("meta hash"); raise RuntimeError
    def __eq__(cls, other): Hostile.touched.append("meta eq"); raise RuntimeError
    def __getattribute__(cls, name): Hostile.touched.append(name); return type.__getattribute__(cls, name)
class OfMeta(metaclass=Meta): pass
of_meta = OfMeta()
"""


def test_hostile_objects_harm_nothing(stock: Stock, name: str) -> None:
    stock.cell(_HOSTILE)
    stock.cell(f"hostile = stored.{name} = Hostile()\nstored.{name}m = of_meta\nHostile.touched.clear()")
    watch(stock, stored=[[None, name], [None, name + "m"]], variables=["hostile", "of_meta"])
    stock.cell("hostile.__dict__['x'] = 1\ntype.__setattr__(OfMeta, 'y', 2)\nof_meta.__dict__['x'] = 1")
    until_told(stock, "changes", action="changed", name=name)
    until_told(stock, "changes", action="changed", name=name + "m")
    until_told(stock, "variables", action="changed", name="hostile")
    listed = stock.ok("list_stored", {"prefix": name}, channel="control")["objects"]
    assert [line["preview"] for line in listed] == ["<Hostile object>", "<OfMeta object>"]
    assert stock.call("user.Hostile.touched") == []
    stock.cell(f"del stored.{name}, stored.{name}m, hostile, of_meta")


class TestLeases:
    _THREADS = "[t.name for t in __import__('threading').enumerate()]"

    def threads(self, stock: Stock) -> list[str]:
        """Names of the kernel's threads."""
        found: list[str] = stock.call("builtins.eval", self._THREADS)
        return found

    def test_it_ends_by_itself(self, fresh_kernel: Callable[..., tuple[Any, Stock]]) -> None:
        _, stock = fresh_kernel()
        assert "snakekernel watch" not in self.threads(stock)
        reply = watch(stock, stored=[[None, "x"]], lease=3)
        assert reply["expires_at"] == pytest.approx(reply["timestamp"] + 3, abs=2)
        assert "snakekernel watch" in self.threads(stock)
        while "snakekernel watch" in self.threads(stock):
            # Nothing but its time ends it.
            stock.poll(lambda: False, 0.1)

    def test_ended_by_its_client(self, stock: Stock, name: str) -> None:
        for other in ("a", "b"):
            stock.ok("store", {"id": name + other, "value": [1]})
        watch(stock, stored=[[None, name + "a"]])
        # A new watch takes the place of the one before.
        watch(stock, stored=[[None, name + "b"]])
        for other in ("a", "b"):
            stock.ok("call", {"target": ["stored", name + other, "append"], "args": [2]})
        until_told(stock, "changes", action="changed", name=name + "b")
        assert not told(stock, "changes", action="changed", name=name + "a")
        assert watch(stock, lease=0)["expires_at"] is None

    def test_renewing_loses_nothing(self, stock: Stock, name: str) -> None:
        stock.ok("store", {"id": name, "value": [1]})
        watch(stock, stored=[[None, name]])
        for number in range(20):
            stock.ok("call", {"target": ["stored", name, "append"], "args": [number]})
            watch(stock, stored=[[None, name]])
        until_told(stock, "changes", action="changed", name=name)


class TestSessions:
    def test_opened_and_closed(self, stock: Stock, name: str) -> None:
        stock.ok("create_session", {"session_id": name})
        until_told(stock, "sessions", action="opened", session_id=name)
        stock.ok("close_session", {"session_id": name})
        until_told(stock, "sessions", action="closed", session_id=name)

    def test_opened_by_use_and_expired(self, stock: Stock, name: str) -> None:
        stock.ok("store", {"id": "x", "value": 1, "session_id": name})
        until_told(stock, "sessions", action="opened", session_id=name)
        stock.ok("create_session", {"session_id": name + "2", "ttl": 0.1})
        until_told(stock, "sessions", action="closed", session_id=name + "2")
