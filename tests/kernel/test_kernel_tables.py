"""Sorted pages and summaries of tables on a real kernel: by every door, while a cell runs, cancelled."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from typing import Any

import pytest
from stock_client import Stock

import snakekernel

pytestmark = pytest.mark.kernel

_TABLES = """
import threading, numpy, pandas
frame = pandas.DataFrame({
    "n": [3, 1, 2, None],
    "name": ["c", "a", "b", None],
    "at": pandas.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02", None]),
})
stored.frame = frame
large = pandas.DataFrame({"n": numpy.arange(200_000) % 1_000})

class Endless:
    "Comparing it goes on until it is stopped."
    begun = threading.Event()
    def __lt__(self, other):
        self.begun.set()
        while True: pass

endless = [[Endless()], [Endless()]]
"""

BY_NUMBER = [{"column": 0, "descending": True}]


@pytest.fixture(scope="module", autouse=True)
def _tables(stock: Stock) -> None:
    stock.cell(_TABLES)


@pytest.fixture
def busy(stock: Stock, snake: snakekernel.Client) -> Iterator[None]:
    """A cell holds the main thread."""
    code = "print('held', flush=True)\nwhile True: pass"
    cell = stock.send("execute_request", {"code": code, "stop_on_error": False})
    stock.until_it_prints(cell)
    yield
    snake.interrupt()
    stock.reply(cell)


def sorted_page(stock: Stock, **route: Any) -> None:
    page = stock.ok("table", {"target": "user.frame", "sort": BY_NUMBER, "rows": [1, 4]}, **route)
    assert page["row_numbers"] == [2, 1, 3]
    assert page["data"][1] == ["b", "a", None]
    assert page["columns"][1] == {"name": "name", "dtype": "str", "kind": "text", "position": 1}
    assert (page["matched_rows"], page["total_rows"], page["sampled"]) == (4, 4, None)


def summary(stock: Stock, **route: Any) -> None:
    reply = stock.ok("summarize", {"target": "user.frame", "columns": [0, 2], "bins": 2}, **route)
    numbers, names = reply["summaries"]
    assert (numbers["count"], numbers["missing"], numbers["mean"]) == (3, 1, 2.0)
    assert numbers["histogram"] == {"edges": [1.0, 2.0, 3.0], "counts": [1, 2]}
    assert sorted(text for text, _ in names["top"]) == ["a", "b", "c"]
    assert (reply["total_rows"], reply["total_columns"], reply["truncated"]) == (4, 3, False)


def test_on_shell(stock: Stock) -> None:
    sorted_page(stock)
    summary(stock)


def test_on_control(stock: Stock) -> None:
    sorted_page(stock, channel="control")
    summary(stock, channel="control")


def test_on_a_subshell(stock: Stock, subshell: str) -> None:
    sorted_page(stock, subshell_id=subshell)
    summary(stock, subshell_id=subshell)


def test_while_a_cell_runs(stock: Stock, busy: None) -> None:
    sorted_page(stock, channel="control")
    summary(stock, channel="control")


def test_a_change_by_a_cell_is_noticed(stock: Stock) -> None:
    stock.cell("changing = pandas.DataFrame({'n': [1, 2, 3]})")
    asked = {"target": "user.changing", "sort": [{"column": 0}]}
    assert stock.ok("table", asked, channel="control")["row_numbers"] == [0, 1, 2]
    stock.cell("changing.loc[0, 'n'] = 9")
    assert stock.ok("table", asked, channel="control")["row_numbers"] == [1, 2, 0]
    assert stock.ok("table", asked)["row_numbers"] == [1, 2, 0]


def test_progress_is_told(stock: Stock) -> None:
    asked = stock.send("summarize", {"target": "user.large"}, channel="control")
    assert stock.only_reply(asked, channel="control")["content"]["status"] == "ok"
    told = [m["content"] for m in stock.published(asked) if m["msg_type"] == "snake_progress"]
    assert told == [{"done": 0, "total": 1, "text": "summing up"}]


def test_a_sort_without_end_is_cancelled(stock: Stock) -> None:
    asked = {"target": "user.endless", "sort": [{"column": 0}], "budget": 60}
    endless = stock.send("table", asked, channel="control")
    stock.ok("call", {"target": "user.Endless.begun.wait", "args": [30]})
    assert stock.ok("cancel", {"msg_id": endless}, channel="control")["cancelled"]
    assert stock.only_reply(endless, channel="control")["content"]["code"] == "cancelled"
    sorted_page(stock, channel="control")


def test_a_sort_without_end_ends_with_its_budget(stock: Stock) -> None:
    asked = {"target": "user.endless", "sort": [{"column": 0}], "budget": 0.3}
    for channel in ("shell", "control"):
        reply = stock.fails("table", asked, channel=channel)
        assert (reply["code"], reply["at"], reply["fault"]) == ("unresolvable", "$.target", "target")
        assert "took too long" in reply["error"]


@pytest.mark.parametrize(
    ("op", "fields", "at"),
    [
        ("table", {"sort": [{"column": 3}]}, "$.sort[0].column"),
        ("table", {"filter": [{"column": 9, "op": "missing"}]}, "$.filter[0].column"),
        ("table", {"filter": [{"column": 0, "op": "eq", "value": "x"}]}, "$.filter[0].value"),
        ("table", {"filter": [{"column": 1, "op": "regex", "value": "("}]}, "$.filter[0].value"),
        ("summarize", {"filter": [{"column": 2, "op": "lt", "value": "soon"}]}, "$.filter[0].value"),
        ("summarize", {"columns": [2, 1]}, "$.columns"),
    ],
)
def test_what_does_not_fit_is_refused(stock: Stock, op: str, fields: dict[str, Any], at: str) -> None:
    for channel in ("shell", "control"):
        reply = stock.fails(op, {"target": "user.frame", **fields}, channel=channel)
        assert (reply["code"], reply["at"]) == ("invalid_request", at)


def test_by_the_client(snake: snakekernel.Client) -> None:
    since = datetime.datetime(2024, 1, 2)
    page = snake.table(
        "stored.frame", sort=[{"column": 0}], filter=[{"column": 2, "op": "ge", "value": since}]
    )
    assert page["data"][:2] == [[2.0, 3.0], ["b", "c"]]
    both_ends = {"column": 2, "op": "between", "value": (since, None)}
    assert snake.table("stored.frame", filter=[both_ends], fresh=True)["row_numbers"] == [0, 2]
    infinite = {"column": 0, "op": "lt", "value": math.inf}
    assert snake.table("stored.frame", filter=[infinite], format="arrow")["data"].num_rows == 3
    found = snake.summarize("stored.frame", search="a", columns=(0, 1), bins=3, top=1, budget=10)
    assert (found["matched_rows"], found["summaries"][0]["max"]) == (1, 1.0)
    with snake.batch() as batch:
        item = batch.summarize("stored.frame", columns=(2, 3))
    assert item.result()["summaries"][0]["min"] == "2024-01-01 00:00:00"


async def test_by_the_async_client(snake: snakekernel.Client) -> None:
    async with snakekernel.AsyncClient.connect(snake.connection_file) as client:
        page = await client.table("stored.frame", search="b")
        assert page["row_numbers"] == [2]
        found = await client.summarize("stored.frame")
        assert [s["kind"] for s in found["summaries"]] == ["number", "text", "datetime"]
