"""The same ``call_id`` twice, from anywhere: it runs once, and all get its outcome; and it can be fetched."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from forwarder import Forwarder
from stock_client import PATIENCE, Stock

import snakekernel
from snakekernel import AsyncClient, Client
from snakekernel.commands.outcomes import Outcomes, Packed, Slot, digest_of
from snakekernel.errors import (
    Cancelled,
    Interrupted,
    InvalidRequest,
    KernelLost,
    NotFound,
    OutcomeUnknown,
    ReplyTimeout,
)
from snakekernel.wire.errors import OutcomeUnknown as WireOutcomeUnknown
from snakekernel.wire.frame import Frame
from snakekernel.wire.path import Item

pytestmark = pytest.mark.kernel

_CODE = """
import threading, time
from collections import Counter, defaultdict
runs = Counter()
begun = defaultdict(threading.Event)
gates = defaultdict(threading.Event)

def bump(name, fails=False):
    runs[name] += 1
    if fails:
        raise LookupError(f'run {runs[name]}')
    return runs[name]

def held(name, fails=False):
    begun[name].set()
    while not gates[name].wait(0.01):
        pass
    return bump(name, fails)
"""


@pytest.fixture(scope="module", autouse=True)
def functions(snake: Client) -> None:
    """Functions of the notebook's that count their runs by a name, at once or once a gate is open."""
    stock = Stock(snake.manager.get_connection_info())
    try:
        stock.cell(_CODE)
    finally:
        stock.close()


@pytest.fixture
def name() -> str:
    """A fresh name, for a call and its count."""
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def other(snake: Client) -> Iterator[Client]:
    """Another client of the same kernel."""
    with snakekernel.connect(snake.connection_file) as client:
        yield client


def runs(snake: Client, name: str) -> int:
    """How often a call of that name ran."""
    found: int = snake.call(["user", "runs", Item(name)])
    return found


def begin(snake: Client, name: str, **options: Any) -> Any:
    """Begin a call that waits for its gate."""
    return snake.submit("user.held", args=[name], call_id=name, **options)


def state(snake: Client, name: str) -> Any:
    """What the kernel says of a call; None where it has not come."""
    try:
        reply = snake._send("outcome", {"call_id": name}, lambda c, b: c, None, None, channel="control")
    except NotFound:
        return None
    return reply["state"]


def until_running(snake: Client, name: str) -> None:
    """Wait until the call of this name runs."""
    until_it_is(snake, name, "running")


def until_it_is(snake: Client, name: str, wanted: str) -> None:
    """Wait for a state of the call of this name: what is asked on control may overtake it."""
    deadline = time.monotonic() + PATIENCE
    while (seen := state(snake, name)) != wanted:
        assert time.monotonic() < deadline, seen


@pytest.mark.promise("fault-14")
class TestTwice:
    def test_at_once_from_two_clients_and_their_subshells(
        self, snake: Client, other: Client, name: str
    ) -> None:
        with snake.parallel(3) as mine, other.parallel(3) as theirs:
            calls = [
                client.submit("user.held", args=[name], call_id=name)
                for client in (mine, theirs)
                for _ in range(3)
            ]
            until_running(snake, name)
            open_gate(other, name)
            assert [call.result(PATIENCE) for call in calls] == [1] * 6
        assert runs(snake, name) == 1

    def test_after_an_error_the_error_again(self, snake: Client, other: Client, name: str) -> None:
        for client in (snake, snake, other):
            with pytest.raises(LookupError, match="run 1"):
                client.call("user.bump", args=[name], kwargs={"fails": True}, call_id=name)
        assert runs(snake, name) == 1

    def test_after_an_interrupt_that_one_again(self, snake: Client, other: Client, name: str) -> None:
        first = begin(snake, name)
        until_running(other, name)
        other.interrupt()
        with pytest.raises(Interrupted):
            first.result(PATIENCE)
        with pytest.raises(Interrupted):
            other.call("user.held", args=[name], call_id=name)
        assert runs(snake, name) == 0

    def test_cancelled_before_it_began_it_never_runs(self, snake: Client, other: Client, name: str) -> None:
        blocker = begin(snake, f"before {name}")
        until_running(other, f"before {name}")
        waiting = snake.submit("user.bump", args=[name], call_id=name)
        until_it_is(other, name, "waiting")
        assert snake.cancel(name) == "stopped"
        open_gate(other, f"before {name}")
        assert blocker.result(PATIENCE) == 1
        for client in (snake, other):
            with pytest.raises(Cancelled):
                client.call("user.bump", args=[name], call_id=name)
        with pytest.raises(Cancelled):
            waiting.result(PATIENCE)
        assert runs(snake, name) == 0

    def test_cancelling_names_the_first_and_not_what_repeats_it(self, snake: Client, name: str) -> None:
        first = begin(snake, name)
        until_running(snake, name)
        again = snake.submit("user.held", args=[name], call_id=name)
        assert snake.cancel(name) == "stopped"
        for call in (first, again):
            with pytest.raises(Cancelled):
                call.result(PATIENCE)
        assert runs(snake, name) == 0

    def test_giving_up_a_repetition_leaves_the_first(self, snake: Client, other: Client, name: str) -> None:
        first = begin(snake, name)
        until_running(snake, name)
        with other.parallel(1) as beside:
            with pytest.raises(ReplyTimeout):
                beside.call("user.held", args=[name], call_id=name, timeout=0.2)
            assert state(snake, name) == "running"
            open_gate(other, name)
        assert first.result(PATIENCE) == 1
        assert runs(snake, name) == 1

    def test_past_its_deadline_its_end_again(self, snake: Client, other: Client, name: str) -> None:
        for client in (snake, other):
            with pytest.raises(snakekernel.errors.DeadlineExceeded):
                client.call("user.held", args=[name], call_id=name, deadline=0.1)
        assert runs(snake, name) == 0

    def test_of_a_pipeline_and_of_what_stores(self, snake: Client, other: Client, name: str) -> None:
        steps = [{"target": "user.bump", "args": [name]}, {"op": "store", "id": name, "value": [1]}]
        content = {"steps": steps, "call_id": name}
        assert snake.execute("pipeline", content) == other.execute("pipeline", content)
        assert (runs(snake, name), snake.retrieve(name)) == (1, [1])
        assert other.outcome(name)[0] == 1

    def test_where_it_cannot_be_it_is_refused(self, snake: Client) -> None:
        for content in (
            {"steps": [{"target": "math.sqrt", "args": [4], "call_id": "x"}]},
            {"steps": [{"op": "outcome", "call_id": "x"}]},
        ):
            with pytest.raises(InvalidRequest):
                snake.execute("pipeline", content)
        with pytest.raises(InvalidRequest):
            snake.execute("call", {"target": "builtins.iter", "stream": {"credit": 1}, "call_id": "x"})

    def test_what_is_the_same_and_what_is_not(self) -> None:
        def digest(content: dict[str, Any], *buffers: bytes, op: str = "call") -> bytes:
            views = [memoryview(buffer) for buffer in buffers]
            packed = json.dumps(content).encode()
            return digest_of(Frame(f"snake_{op}_request", "m", packed, b"{}", views))

        first = {"target": "a.b", "args": [1], "session_id": "s", "call_id": "c"}
        same = [
            dict(reversed(first.items())),
            {**first, "epoch": "e"},
            {**first, "client": {"pid": 1}, "lease": 5.0, "callback_call": "x"},
        ]
        assert {digest(content) for content in (first, *same)} == {digest(first)}
        changed = [
            {**first, **change}
            for change in (
                {"args": [1.0]},
                {"args": ["1"]},
                {"session_id": "t"},
                {"target": "a.c"},
                {"deadline": 1.0},
                {"store_as": "x"},
            )
        ]
        digests = {digest(content) for content in (first, *changed)}
        digests |= {digest(first, b"ab"), digest(first, b"a", b"b"), digest(first, op="store")}
        assert len(digests) == 1 + len(changed) + 3

    def test_one_that_is_too_big_to_keep_goes_alone(self) -> None:
        outcomes = Outcomes()
        for call_id, size in (("small", 1), ("big", 65 << 20)):
            slot = Slot("call", b"")
            assert outcomes.begin(call_id, slot) is slot
            outcomes.end(call_id, slot, Packed(b"{}", [memoryview(bytes(size))]))
            # Those that wait for it get it all the same.
            assert slot.is_over
            assert slot.packed is not None
        assert outcomes.begin("small", Slot("call", b"")).packed is not None
        with pytest.raises(WireOutcomeUnknown):
            outcomes.find("big")
        # A repetition's end is nobody's.
        outcomes.end("small", Slot("call", b""), Packed(b"other"))
        found = outcomes.find("small")
        assert found is not None
        assert found.packed is not None
        assert found.packed.content != b"other"


def open_gate(client: Client, name: str) -> None:
    """Let the call of this name end, from a subshell."""
    with client.parallel(1) as beside:
        beside.call(["user", "gates", Item(name), "set"])


@pytest.mark.promise("fault-7")
class TestFetching:
    def test_while_it_waits_runs_and_when_it_is_over(self, snake: Client, other: Client, name: str) -> None:
        blocker = begin(snake, f"before {name}")
        until_running(other, f"before {name}")
        call = begin(snake, name)
        until_it_is(other, name, "waiting")
        with pytest.raises(ReplyTimeout, match="not ended"):
            other.outcome(name, timeout=0)
        with ThreadPoolExecutor(1) as threads:
            fetched = threads.submit(other.outcome, name)
            open_gate(snake, f"before {name}")
            until_running(snake, name)
            with pytest.raises(ReplyTimeout, match="not ended"):
                snake.outcome(name, timeout=0.1)
            open_gate(snake, name)
            assert fetched.result(PATIENCE) == 1
        assert (blocker.result(PATIENCE), call.result(PATIENCE)) == (1, 1)
        assert (other.outcome(name, timeout=0), runs(snake, name)) == (1, 1)

    def test_values_with_buffers_errors_and_names(self, snake: Client, other: Client, name: str) -> None:
        with snake.session(f"of {name}") as mine:
            mine.call("numpy.arange", args=[1000], call_id=name)
            np.testing.assert_array_equal(other.outcome(name), np.arange(1000))
            mine.call("builtins.list", args=["ab"], store_as="letters", call_id=f"stored {name}")
            fetched = other.outcome(f"stored {name}", session_id=f"of {name}")
            assert fetched.proxy.fetch() == ["a", "b"]
            with pytest.raises(LookupError):
                mine.call("user.bump", args=[name, True], call_id=f"failed {name}")
        # Beyond the session's end.
        np.testing.assert_array_equal(other.outcome(name), np.arange(1000))
        with pytest.raises(LookupError, match="run 1") as caught:
            other.outcome(f"failed {name}")
        assert caught.value.code == "raised"
        content, _ = other.exchange_outcome(f"failed {name}")
        assert (content["status"], content["ename"]) == ("error", "LookupError")

    def test_what_there_is_not(self, snake: Client, name: str) -> None:
        with pytest.raises(NotFound, match="has come"):
            snake.outcome(name)
        with pytest.raises(OutcomeUnknown, match="another kernel process"):
            snake.outcome(name, epoch="of another process")
        with pytest.raises(InvalidRequest), snake.batch() as batch:
            batch.outcome(name)
        snake.call("user.bump", args=[name], call_id=name)
        for number in range(1_001):
            last = snake.submit("builtins.len", args=[""], call_id=f"{name} {number}")
        last.result(PATIENCE)
        with pytest.raises(OutcomeUnknown, match="no longer kept"):
            snake.outcome(name)
        with pytest.raises(OutcomeUnknown, match="no longer kept"):
            snake.call("user.bump", args=[name], call_id=name)
        assert runs(snake, name) == 1

    def test_a_stock_client_fetches_on_every_door(self, snake: Client, stock: Stock, name: str) -> None:
        call = begin(snake, name)
        until_running(snake, name)
        running = stock.ok("outcome", {"call_id": name}, channel="control")
        assert (running["state"], running["op"], running["outcome"]) == ("running", "call", None)
        waiting = stock.send("outcome", {"call_id": name, "timeout": 60}, channel="control")
        open_gate(snake, name)
        reply = stock.only_reply(waiting, channel="control")["content"]
        assert (reply["state"], reply["outcome"]["result"]["value"]) == ("done", 1)
        assert stock.ok("outcome", {"call_id": name})["outcome"] == reply["outcome"]
        assert call.result(PATIENCE) == 1

    async def test_by_an_async_client(self, snake: Client, name: str) -> None:
        call = begin(snake, name)
        until_running(snake, name)
        async with AsyncClient.connect(snake.connection_file) as client:
            fetched = asyncio.ensure_future(client.outcome(name))
            with pytest.raises(ReplyTimeout):
                await client.outcome(name, timeout=0)
            await asyncio.to_thread(open_gate, snake, name)
            assert await asyncio.wait_for(fetched, PATIENCE) == 1
        assert call.result(PATIENCE) == 1


@pytest.fixture(scope="module")
def far() -> Iterator[tuple[Client, Client, Forwarder]]:
    """A client near a kernel, one that reaches it through a forwarder, and that."""
    with (
        snakekernel.start(transport="tcp") as near,
        Forwarder(near.manager.get_connection_info()) as forwarder,
        snakekernel.connect(forwarder.info) as far,
    ):
        stock = Stock(near.manager.get_connection_info())
        stock.cell(_CODE)
        stock.close()
        yield near, far, forwarder


class TestConnectionLost:
    """The connection breaks while the kernel lives: TCP connections that are cut on their way."""

    @pytest.mark.promise("fault-7")
    @pytest.mark.promise("fault-14")
    def test_the_same_id_gives_the_first_outcome(
        self, far: tuple[Client, Client, Forwarder], name: str
    ) -> None:
        near, client, forwarder = far
        call = begin(client, name)
        until_running(near, name)
        forwarder.cut()
        with pytest.raises(KernelLost) as caught:
            call.result(PATIENCE)
        assert (caught.value.code, caught.value.sent) == ("outcome_unknown", True)
        threading.Timer(0.1, open_gate, (near, name)).start()
        assert client.call("user.held", args=[name], call_id=name, idempotent=True, timeout=PATIENCE) == 1
        assert client.outcome(name) == 1
        assert runs(near, name) == 1

    def test_what_may_run_twice_and_has_an_id_runs_once(
        self, far: tuple[Client, Client, Forwarder], name: str
    ) -> None:
        near, client, forwarder = far
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(client.call, "user.held", args=[name], call_id=name, idempotent=True)
            until_running(near, name)
            forwarder.cut()
            open_gate(near, name)
            assert call.result(PATIENCE) == 1
        assert runs(near, name) == 1
