"""References that clients hold: kept for as long as the client is heard of, freed when it is not."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest
from stock_client import Stock

import snakekernel

pytestmark = pytest.mark.kernel

#: A client that holds 100 objects, says so, and goes on until it is killed.
HOLDER = """
import sys, time
import snakekernel

with snakekernel.connect(sys.argv[1]) as snake:
    held = [snake.call("user.Mortal", args=[n], returns="ref") for n in range(100)]
    print("holds", len(held), flush=True)
    sys.stdin.read()
"""
MORTAL = """
dead = []
class Mortal:
    def __init__(self, number):
        self.number = number
    def __del__(self):
        import threading
        dead.append((self.number, threading.current_thread() is threading.main_thread()))
"""


def anonymous(stock: Stock, **options: Any) -> int:
    return int(stock.ok("list_stored", {"prefix": "~", **options}, channel="control")["count"])


def held(stock: Stock, lease: float | None = 30.0, **fields: Any) -> str:
    """The name of a fresh object that the client holds, or with None does not."""
    content = {"target": "user.Mortal", "args": [7], "returns": "ref", **fields}
    if lease is not None:
        content["lease"] = lease
    return str(stock.ok("call", content)["result"]["value"]["$ref"])


@pytest.fixture(autouse=True)
def mortals(stock: Stock) -> None:
    stock.cell(MORTAL)


def is_there(stock: Stock, name: str) -> bool:
    return stock.ok("list_stored", {"prefix": name}, channel="control")["count"] == 1


def test_a_killed_clients_references_are_freed_and_others_are_served(
    snake: snakekernel.Client, stock: Stock
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(snake.connection_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds 100\n"
        kept = snake.call("user.Mortal", args=[-1], returns="ref")
        before = anonymous(stock)
        assert before >= 101
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        # Others are served all the while.
        stock.until(
            lambda: stock.call("operator.add", 1, 1) == 2 and anonymous(stock) <= before - 100, "the release"
        )
    finally:
        holder.kill()
        holder.communicate()
    dead = stock.call("user.dead.copy")
    assert len(dead) == 100
    assert all(on_main for _, on_main in (entry["$tuple"] for entry in dead))
    assert kept.number.fetch() == -1
    del kept


def test_a_renewal_releases_what_it_names_and_keeps_the_rest(stock: Stock) -> None:
    first, second = held(stock), held(stock)
    assert stock.ok("renew", {"release": [first, "~0"]}, channel="control")["held"] == 1
    reply = stock.fails("retrieve", {"id": first})
    assert reply["code"] == "not_found"
    assert stock.ok("retrieve", {"target": ["stored", second, "number"]})["object"]["value"] == 7
    assert stock.ok("renew", {"release": [second]}, channel="control")["held"] == 0
    assert [entry["$tuple"] for entry in stock.call("user.dead.copy")] == [[7, True], [7, True]]


def test_a_reference_without_a_lease_lives_on(stock: Stock) -> None:
    name = held(stock, None)
    assert stock.ok("renew", {"release": [name]}, channel="control")["held"] == 0
    assert stock.ok("retrieve", {"target": ["stored", name, "number"]})["object"]["value"] == 7
    stock.ok("delete_stored", {"id": name})


def test_only_the_holder_can_release(snake: snakekernel.Client, stock: Stock) -> None:
    theirs = snake.call("user.Mortal", args=[1], returns="ref")
    stock.ok("renew", {"release": [theirs._held.name]}, channel="control")
    assert theirs.number.fetch() == 1


def test_a_short_lease_ends_unless_it_is_renewed(stock: Stock) -> None:
    name = held(stock, 0.5)
    stock.until(lambda: not is_there(stock, name), "the end of the lease")
    assert [entry["$tuple"] for entry in stock.call("user.dead.copy")].count([7, True]) == 1


def test_a_lease_made_shorter_ends_sooner(stock: Stock) -> None:
    name = held(stock, 300)
    stock.ok("renew", {"lease": 0.5}, channel="control")
    stock.until(lambda: not is_there(stock, name), "the end of the lease")


def test_what_was_renamed_or_stored_anew_is_nobodys_to_release(stock: Stock) -> None:
    renamed, shared = held(stock), held(stock)
    stock.ok("rename_stored", {"id": renamed, "to": "kept"})
    stock.ok("share", {"id": shared, "to": None})
    stock.ok("renew", {"release": [renamed, shared]}, channel="control")
    assert stock.ok("retrieve", {"target": "stored.kept.number"})["object"]["value"] == 7
    assert stock.ok("retrieve", {"target": ["stored", shared, "number"]})["object"]["value"] == 7
    for name in ("kept", shared):
        stock.ok("delete_stored", {"id": name})


def test_the_end_of_a_session_frees_what_is_held_in_it(stock: Stock) -> None:
    stock.ok("create_session", {"session_id": "short"})
    name = held(stock, session_id="short")
    stock.ok("close_session", {"session_id": "short"})
    assert [entry["$tuple"] for entry in stock.call("user.dead.copy")] == [[7, True]]
    assert stock.ok("renew", {"release": [name]}, channel="control")["held"] == 0


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("None", None),
        ("True", True),
        ("2**60", {"$int": str(2**60)}),
        ("float('inf')", {"$float": "inf"}),
        ("'é' * 1000", "é" * 1000),
        ("b'xy'", {"$bytes": 0}),
    ],
)
def test_a_proxy_of_a_small_scalar_is_its_value(stock: Stock, expression: str, value: Any) -> None:
    call = {"target": "builtins.eval", "args": [expression], "returns": "proxy", "lease": 30}
    reply = stock.ok("call", call)
    assert reply["result"]["value"] == value
    assert reply["stored_as"] is None
    assert stock.ok("renew", channel="control")["held"] == 0


@pytest.mark.parametrize(
    "expression", ["[]", "()", "'x' * 70_000", "1 << 100_000", "type('S', (str,), {})('x')"]
)
def test_a_proxy_of_anything_else_is_a_reference(stock: Stock, expression: str) -> None:
    call = {"target": "builtins.eval", "args": [expression], "returns": "proxy", "lease": 30}
    reply = stock.ok("call", call)
    name = reply["result"]["value"]["$ref"]
    assert name.startswith("~")
    assert reply["stored_as"] == name
    assert stock.ok("renew", {"release": [name]}, channel="control")["held"] == 0


def test_proxies_of_a_pipelines_steps(stock: Stock) -> None:
    steps = [
        {"target": "builtins.dict", "kwargs": {"a": [1, 2]}, "returns": "none"},
        {"target": [{"$step": 0}, {"item": "a"}, "copy"], "returns": "proxy"},
        {"target": [{"$step": 1}, "pop"], "returns": "proxy"},
        {"op": "set", "target": [{"$step": 0}, {"item": "b"}], "value": {"$step": 2}},
        {"op": "retrieve", "target": [{"$step": 0}]},
    ]
    results = stock.ok("pipeline", {"steps": steps, "lease": 30})["pipeline_results"]
    assert results[0]["result"] is None
    name = results[1]["result"]["value"]["$ref"]
    assert results[2]["result"]["value"] == 2
    assert results[4]["object"]["value"] == {"a": [1, 2], "b": 2}
    assert stock.ok("renew", {"release": [name]}, channel="control")["held"] == 0


@pytest.mark.parametrize(
    ("target", "at"),
    [
        ([{"$step": 5}, "x"], "$.steps[1].target"),
        ([{"$step": -1}], "$.steps[1].target[0]"),
        ([{"$step": 0, "x": 1}], "$.steps[1].target[0]"),
        ([{"item": 0}], "$.steps[1].target[0]"),
        ([{"$step": 0}, {"$step": []}], "$.steps[1].target[1]"),
    ],
)
def test_targets_that_begin_with_no_earlier_step(stock: Stock, target: Any, at: str) -> None:
    reply = stock.fails("pipeline", {"steps": [{"target": "builtins.object"}, {"target": target}]})
    assert reply["code"] == "invalid_request"
    assert reply["at"].startswith(at)


def test_a_kernel_that_was_held_up_hears_its_clients_first(stock: Stock) -> None:
    # No other thread of the kernel runs meanwhile.
    stock.cell("import ctypes\ndef hold(s): ctypes.PyDLL(None).usleep(int(s * 1e6))")
    name = held(stock, 1.5)
    holding = stock.send("call", {"target": "user.hold", "args": [4]})
    renewal = stock.send("renew", {"lease": 60}, channel="control")
    stock.reply(holding)
    stock.reply(renewal, channel="control")
    stock.fence(channel="control")
    assert is_there(stock, name)
    assert stock.ok("renew", {"release": [name]}, channel="control")["held"] == 0
