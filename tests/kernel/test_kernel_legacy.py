"""The design's DSPy commands on a real kernel, by shell and subshell, with a real language-model server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stock_client import Stock

import snakekernel
from snakekernel.demo.lm_server import LMServer

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(240)]

KEY = "sk-canary-0123456789-never-to-be-seen"
QUESTION = {"question": "What is the capital of France?"}
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[LMServer]:
    """A language model that knows one key."""
    with LMServer(api_key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def snake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[snakekernel.Client]:
    """A kernel whose DSPy caches nothing outside this run, with no model configured."""
    env = {
        **os.environ,
        "DSPY_CACHEDIR": str(tmp_path_factory.mktemp("dspy")),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "KEY_IN_THE_ENVIRONMENT": KEY,
    }
    with snakekernel.start(env=env) as client:
        yield client


@pytest.fixture(params=["shell", "subshell"])
def route(request: pytest.FixtureRequest) -> dict[str, Any]:
    """By the main shell, and by a subshell."""
    return {} if request.param == "shell" else {"subshell_id": request.getfixturevalue("subshell")}


def lm(server: LMServer, **more: Any) -> dict[str, Any]:
    """What configures the model."""
    return {"provider": "openai", "model": "demo", "api_base": server.api_base, "cache": False, **more}


def test_without_a_model(stock: Stock, route: dict[str, Any]) -> None:
    program = {"id": "early", "signature": "question -> answer"}
    stock.ok("create_program", program, **route)
    reply = stock.fails("execute_program", {"program_id": "early", "inputs": QUESTION}, **route)
    assert "configure" in reply["error"].lower()
    stock.ok("delete_program", {"program_id": "early"}, **route)


@pytest.mark.parametrize(
    "signature", ["", "no arrow", "a -> ", 5, {}, {"inputs": [{"name": "q"}]}, {"inputs": 5}]
)
def test_invalid_signatures(stock: Stock, signature: Any) -> None:
    reply = stock.fails("create_program", {"id": "bad", "signature": signature})
    assert (reply["code"], reply["fault"]) == ("invalid_request", "caller"), reply
    assert reply["at"].startswith("$.signature")


def test_the_commands_work_together(stock: Stock, server: LMServer, route: dict[str, Any]) -> None:
    session = {"session_id": f"a session by {sorted(route)}"}
    stock.ok("configure_lm", {**lm(server, api_key=KEY), **session}, **route)
    signature = {
        "inputs": [{"name": "question", "description": "what to answer"}],
        "outputs": [{"name": "answer"}],
    }
    for id, form in (("text", "question -> answer"), ("object", signature)):
        stock.ok("create_program", {"id": id, "signature": form, **session}, **route)
    run = {"program_id": "object", "inputs": QUESTION, **session}
    assert stock.ok("execute_program", run, **route)["outputs"]["answer"]
    program = stock.ok("get_program", {"program_id": "text", **session}, **route)["program"]
    assert (program["id"], program["signature"]) == ("text", "question -> answer")
    listed = stock.ok("list_programs", session, **route)
    assert {one["id"] for one in listed["programs"]} == {"text", "object"}
    assert listed["count"] == 2
    stock.ok("delete_program", {"program_id": "text", **session}, **route)
    assert stock.ok("list_programs", session, **route)["count"] == 1
    stock.ok("clear_session", session, **route)
    assert stock.ok("list_programs", session, **route)["count"] == 0
    assert stock.fails("get_program", {"program_id": "object", **session}, **route)["code"] == "not_found"


def test_a_sessions_model_is_its_own(stock: Stock, server: LMServer) -> None:
    stock.ok("configure_lm", {**lm(server, api_key_env="KEY_IN_THE_ENVIRONMENT"), "session_id": "with"})
    for session in ("with", "without"):
        stock.ok("create_program", {"id": "p", "signature": "question -> answer", "session_id": session})
    run = {"program_id": "p", "inputs": QUESTION}
    assert stock.ok("execute_program", {**run, "session_id": "with"})["outputs"]["answer"]
    assert stock.fails("execute_program", {**run, "session_id": "without"})["fault"]


def test_a_model_that_cannot_be_reached(stock: Stock) -> None:
    unreachable = {
        "provider": "openai",
        "model": "demo",
        "api_base": "http://127.0.0.1:9/v1",
        "num_retries": 0,
    }
    session = {"session_id": "unreachable"}
    stock.ok("configure_lm", {**unreachable, "api_key": KEY, "cache": False, **session})
    stock.ok("create_program", {"id": "p", "signature": "question -> answer", **session})
    reply = stock.fails("execute_program", {"program_id": "p", "inputs": QUESTION, **session})
    assert (reply["code"], reply["fault"]) == ("raised", "target")
    assert stock.call("operator.add", 1, 2) == 3


def test_a_framework_that_is_not_there(stock: Stock) -> None:
    reply = stock.fails("configure", {"framework": "transformers", "config": {}})
    assert (reply["code"], reply["at"]) == ("not_found", "$.framework")


def test_the_key_is_seen_nowhere(stock: Stock, server: LMServer) -> None:
    stock.ok(
        "configure",
        {"framework": "dspy", "config": {"lm": "openai/demo", "api_base": server.api_base, "api_key": KEY}},
    )
    for content in (
        {"target": "dspy.settings.lm"},
        {"target": "dspy.settings.lm.kwargs"},
        {"target": "dspy.settings.lm.dump_state"},
        {"target": "builtins.repr", "args": [{"$ref": "lm"}]},
    ):
        stock.ask("call", {"target": "dspy.settings.lm", "store_as": "lm"})
        assert KEY not in str(stock.ask("call", content))
    assert KEY not in str(stock.ok("inspect", {"target": "stored.lm"}))
    cell = stock.send("execute_request", {"code": "import dspy; print(vars(dspy.settings.lm))"})
    stock.reply(cell)
    assert KEY not in str(stock.outputs(cell))
    assert "[secret]" in str(stock.outputs(cell))
