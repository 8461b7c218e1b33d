"""What others may send: segments by hand, and forged ones, which are refused with their path."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from processes import MIB
from stock_client import Stock

from snakekernel.memory.peers import SUPPORTED, create
from snakekernel.memory.segments import Placed, place

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(not SUPPORTED, reason="segments need Linux")]

BIG = 3 * MIB


@pytest.fixture
def forger(stock: Stock) -> Stock:
    """A stock client whose session is attached by hand."""
    descriptor, name = create()
    os.ftruncate(descriptor, 4096)
    content = {"pid": os.getpid(), "descriptor": descriptor, "name": name}
    first, second = (stock.ok("attach", content, channel="control") for _ in range(2))
    assert (first["attached"], first["pid"]) == (True, second["pid"])
    assert first["descriptor"] == second["descriptor"]
    os.close(descriptor)
    return stock


def _entry(placed: Placed, **changes: Any) -> dict[str, Any]:
    entry = {"descriptor": placed.descriptor, "name": placed.name, "offset": 0, "length": placed.length}
    return {**entry, **changes}


def test_a_stock_client_may_send_segments_too(forger: Stock) -> None:
    placed = place(memoryview(b"a" * 5000))
    content = {"target": "builtins.len", "args": [{"$bytes": 0}]}
    reply = forger.ok("call", content, metadata={"snake_segments": [_entry(placed)]}, buffers=[b""])
    assert reply["result"]["value"] == 5000
    placed.lease.end()


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"name": "0" * 32}, "[0]"),
        ({"name": "../../x"}, "[0].name"),
        ({"descriptor": 0}, "[0]"),
        ({"descriptor": 2**31 - 1}, "[0]"),
        ({"descriptor": -1}, "[0].descriptor"),
        ({"length": 4097}, "[0]"),
        ({"length": 2**60}, "[0]"),
        ({"length": 0}, "[0].length"),
        ({"offset": 4096}, "[0]"),
        ({"offset": 2**62}, "[0]"),
        ({"offset": 2**64}, "[0].offset"),
        ({"lease": 4096}, "[0].lease"),
        ({"pid": 1}, "[0]"),
    ],
)
def test_a_forged_segment_is_refused(forger: Stock, changes: dict[str, Any], at: str) -> None:
    placed = place(memoryview(b"a" * 4096))
    content = {"target": "builtins.len", "args": [{"$bytes": 0}]}
    metadata = {"snake_segments": [_entry(placed, **changes)]}
    reply = forger.fails("call", content, metadata=metadata, buffers=[b""])
    assert (reply["code"], reply["fault"]) == ("invalid_request", "caller"), reply
    assert reply["at"].startswith(f"$metadata.snake_segments{at}")
    placed.lease.end()


@pytest.mark.parametrize(
    ("entries", "buffers"),
    [([None], []), ([], [b""]), ({}, [b""]), ("x", [b""]), ([5], [b""]), (None, [b""])],
)
def test_forged_entries_are_refused(forger: Stock, entries: Any, buffers: list[bytes]) -> None:
    content = {"target": "builtins.len", "args": [[]]}
    reply = forger.fails("call", content, metadata={"snake_segments": entries}, buffers=buffers)
    assert (reply["code"], reply["fault"]) == ("invalid_request", "caller"), reply
    assert reply["at"].startswith("$metadata.snake_segments")


def test_a_frame_beside_its_segment_is_refused(forger: Stock) -> None:
    placed = place(memoryview(b"a" * 4096))
    metadata = {"snake_segments": [_entry(placed)]}
    reply = forger.fails("call", {"target": "builtins.len"}, metadata=metadata, buffers=[b"b"])
    assert reply["at"] == "$metadata.snake_segments[0]"
    placed.lease.end()


def test_segments_of_who_has_not_attached_are_refused(fresh_kernel: Callable[..., Any]) -> None:
    _, stock = fresh_kernel()
    placed = place(memoryview(b"a" * 4096))
    reply = stock.fails("ping", {}, metadata={"snake_segments": [_entry(placed)]}, buffers=[b""])
    assert (reply["code"], reply["at"]) == ("invalid_request", "$metadata.snake_segments")
    placed.lease.end()


def test_a_request_meant_for_another_process_is_told_so(fresh_kernel: Callable[..., Any]) -> None:
    _, stock = fresh_kernel()
    placed = place(memoryview(b"a" * 4096))
    metadata = {"snake_segments": [_entry(placed)]}
    content = {"target": "builtins.len", "args": [{"$bytes": 0}], "epoch": "another"}
    reply = stock.fails("call", content, metadata=metadata, buffers=[b""])
    assert (reply["code"], reply["at"]) == ("outcome_unknown", "$.epoch")
    placed.lease.end()


def test_who_never_says_ready_gets_no_segments(forger: Stock) -> None:
    content = {"target": "numpy.ones", "args": [BIG // 8], "returns": "value"}
    reply = forger.only_reply(forger.send("call", content))
    assert "snake_segments" not in reply["metadata"]
    assert len(reply["buffers"][0]) == BIG
