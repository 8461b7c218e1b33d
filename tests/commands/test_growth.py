"""Requests served leave no memory behind: what is kept by call id is bounded, all else goes."""

from __future__ import annotations

import gc
import sys
import time
from itertools import count

from snakekernel.commands.dispatch import Outcome, Run
from snakekernel.commands.runtime import Runtime
from snakekernel.objects.sessions import SessionTable
from snakekernel.objects.store import Store
from snakekernel.plugins.load import CommandTable, PluginTable
from snakekernel.wire.frame import Frame, pack_json, unpack_object
from snakekernel.wire.names import request_type

_numbers = count()
_ROUND = (
    ("call", {"target": "operator.add", "args": [2, 3]}),
    ("store", {"id": "x", "value": {"a": [1, 2]}}),
    ("call", {"target": "stored.x.get", "args": ["a"]}),
    ("retrieve", {"id": "x"}),
    ("inspect", {"target": "stored.x"}),
    ("list_stored", {"prefix": "x"}),
    ("pipeline", {"steps": [{"target": "operator.add", "args": [2, 3]}]}),
    ("delete_stored", {"id": "x"}),
    ("store", {"id": "y", "value": 1, "session_id": "s"}),
    ("close_session", {"session_id": "s"}),
    ("ping", {}),
)
_FAILING = (
    ("call", {"target": "operator.truediv", "args": [1, 0]}),
    ("retrieve", {"id": "absent"}),
    ("nothing_of_the_kind", {}),
)


def _serve(runtime: Runtime, op: str, content: dict[str, object]) -> str:
    frame = Frame(request_type(op), f"message {next(_numbers)}", pack_json(content), b"{}", [])
    run = Run(frame, runtime, "shell")
    outcome = run.resume()
    assert isinstance(outcome, Outcome)
    return str(unpack_object(run.pack(outcome).content)["status"])


def _rounds(runtime: Runtime, number: int) -> int:
    """Serve rounds of requests; returns how many blocks of memory are in use then."""
    for _ in range(number):
        for op, content in _ROUND:
            assert _serve(runtime, op, content) == "ok", op
        for op, content in _FAILING:
            assert _serve(runtime, op, content) == "error", op
    gc.collect()
    return sys.getallocatedblocks()


def test_requests_leave_nothing_behind() -> None:
    runtime = Runtime(
        table=CommandTable(),
        frameworks=PluginTable(),
        clock=time.time,
        store=Store(on_drop=lambda gone: gone.clear()),
        sessions=SessionTable(),
    )
    before = _rounds(runtime, 100)
    growth = _rounds(runtime, 700) - before
    # Python's cache of methods holds up to 4,096 names as they were spelled in requests. Keeping one object
    # for each of the 9,800 requests would show.
    assert growth < 3_000
    assert len(runtime.store) == len(runtime.sessions) == 0
