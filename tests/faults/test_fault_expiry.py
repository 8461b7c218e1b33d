"""A session's time ends as it is called, a thousand times: each call runs to its end, or not at all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from needs import MEASURED
from stock_client import Stock

pytestmark = pytest.mark.kernel

_CALLS = 1_000
#: Sessions made together: the time until one is called grows with their number.
_AT_ONCE = 50

_CODE = """
import time
begun, ended = [], []
def effects(number):
    begun.append(number)
    # Long enough for times to end meanwhile.
    time.sleep(0.0005)
    ended.append(number)
    return number
"""


@pytest.mark.promise("fault-13")
def test_expiry_racing_calls(stock: Stock, record_property: Callable[[str, object], None]) -> None:
    stock.cell(_CODE)
    made = stock.send("create_subshell_request", channel="control")
    subshell = stock.reply(made, channel="control")["content"]["subshell_id"]
    chosen = random.Random(13)
    sent: dict[str, int] = {}
    took = 0.05
    for first in range(0, _CALLS, _AT_ONCE):
        begun = time.monotonic()
        numbers = range(first, first + _AT_ONCE)
        opened = [
            stock.send("create_session", {"session_id": f"s{n}", "ttl": chosen.uniform(0.001, took)})
            for n in numbers
        ]
        # Called only once they are made: a call makes a session that is not there.
        stock.reply(opened[-1])
        for number in numbers:
            content = {
                "target": "user.effects",
                "args": [number],
                "store_as": "x",
                "session_id": f"s{number}",
            }
            route = {"subshell_id": subshell} if number % 2 else {}
            sent[stock.send("call", content, **route)] = number
        # Looking is no use of a session, and cleans up what is due.
        stock.send("list_sessions", channel="control")
        stock.fence()
        stock.fence(subshell_id=subshell)
        # So long do the next ones take, about: some of their sessions end before they are called.
        took = time.monotonic() - begun
    replies: dict[int, dict[str, Any]] = {}
    for message in stock.messages["shell"]:
        number = sent.get(message["parent_header"].get("msg_id"))
        if number is not None:
            assert number not in replies
            replies[number] = message["content"]
    assert len(replies) == _CALLS
    expected = sorted(n for n, reply in replies.items() if reply["status"] == "ok")
    refused = [reply["code"] for reply in replies.values() if reply["status"] == "error"]
    assert set(refused) == {"session_expired"}
    for effect in ("begun", "ended"):
        assert sorted(stock.ok("retrieve", {"target": f"user.{effect}"})["object"]["value"]) == expected
    # Both happened often, or nothing was shown.
    assert min(len(expected), len(refused)) > _CALLS / 20
    stock.reply(
        stock.send("delete_subshell_request", {"subshell_id": subshell}, channel="control"), channel="control"
    )
    record_property(
        MEASURED,
        f"{len(expected)} completed, {len(refused)} session_expired, none half",
    )
