"""Quotas: what would exceed one is refused before anything changes, whoever asks at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from snakekernel import inspection
from snakekernel.commands.runtime import Runtime
from snakekernel.objects.quotas import Account, Quota
from snakekernel.objects.sessions import SessionTable
from snakekernel.objects.store import Store
from snakekernel.testing.dispatch import ask, make_runtime
from snakekernel.wire.errors import LimitExceeded


def runtime_of(**quota: int) -> Runtime:
    runtime = make_runtime(store=Store(estimate=inspection.estimate))
    assert ask(runtime, "create_session", {"session_id": "s", "quota": quota})["quota"] == quota
    return runtime


def in_session(runtime: Runtime, op: str, **content: Any) -> dict[str, Any]:
    return ask(runtime, op, {"session_id": "s", **content})


def use(runtime: Runtime) -> dict[str, Any]:
    used: dict[str, Any] = ask(runtime, "list_sessions", {"session_id": "s"})["sessions"][0]["use"]
    return used


def test_objects() -> None:
    runtime = runtime_of(objects=2)
    for name in ("a", "b"):
        assert in_session(runtime, "store", id=name, value=1)["status"] == "ok"
    reply = in_session(runtime, "store", id="c", value=1)
    assert (reply["code"], reply["at"]) == ("limit", "$.id")
    assert in_session(runtime, "store", id="b", value=2)["status"] == "ok"
    reply = in_session(runtime, "call", target="builtins.object", returns="ref")
    assert (reply["code"], reply["at"]) == ("limit", "$.returns")
    assert use(runtime)["objects"] == 2
    assert in_session(runtime, "delete_stored", id="a")["status"] == "ok"
    assert in_session(runtime, "rename_stored", id="b", to="a")["status"] == "ok"
    assert in_session(runtime, "store", id="b", value=1)["status"] == "ok"
    assert ask(runtime, "store", {"id": "elsewhere", "value": 1})["status"] == "ok"
    assert in_session(runtime, "clear_session")["deleted"] == 2
    assert use(runtime)["objects"] == 0


def test_bytes_are_those_of_the_estimate_and_the_old_value_stays() -> None:
    runtime = runtime_of(bytes=10_000)
    assert in_session(runtime, "store", id="a", value="x" * 5_000)["status"] == "ok"
    before = use(runtime)["bytes"]
    assert 5_000 <= before <= 5_200
    for op, content, at in (
        ("store", {"id": "b", "value": "y" * 6_000}, "$.id"),
        ("store", {"id": "a", "value": "y" * 20_000}, "$.id"),
        ("set", {"target": "stored.a", "value": "y" * 20_000}, "$.target"),
    ):
        reply = in_session(runtime, op, **content)
        assert (reply["code"], reply["at"]) == ("limit", at)
    assert in_session(runtime, "retrieve", id="a")["object"]["value"] == "x" * 5_000
    assert use(runtime) == {"objects": 1, "bytes": before, "calls": 0, "concurrent": 0}
    assert in_session(runtime, "store", id="a", value="z" * 9_000)["status"] == "ok"


def test_sharing_is_storing() -> None:
    runtime = runtime_of(objects=0)
    assert ask(runtime, "store", {"id": "x", "value": 1})["status"] == "ok"
    reply = ask(runtime, "share", {"id": "x", "to": "s"})
    assert (reply["code"], reply["at"]) == ("limit", "$.to")


def test_a_call_whose_result_has_no_room_says_that_it_ran() -> None:
    runtime = runtime_of(bytes=1_000)
    ran: list[int] = []

    def make() -> str:
        ran.append(1)
        return "x" * 5_000

    runtime.store.put(None, "make", make, writer="", now=runtime.clock())
    reply = in_session(runtime, "call", target="stored.make", store_as="big")
    assert (reply["code"], reply["at"], ran) == ("limit", "$.store_as", [1])
    assert reply["error"].startswith("The call ran, and its result was not kept.")
    assert reply["result"]["type"] == "str"
    assert use(runtime)["objects"] == 0


def test_a_call_whose_result_cannot_have_room_does_not_run() -> None:
    runtime = runtime_of(objects=0)
    ran: list[int] = []
    runtime.store.put(None, "run", lambda: ran.append(1), writer="", now=runtime.clock())
    reply = in_session(runtime, "call", target="stored.run", store_as="x")
    assert (reply["code"], reply["at"], ran) == ("limit", "$.store_as", [])


def test_calls_are_counted_over_the_sessions_life() -> None:
    runtime = runtime_of(calls=3)
    call = {"target": "builtins.abs", "args": [-1]}
    assert in_session(runtime, "call", **call, call_id="once")["status"] == "ok"
    # The first outcome again: nothing runs.
    assert in_session(runtime, "call", **call, call_id="once")["status"] == "ok"
    reply = in_session(runtime, "pipeline", steps=[call, call, call])
    assert (reply["code"], reply["at"], len(reply["completed_steps"])) == ("limit", "$.steps[2]", 2)
    assert in_session(runtime, "call", **call)["code"] == "limit"
    assert in_session(runtime, "store", id="x", value=1)["status"] == "ok"
    assert use(runtime)["calls"] == 3


def test_calls_under_way_at_once() -> None:
    account = Account(Quota(concurrent=2))
    with account.call(), account.call(), pytest.raises(LimitExceeded), account.call():
        pass
    assert (account.running, account.calls) == (0, 2)


def test_a_quota_of_all_sessions_bounds_each() -> None:
    runtime = make_runtime(sessions=SessionTable(quota=Quota(objects=1, calls=5)))
    assert ask(runtime, "create_session", {"session_id": "s"})["quota"] == {"objects": 1, "calls": 5}
    reply = ask(runtime, "create_session", {"session_id": "t", "quota": {"objects": 2}})
    assert (reply["code"], reply["at"]) == ("limit", "$.quota.objects")
    reply = ask(runtime, "create_session", {"session_id": "t", "quota": {"objects": 0, "bytes": 9}})
    assert reply["quota"] == {"objects": 0, "bytes": 9, "calls": 5}
    # One that comes into being by its first use has it too.
    assert ask(runtime, "store", {"id": "x", "value": 1, "session_id": "u"})["status"] == "ok"
    assert ask(runtime, "store", {"id": "y", "value": 1, "session_id": "u"})["code"] == "limit"


def test_the_kernel_wide_namespace_has_one_of_its_own() -> None:
    runtime = make_runtime(account=Account(Quota(objects=1, calls=1)))
    assert ask(runtime, "store", {"id": "x", "value": 1})["status"] == "ok"
    assert ask(runtime, "store", {"id": "y", "value": 1})["code"] == "limit"
    assert ask(runtime, "store", {"id": "y", "value": 1, "session_id": "s"})["status"] == "ok"
    assert ask(runtime, "call", {"target": "builtins.int"})["status"] == "ok"
    assert ask(runtime, "call", {"target": "builtins.int"})["code"] == "limit"


def test_threads_together_do_not_exceed_it() -> None:
    store = Store(estimate=inspection.estimate)
    account = Account(Quota(objects=50, bytes=100_000, calls=70))
    store.open_account(("s", 1), account)
    begin = threading.Barrier(8)

    def fill(worker: int) -> tuple[int, int]:
        begin.wait(30)
        stored = called = 0
        for number in range(40):
            try:
                store.put(("s", 1), f"{worker}-{number}", "x" * (100 * number), writer="", now=0.0)
                stored += 1
            except LimitExceeded:
                pass
            assert account.objects <= 50
            assert account.bytes <= 100_000
            try:
                with account.call():
                    called += 1
            except LimitExceeded:
                pass
        return stored, called

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(fill, range(8)))
    entries = list(store.entries(("s", 1)))
    assert sum(stored for stored, _ in done) == len(entries) == account.objects <= 50
    assert account.bytes == sum(entry.charged for entry in entries) <= 100_000
    assert sum(called for _, called in done) == account.calls == 70
