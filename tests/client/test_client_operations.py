"""Every method of the two clients over one real kernel, by one table of scenarios that both must pass."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import snakekernel
from snakekernel import AsyncClient, Client, Description, ref, step
from snakekernel.client.streams import Chunk
from snakekernel.errors import InvalidRequest, NotFound, Unserializable
from snakekernel.plugins.load import CommandTable

pytestmark = pytest.mark.kernel

#: What a connection does by itself.
_NOT_OFFERED = {"attach", "renew", "credit", "open_subshells", "close_subshells"}
#: Parameters that say how to ask, not what.
_CLIENT_SIDE = {"timeout", "details", "channel", "on_output", "on_progress", "idempotent"}

#: One step: a method, its arguments, and what must hold of the result.
Scenario = list[tuple[str, tuple[Any, ...], dict[str, Any], Callable[[Any], bool]]]


def _is(expected: Any) -> Callable[[Any], bool]:
    return lambda result: type(result) is type(expected) and bool(result == expected)


def _describes(type_name: str) -> Callable[[Any], bool]:
    return lambda result: isinstance(result, Description) and result.type == type_name


_FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None]}, index=[10, 20, 30])
_ARRAY = np.arange(12, dtype="<f4").reshape(3, 4)

SCENARIOS: dict[str, Scenario] = {
    "call": [
        ("call", ("operator.add",), {"args": [2, 3]}, _is(5)),
        ("call", ("builtins.dict",), {"kwargs": {"a": (1, 2)}}, _is({"a": (1, 2)})),
        ("call", ("math.pi",), {}, _is(math.pi)),
        ("call", (["os", "path", "basename"],), {"args": ["/a/b"]}, _is("b")),
        ("call", ("builtins.float",), {"args": ["nan"]}, lambda x: math.isnan(x)),
        ("call", ("operator.neg",), {"args": [2**70]}, _is(-(2**70))),
        ("call", ("operator.add",), {"args": np.array([2, 3])}, lambda x: x == 5),
        ("call", ("operator.add",), {"args": range(2, 4)}, _is(5)),
    ],
    "returns": [
        ("call", ("builtins.list",), {"args": [[1]], "returns": "value"}, _is([1])),
        ("call", ("builtins.list",), {"args": [[1]], "returns": "preview"}, _describes("list")),
        ("call", ("builtins.list",), {"args": [[1]], "returns": "none"}, lambda x: x is None),
        ("call", ("builtins.list",), {"args": [[7]], "store_as": "kept"}, _describes("list")),
        ("call", ("builtins.sum",), {"args": [ref("kept")]}, _is(7)),
    ],
    "store": [
        ("store", ("df", _FRAME), {}, lambda count: count >= 1),
        ("retrieve", ("df",), {}, lambda df: df.equals(_FRAME) and df.index.equals(_FRAME.index)),
        ("retrieve", (), {"target": "stored.df.shape"}, _is((3, 2))),
        ("retrieve", (), {"target": ["stored", "df", "a", {"item": 20}]}, lambda x: x == 2),
        ("call", ("stored.df.a.sum",), {}, lambda x: x == 6),
        ("list_stored", ("df",), {}, _is(["df"])),
        ("list_stored", ("df",), {"details": True}, lambda r: r["objects"][0]["type"] == "DataFrame"),
        ("list_stored", (), {"limit": 0}, _is([])),
        ("rename_stored", ("df", "frame"), {}, lambda message: "frame" in message),
        ("table", ("stored.frame",), {"rows": (1, 3)}, lambda page: page["total_rows"] == 3),
        ("delete_stored", ("frame",), {}, lambda message: "frame" in message),
        ("list_stored", ("frame",), {}, _is([])),
    ],
    "arrays": [
        ("store", ("array", _ARRAY), {}, lambda count: count >= 1),
        ("retrieve", ("array",), {}, lambda a: a.dtype == "<f4" and np.array_equal(a, _ARRAY)),
        ("call", ("numpy.sum",), {"args": [_ARRAY]}, lambda s: type(s) is np.float32 and s == 66),
        ("call", ("numpy.dot",), {"args": [_ARRAY, _ARRAY.T]}, lambda d: d.shape == (3, 3)),
        ("call", ("numpy.ravel",), {"args": [ref("array", 0)]}, lambda a: a.tolist() == [0, 1, 2, 3]),
    ],
    "set": [
        ("store", ("d", {"k": 1}), {}, lambda count: count >= 1),
        ("set", (["stored", "d", "k"], 2), {}, lambda message: True),
        ("retrieve", ("d",), {}, _is({"k": 2})),
        ("set", ("user.answer", 42), {}, lambda message: "answer" in message),
        ("call", ("user.answer",), {}, _is(42)),
    ],
    "pipeline": [
        (
            "pipeline",
            (
                [
                    {"target": "builtins.list", "args": [(3, 1, 2)]},
                    {"target": "builtins.sorted", "args": [step(0)], "store_as": "ordered"},
                    {"op": "retrieve", "id": "ordered"},
                    {"target": "operator.mul", "args": [step(2, 0), step(1, 2)]},
                    {"op": "store", "id": "product", "value": step(3)},
                ],
            ),
            {},
            lambda r: r[0] == [3, 1, 2] and r[1].path == ("ordered",) and r[2:4] == [[1, 2, 3], 3],
        ),
        ("retrieve", ("product",), {}, _is(3)),
    ],
    "inspect": [
        ("inspect", ("json.dumps",), {}, lambda i: i["callable"] and "obj" in i["signature"]),
        ("inspect", ("builtins",), {"channel": "control"}, lambda i: i["type"] == "module"),
        (
            "inspect",
            ("user.stored",),
            {"channel": "control", "run_code": True},
            lambda i: i["string_repr"].startswith("<stored:"),
        ),
        ("set", ("user.seen", [1, 2]), {}, lambda message: "seen" in message),
        ("list_variables", ("see",), {}, _is(["seen"])),
        (
            "list_variables",
            (),
            {"search": "EEN", "details": True},
            lambda r: r["objects"][0]["preview"] == "[1, 2]",
        ),
        ("watch", ([(None, "x")],), {"variables": ["seen"], "lease": 1}, lambda r: r["expires_at"] > 0),
        ("watch", (), {"lease": 0}, lambda r: r["expires_at"] is None),
        ("cancel", ("no such call",), {}, _is("unknown")),
    ],
    "sessions": [
        ("create_session", ("one",), {"ttl": 600}, _is("one")),
        ("store", ("x", 1), {"session_id": "one"}, _is(1)),
        ("list_stored", (), {"session_id": "one"}, lambda names: "x" in names),
        ("share", ("x", None), {"session_id": "one"}, lambda message: "kernel-wide" in message),
        ("retrieve", ("x",), {}, _is(1)),
        ("list_sessions", (), {}, lambda found: any(s["session_id"] == "one" for s in found)),
        ("close_session", ("one",), {}, lambda message: "one" in message),
        ("list_sessions", (), {}, lambda found: not any(s["session_id"] == "one" for s in found)),
    ],
    "pull": [
        ("call", ("builtins.iter",), {"args": [[1, 2, 3]], "store_as": "left"}, _describes("list_iterator")),
        ("pull", ("stored.left", 2), {}, _is(Chunk([1, 2], False, None))),
        ("pull", ("stored.left", 2), {}, _is(Chunk([3], True, None))),
    ],
    "about": [
        ("ping", (), {}, lambda r: r["bridge_type"] == "snakekernel" and r["uptime"] > 0),
        ("info", (), {}, lambda r: "call" in r["operations"]),
        ("supported_commands", (), {}, lambda ops: set(CommandTable()) == set(ops)),
        ("execute", ("call", {"target": "math.sqrt", "args": [9]}), {}, lambda r: r["result"]["value"] == 3),
        ("exchange", ("call", {"target": "numpy.arange", "args": [2]}), {}, lambda r: len(r[1]) == 1),
    ],
    "programs": [
        ("create_program", ("p", "question -> answer"), {}, lambda r: True),
        ("create_qa_program", ("qa", "Answer in one word."), {}, lambda r: True),
        ("get_program", ("qa",), {}, lambda r: r["instructions"] == "Answer in one word."),
        ("list_programs", (), {}, lambda found: {"p", "qa"} <= {one["id"] for one in found}),
        ("delete_program", ("p",), {}, lambda message: "p" in message),
        ("clear_session", (), {}, lambda message: True),
        ("list_programs", (), {}, lambda found: not found),
    ],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_blocking(snake: Client, name: str) -> None:
    for method, args, kwargs, holds in SCENARIOS[name]:
        result = getattr(snake, method)(*args, **kwargs)
        assert holds(result), (method, args, result)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_async(snake: Client, name: str) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        for method, args, kwargs, holds in SCENARIOS[name]:
            result = await getattr(client, method)(*args, **kwargs)
            assert holds(result), (method, args, result)


def test_the_language_model_commands(snake: Client) -> None:
    """Configuring, running and asking, against a language-model server on this machine."""
    from snakekernel.demo.lm_server import LMServer

    with LMServer() as server:
        snake.configure_lm(
            provider="openai", model="demo", api_base=server.api_base, api_key="none", session_id="models"
        )
        snake.create_qa_program("capital", "Answer from what you know.", session_id="models")
        asked = snake.execute_program("capital", {"question": "Where do penguins live?"}, session_id="models")
        assert isinstance(asked["answer"], str)
        again = snake.ask_question("capital", "Where do penguins live?", session_id="models")
        assert isinstance(again, str)
    snake.close_session("models")


def test_configure_reaches_a_framework(snake: Client) -> None:
    assert "gpt-4o-mini" in snake.configure(
        "dspy", {"lm": "openai/gpt-4o-mini", "api_key": "sk-test-0123456789"}
    )
    with pytest.raises(NotFound, match=r"nowhere\.configure"):
        snake.configure("nowhere", {})


@pytest.mark.parametrize("op", sorted(set(CommandTable()) - _NOT_OFFERED))
def test_every_operation_has_a_method_with_the_fields_of_its_request(op: str) -> None:
    fields = set(CommandTable()[op].request.__struct_fields__)
    for kind in (Client, AsyncClient):
        method = getattr(kind, op)
        parameters = inspect.signature(method).parameters.values()
        names = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - {"self"} - _CLIENT_SIDE
        assert names <= fields, names - fields
        assert "timeout" in inspect.signature(method).parameters


def test_the_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)


def test_commands_are_validated_without_sending_them(snake: Client) -> None:
    snake.validate_command("call", {"target": "math.sqrt", "args": [1]})
    with pytest.raises(snakekernel.errors.UnknownOperation):
        snake.validate_command("no_such")
    with pytest.raises(InvalidRequest) as caught:
        snake.validate_command("call", {"target": "math.sqrt", "argz": [1]})
    assert caught.value.at == "$.argz"
    with pytest.raises(InvalidRequest) as caught:
        snake.validate_command("call", {"target": 3})
    assert caught.value.at == "$.target"


def test_session_as_a_context_manager(snake: Client) -> None:
    with snake.session(ttl=60) as session:
        assert session.store("inside", [1]) == 1
        assert session.stored.inside.fetch() == [1]
        assert session.call("builtins.len", args=[session.stored.inside]) == 1
        with pytest.raises(NotFound):
            snake.retrieve("inside")
    with pytest.raises(NotFound):
        snake.list_stored(session_id=session._session_id)


async def test_async_session_as_a_context_manager(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        async with client.session("mine") as session:
            await session.store("inside", 1)
            assert await session.list_stored() == ["inside"]
        assert "mine" not in [s["session_id"] for s in await client.list_sessions()]


def test_a_session_survives_an_exception_only_as_long_as_its_block(snake: Client) -> None:
    with pytest.raises(ZeroDivisionError), snake.session("brief"):
        raise ZeroDivisionError
    assert "brief" not in [s["session_id"] for s in snake.list_sessions()]


def test_a_failing_pipeline_says_what_was_completed(snake: Client) -> None:
    steps = [
        {"target": "math.sqrt", "args": [4]},
        {"target": "math.sqrt", "args": [-1]},
        {"target": "math.pi"},
    ]
    with pytest.raises(ValueError, match="step 1") as caught:
        snake.pipeline(steps)
    assert caught.value.reply["step"] == 1  # type: ignore[attr-defined]
    assert [one["result"]["value"] for one in caught.value.reply["completed_steps"]] == [2.0]  # type: ignore[attr-defined]
    first, second, third = snake.pipeline(steps, stop_on_error=False)
    assert (first, third) == (2.0, math.pi)
    assert isinstance(second, ValueError)


def test_a_value_that_cannot_be_sent_is_refused_here(snake: Client) -> None:
    with pytest.raises(Unserializable) as caught:
        snake.call("builtins.len", args=[[object()]])
    assert caught.value.at == "$.args[0][0]"
    assert caught.value.fault == "caller"
    with pytest.raises(Unserializable) as caught:
        snake.pipeline([{"target": "builtins.len", "args": [object()]}])
    assert caught.value.at == "$.steps[0].args[0]"
    with pytest.raises(Unserializable) as caught:
        snake.call("builtins.dict", kwargs={"key": {"x": object()}})
    assert caught.value.at == "$.kwargs.key.x"
    with pytest.raises(Unserializable) as caught:
        snake.store("x", {"a": [object()]})
    assert caught.value.at == "$.value.a[0]"
    with pytest.raises(Unserializable, match="kept nowhere"):
        snake.call("builtins.len", args=[snake.call("builtins.object")])
    assert snake.call("math.sqrt", args=[4]) == 2.0


def test_string_refs_and_call_ids(snake: Client) -> None:
    snake.store("numbers", [1, 2, 3])
    assert snake.call("builtins.len", args=["stored.numbers"]) == len("stored.numbers")
    assert snake.call("builtins.len", args=["stored.numbers"], string_refs=True) == 3
    first = snake.call("uuid.uuid4", call_id="once")
    assert snake.call("uuid.uuid4", call_id="once") == first
