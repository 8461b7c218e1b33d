"""Streams without a kernel: what is sent, and what credit and closing do, whichever thread brings them."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.commands.flow import Flow, Flows
from snakekernel.commands.runtime import Runtime
from snakekernel.testing.dispatch import ask, make_runtime
from snakekernel.wire.names import ITEM


class Reader:
    """Takes items, and does something at some of them."""

    def __init__(self, runtime: Runtime, does: dict[int, str] | None = None) -> None:
        self.items: list[Any] = []
        self.seqs: list[int] = []
        self._runtime = runtime
        self._does = does or {}

    def send(self, msg_type: str, content: Any, buffers: Sequence[memoryview] = ()) -> None:
        """See ``commands.requester``."""
        assert msg_type == ITEM
        self.seqs.append(content.seq)
        self.items.append(content.item["value"])
        does = self._does.get(content.seq)
        (flow,) = self._runtime.flows._flows.values()
        if does is not None:
            # As from the control thread.
            thread = threading.Thread(target=getattr(flow, does), args=(2,) if does == "grant" else ())
            thread.start()
            thread.join()

    def lasting(self) -> Reader:
        """See ``commands.requester``."""
        return self


def numbers(ended: list[str]) -> Iterator[int]:
    """Without an end."""
    try:
        yield from itertools.count()
    finally:
        ended.append("closed")


async def numbers_async(ended: list[str]) -> AsyncIterator[int]:
    """Without an end."""
    try:
        for i in itertools.count():
            yield i
    finally:
        ended.append("closed")


def stream(runtime: Runtime, reader: Reader, make: Any, credit: int) -> dict[str, Any]:
    """Ask for a stream of what a stored function makes."""
    runtime.store.put(None, "make", make, writer="test", now=runtime.clock())
    return ask(runtime, "call", {"target": "stored.make", "stream": {"credit": credit}}, requester=reader)


@pytest.mark.parametrize("numbers", [numbers, numbers_async])
@pytest.mark.parametrize("does", ["close", "lose"])
def test_closed_from_another_thread(numbers: Any, does: str) -> None:
    runtime, ended = make_runtime(), []
    reader = Reader(runtime, {2: does})
    reply = stream(runtime, reader, lambda: numbers(ended), 100)
    assert (reply["status"], reply["items"], reply["closed"]) == ("ok", 3, True)
    assert reader.items == reader.seqs == [0, 1, 2]
    assert ended == ["closed"]
    assert len(runtime.flows) == 0
    assert runtime.leases.next_end() is None


@given(credit=st.integers(1, 5), n=st.integers(0, 30))
def test_granted_as_they_are_taken(credit: int, n: int) -> None:
    """With two granted at every item the stream never waits, and ends with its producer."""
    runtime = make_runtime()
    reader = Reader(runtime, dict.fromkeys(range(n), "grant"))
    reply = stream(runtime, reader, lambda: iter(range(n)), credit)
    assert (reply["items"], reply["closed"]) == (n, False)
    assert reader.items == list(range(n))


def test_no_way_to_send_items() -> None:
    runtime = make_runtime()
    reply = ask(runtime, "call", {"target": "builtins.range", "args": [3], "stream": {"credit": 1}})
    assert (reply["code"], reply["at"]) == ("unsupported", "$.stream")


def test_closed_before_it_began() -> None:
    flows = Flows()
    assert not flows.close(("me", "1"))
    assert flows.begin(("me", "1"), 5).is_closed
    assert not flows.begin(("me", "2"), 5).is_closed
    assert flows.close(("me", "2"))
    flows.end(("me", "1"))
    # What was closed once is not remembered for the next.
    assert not flows.begin(("me", "1"), 5).is_closed


@given(grants=st.lists(st.integers(0, 5), max_size=8))
def test_whoever_waits_is_woken(grants: list[int]) -> None:
    """However credit comes in, from a thread, before or while it is waited for."""

    async def wait() -> int:
        flow = Flow(1)

        def give() -> None:
            for credit in grants:
                flow.grant(credit)
            flow.close()

        thread = threading.Thread(target=give)
        thread.start()
        while not flow.is_closed:
            async with asyncio.timeout(30):
                await flow.ready()
            assert flow.may_go_on
            flow.sent = min(flow.sent + 1, flow.granted)
        thread.join()
        return flow.granted

    assert asyncio.run(wait()) == 1 + sum(grants)
