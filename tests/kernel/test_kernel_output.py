"""Whose output it is: of calls, of the threads that they start, of cells and theirs, at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", autouse=True)
def noisy(stock: Stock) -> None:
    """Functions that print, from many kinds of threads."""
    stock.cell(
        "import asyncio, logging, sys, threading, warnings\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from IPython.display import display\n"
        "gate, entered = threading.Event(), threading.Event()\n"
        "def in_a_thread(*args):\n"
        "    thread = threading.Thread(target=print, args=args)\n"
        "    thread.start(); thread.join()\n"
        "def nested(text):\n"
        "    thread = threading.Thread(target=in_a_thread, args=[text])\n"
        "    thread.start(); thread.join()\n"
        "pool = ThreadPoolExecutor(1)\n"
        "def in_the_pool(text):\n"
        "    return pool.submit(print, text).result()\n"
        "async def on_an_executor(text):\n"
        "    await asyncio.get_running_loop().run_in_executor(None, print, text)\n"
        "def when_told(text):\n"
        "    gate.wait(60)\n"
        "    print(text)\n"
        "    display(text)\n"
        "def starts_one(text):\n"
        "    gate.clear()\n"
        "    global late\n"
        "    late = threading.Thread(target=when_told, args=[text])\n"
        "    late.start()\n"
        "def lets_go():\n"
        "    gate.set()\n"
        "    late.join()\n"
        "def shows_all():\n"
        "    display('shown'); logging.getLogger('a').warning('logged'); warnings.warn('warned')\n"
        "def plots():\n"
        "    import matplotlib.pyplot as plt\n"
        "    plt.plot([1, 2])\n"
    )


def text_of(outputs: list[dict[str, Any]]) -> str:
    """All that was written."""
    return "".join(m["content"]["text"] for m in outputs if m["msg_type"] == "stream")


def heard(stock: Stock, target: str, *args: Any, **route: Any) -> str:
    """What a call wrote; its reply must count each message."""
    msg_id = stock.send("call", {"target": target, "args": list(args)}, **route)
    reply = stock.only_reply(msg_id, **route)["content"]
    assert reply["status"] == "ok", reply
    outputs = stock.outputs(msg_id)
    assert reply["output"] == len(outputs)
    return text_of(outputs)


@pytest.mark.parametrize("target", ["in_a_thread", "nested", "in_the_pool", "on_an_executor"])
def test_what_the_threads_of_a_call_print_is_the_calls(stock: Stock, subshell: str, target: str) -> None:
    for number in range(2):
        assert heard(stock, f"user.{target}", f"{target} {number}") == f"{target} {number}\n"
        assert heard(stock, f"user.{target}", "beside", subshell_id=subshell) == "beside\n"


def test_a_pool_that_a_call_made_serves_cells_as_ever(stock: Stock) -> None:
    assert heard(stock, "user.in_the_pool", "a call") == "a call\n"
    cell = stock.send("execute_request", {"code": "in_the_pool('a cell')"})
    stock.reply(cell)
    assert text_of(stock.outputs(cell)) == "a cell\n"


def test_late_output_of_a_thread_is_still_the_calls(stock: Stock) -> None:
    first = stock.send("call", {"target": "user.starts_one", "args": ["late"]})
    assert stock.only_reply(first)["content"]["output"] == 0
    assert heard(stock, "user.in_a_thread", "another") == "another\n"
    assert heard(stock, "user.lets_go") == ""
    outputs = stock.outputs(first)
    assert text_of(outputs) == "late\n"
    assert [m["content"]["data"]["text/plain"] for m in outputs if m["msg_type"] == "display_data"] == [
        "'late'"
    ]


def test_a_thread_of_a_cell_prints_to_the_cell_and_not_to_a_call(stock: Stock) -> None:
    stock.cell("starts_one('of a cell')")
    last = stock.send("execute_request", {"code": "1"})
    stock.reply(last)
    assert heard(stock, "user.lets_go") == ""
    assert text_of(stock.outputs(last)) == "of a cell\n"


def test_logs_warnings_and_displays(stock: Stock) -> None:
    msg_id = stock.send("call", {"target": "user.shows_all"})
    stock.only_reply(msg_id)
    outputs = stock.outputs(msg_id)
    assert "display_data" in [m["msg_type"] for m in outputs]
    text = text_of(outputs)
    assert "logged" in text
    assert "warned" in text


def test_what_a_child_process_writes(fresh_kernel: Callable[..., tuple[Any, Stock]]) -> None:
    # With it set ipykernel leaves file descriptors alone.
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    _, stock = fresh_kernel(env=environment)
    msg_id = stock.send("call", {"target": "os.system", "args": ["echo of a child"]})
    stock.reply(msg_id)
    stock.until(lambda: "of a child" in text_of(stock.outputs(msg_id)), "what the child process wrote")


def test_a_figure_comes_with_the_call_that_plots(stock: Stock) -> None:
    msg_id = stock.send("call", {"target": "user.plots", "returns": "none"})
    reply = stock.only_reply(msg_id)["content"]
    shown = [m for m in stock.outputs(msg_id) if m["msg_type"] == "display_data"]
    assert "image/png" in shown[0]["content"]["data"]
    assert reply["output"] == len(stock.outputs(msg_id))


def test_two_clients_at_once_see_their_own(stock: Stock, subshell: str) -> None:
    """One prints from its threads on the main shell while another does on a subshell."""
    stock.cell(
        "both = threading.Barrier(2)\n"
        "def in_step(name):\n"
        "    for n in range(3):\n"
        "        both.wait(60); in_a_thread(name, n); both.wait(60); print(name)\n"
    )
    other = stock.send("call", {"target": "user.in_step", "args": ["b"]}, subshell_id=subshell)
    assert heard(stock, "user.in_step", "a") == "a 0\na\na 1\na\na 2\na\n"
    stock.reply(other)
    assert text_of(stock.outputs(other)) == "b 0\nb\nb 1\nb\nb 2\nb\n"


def test_progress_is_a_message_of_the_call(stock: Stock) -> None:
    stock.cell(
        "import snakekernel\n"
        "def reports(n, text='going'):\n"
        "    for _ in snakekernel.progress(range(n), text=text): pass\n"
        "def keeps_back(n):\n"
        "    bar = snakekernel.progress(total=n)\n"
        "    for _ in range(n): bar.update()\n"
    )
    for target in ("user.reports", "user.keeps_back"):
        msg_id = stock.send("call", {"target": target, "args": [100_000]})
        reply = stock.only_reply(msg_id)["content"]
        told = stock.outputs(msg_id)
        assert {m["msg_type"] for m in told} == {"snake_progress"}
        assert reply["output"] == len(told)
        assert told[0]["content"]["done"] == 0
        assert told[-1]["content"]["done"] == told[-1]["content"]["total"] == 100_000


def test_secrets_do_not_get_out_with_progress(stock: Stock) -> None:
    stock.ok("call", {"target": "builtins.dict", "kwargs": {"api_key": "sk-very-secret"}, "returns": "none"})
    msg_id = stock.send("call", {"target": "user.reports", "args": [3, "sk-very-secret"]})
    assert stock.only_reply(msg_id)["content"]["status"] == "ok"
    told = stock.outputs(msg_id)
    assert told
    assert "sk-very-secret" not in str(told)
