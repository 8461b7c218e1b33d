"""Any bytes into the dispatcher: exactly one valid reply, and the runtime goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snakekernel.commands.dispatch import Outcome, Run, frame_of_comm
from snakekernel.commands.runtime import Runtime
from snakekernel.commands.table import BUILTINS
from snakekernel.objects.policy import TargetPolicy
from snakekernel.testing.dispatch import ask, dispatch, make_runtime, verify_reply
from snakekernel.wire.errors import InvalidRequest
from snakekernel.wire.frame import Frame
from snakekernel.wire.names import request_type

DOORS = st.sampled_from(["shell", "subshell", "control", "comm"])
#: Targets that do no harm, whatever arguments a test makes up for them.
HARMLESS = TargetPolicy(
    allow=[
        *(f"builtins.{name}" for name in ("len", "list", "dict", "sorted", "sum", "repr", "exit", "abs")),
        "operator.add",
        "operator.truediv",
        "json.dumps",
    ],
)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    """One runtime for all examples: what one does must not spoil the next."""
    runtime = make_runtime(policy=HARMLESS)
    runtime.table = BUILTINS
    for name, value in {"x": {"a": [1, 2]}, "my.model": [1], "~1": None}.items():
        ask(runtime, "store", {"id": name, "value": value})
    return runtime


names = st.sampled_from(["x", "my.model", "no such", "s", "", "é", "a" * 2_000, "\ud800", "\x00"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | names
)
tagged = st.builds(
    lambda tag, value: {tag: value},
    st.sampled_from(
        [
            "$ref",
            "$step",
            "$tuple",
            "$set",
            "$frozenset",
            "$dict",
            "$int",
            "$float",
            "$bytes",
            "$ndarray",
            "$arrow",
            "$enum",
            "$datetime",
            "$date",
            "$path",
            "$uuid",
            "$callback",
            "$nonsense",
            "$",
            "$str",
            "$npscalar",
            "$complex",
            "$decimal",
        ]
    ),
    st.deferred(lambda: data),
)
data: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names | st.text(max_size=4), inner, max_size=4)
        | st.builds(
            lambda tag, value: {tag: value}, st.sampled_from(["$ref", "$tuple", "$dict", "$bytes"]), inner
        )
    ),
    max_leaves=12,
)
targets = st.sampled_from(
    [
        "builtins.len",
        "builtins.list",
        "operator.add",
        "operator.truediv",
        "stored.x",
        "stored.x.a",
        "stored",
        "user.v",
        "json.dumps",
        "builtins.exit",
        "builtins.eval",
        "no.such",
        "..",
        "builtins.len.__call__",
    ]
) | st.lists(names | scalars | data, max_size=4)
#: Contents that look like requests: real field names with right and wrong values.
fields = sorted({name for command in BUILTINS.values() for name in command.request.__struct_fields__})
plausible = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(fields, data | tagged),
        "target": targets,
        "id": names | scalars,
        "to": names | st.none(),
        "args": st.lists(data | tagged, max_size=3),
        "kwargs": st.dictionaries(st.text(max_size=3), data | tagged, max_size=3),
        "returns": st.sampled_from(["auto", "value", "preview", "ref", "none", "all"]),
        "store_as": names,
        "session_id": names | st.none(),
        "call_id": names | st.none(),
        "epoch": st.none() | st.just("other"),
        "value": data | tagged,
        "offset": st.integers(-1, 5),
        "limit": st.integers(-1, 20_000),
        "ttl": st.sampled_from([1, 0, -1, 1e300, 5.5]),
        "rows": st.lists(st.integers(-1, 5), max_size=3),
        "columns": st.lists(st.integers(-1, 5), max_size=3),
        "budget": st.sampled_from([0.01, 0, 1000]),
        "framework": st.sampled_from(["json", "no_such", "", "a.b"]),
        "config": st.dictionaries(st.sampled_from(["a", "level"]), data, max_size=2),
    },
)
steps = st.lists(
    st.builds(
        lambda op, content: {**op, **content},
        st.sampled_from([{}, *({"op": op} for op in BUILTINS)]),
        plausible,
    )
    | data,
    max_size=4,
)
pipelines = st.builds(lambda s, stop: {"steps": s, "stop_on_error": stop}, steps, st.booleans())
ops = st.sampled_from([*BUILTINS, "nonsense", ""])
buffers = st.lists(st.binary(max_size=8).map(memoryview), max_size=2)
metadata = st.just({}) | st.dictionaries(st.just("snake_buffers") | st.text(max_size=3), data, max_size=2)

few = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def one_reply(runtime: Runtime, frame: Frame, door: Any) -> dict[str, Any]:
    """The content of the reply; checks that it is valid, and that the runtime goes on."""
    handled = runtime.requests_handled
    run = Run(frame, runtime, door)
    content = verify_reply(dispatch(frame, runtime, door), runtime, run.op)
    assert runtime.requests_handled > handled
    assert ask(runtime, "ping")["status"] == "ok"
    assert not any(session.leases for session in runtime.sessions.sessions())
    return content


def packed(content: Any) -> bytes:
    """JSON as a stock client packs it: lone surrogates as escapes."""
    return json.dumps(content).encode()


@few
@given(op=ops, content=st.binary(max_size=30), door=DOORS)
@example(op="call", content=b"[" * 100_000, door="shell")
@example(op="call", content=b'{"args":' * 100_000, door="control")
@example(op="call", content=b'{"target": "builtins.len", "args": [NaN]}', door="shell")
@example(op="call", content=b'{"target": "builtins.abs", "args": [1e999]}', door="shell")
@example(op="call", content=b'{"target": "builtins.abs", "args": [' + b"9" * 5_000 + b"]}", door="shell")
@example(op="call", content=b'{"target": "builtins.len", "args": ["\\ud800"]}', door="shell")
@example(op="call", content=b'{"target": "builtins.len", "target": "builtins.abs"}', door="shell")
def test_any_bytes(runtime: Runtime, op: str, content: bytes, door: Any) -> None:
    one_reply(runtime, Frame(request_type(op), "m", content), door)


@few
@given(op=ops, content=data, door=DOORS)
def test_any_json(runtime: Runtime, op: str, content: Any, door: Any) -> None:
    one_reply(runtime, Frame(request_type(op), "m", packed(content)), door)


@settings(few, max_examples=500)
@given(
    op=st.sampled_from(sorted(BUILTINS)), content=plausible, door=DOORS, buffers=buffers, metadata=metadata
)
def test_plausible_requests(
    runtime: Runtime, op: str, content: Any, door: Any, buffers: Any, metadata: Any
) -> None:
    frame = Frame(request_type(op), "m", packed(content), packed(metadata), buffers)
    one_reply(runtime, frame, door)


@settings(few, max_examples=250)
@given(content=pipelines, buffers=buffers)
def test_pipelines(runtime: Runtime, content: Any, buffers: Any) -> None:
    reply = one_reply(runtime, Frame(request_type("pipeline"), "m", packed(content), {}, buffers), "shell")
    if reply["status"] == "ok":
        assert len(reply["pipeline_results"]) == len(content["steps"])
        completed = [one for one in reply["pipeline_results"] if one["status"] == "ok"]
        assert reply["steps_completed"] == len(completed)
    elif "step" in reply:
        assert len(reply["completed_steps"]) == reply["step"]
        assert reply["at"].startswith(f"$.steps[{reply['step']}]")


@few
@given(msg_type=st.text(max_size=20).map(lambda text: f"snake_{text}"), door=DOORS)
def test_any_message_type(runtime: Runtime, msg_type: str, door: Any) -> None:
    run = Run(Frame(msg_type, "m", b"{}"), runtime, door)
    assert run.reply_type.startswith("snake_")
    assert run.reply_type.endswith("_reply")
    step = run.resume()
    assert isinstance(step, Outcome)
    verify_reply(run.pack(step), runtime, run.op)


@few
@given(comm_data=data | st.fixed_dictionaries({"op": ops | data, "content": plausible | data, "id": data}))
def test_any_comm_data(runtime: Runtime, comm_data: Any) -> None:
    try:
        frame, _ = frame_of_comm(comm_data, "m", [])
    except InvalidRequest as error:
        run = Run(Frame(request_type("?"), "m", {}), runtime, "comm")
        verify_reply(run.pack(run.fail(error)), runtime, run.op)
    else:
        one_reply(runtime, frame, "comm")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(1), MemoryError(), RecursionError(), ValueError("a bug")]
)
def test_our_own_failures_get_a_reply_too(error: BaseException) -> None:
    """Whatever breaks inside the kernel, the caller is told that it is the kernel's fault."""

    class Broken(dict[str, Any]):
        def get(self, *args: Any) -> Any:
            raise error

    runtime = make_runtime(table=Broken(BUILTINS))
    run = Run(Frame(request_type("ping"), "m", b"{}"), runtime, "shell")
    step = run.resume()
    assert isinstance(step, Outcome)
    content = json.loads(run.pack(step).content)
    assert (content["status"], content["fault"], content["ename"]) == (
        "error",
        "kernel",
        type(error).__name__,
    )
