"""The legacy commands: making, running, listing and forgetting programs."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("dspy_unconfigured")
QUESTION = {"question": "What is the capital of France?"}


def find_answer(topic: str) -> str:
    """Find what is known about a topic."""
    return f"{topic} is well known."


@pytest.fixture
def with_lm(bench: Any, lm_server: Any) -> Any:
    bench.ok("configure_lm", model="demo", api_base=lm_server.api_base, api_key=lm_server.api_key)
    return bench


@pytest.mark.parametrize("module", ["Predict", "ChainOfThought"])
def test_a_program_is_made_run_described_listed_and_deleted(with_lm: Any, module: str) -> None:
    made = with_lm.ok(
        "create_program",
        id="my.qa",
        signature="question -> answer",
        module=module,
        instructions="Answer shortly.",
    )
    assert (made["program_id"], made["stored_as"], made["result"]["type"]) == ("my.qa", "my.qa", module)
    outputs = with_lm.ok("execute_program", program_id="my.qa", inputs=QUESTION)["outputs"]
    assert set(outputs) == ({"answer"} if module == "Predict" else {"answer", "reasoning"})
    program = with_lm.ok("get_program", program_id="my.qa")["program"]
    assert (program["id"], program["type"]) == ("my.qa", module)
    assert program["signature"] == f"question -> {', '.join(outputs)}"
    assert program["instructions"] == "Answer shortly."
    with_lm.ok("store", id="other", value=1)
    listed = with_lm.ok("list_programs")
    assert (listed["programs"], listed["count"]) == ([program], 1)
    with_lm.ok("delete_program", program_id="my.qa")
    assert with_lm.ok("list_programs")["programs"] == []
    reply = with_lm.error("execute_program", program_id="my.qa", inputs=QUESTION)
    assert (reply["code"], reply["at"]) == ("not_found", "$.program_id")


def test_an_agent_gets_tools_by_target_and_by_reference(with_lm: Any) -> None:
    with_lm.runtime.store.put(None, "find", find_answer, writer="", now=time.time())
    made = with_lm.ok(
        "create_program",
        id="agent",
        signature="question -> answer",
        module="ReAct",
        tools=[{"$ref": "find"}, "textwrap.shorten"],
        options={"max_iters": 3},
    )
    assert made["result"]["tools"] == ["find_answer", "shorten", "finish"]
    outputs = with_lm.ok("execute_program", program_id="agent", inputs=QUESTION)["outputs"]
    assert outputs["answer"]
    assert outputs["trajectory"]["tool_name_0"] == "find_answer"
    assert with_lm.ok("get_program", id="agent")["program"]["signature"] == "question -> answer"


@pytest.mark.parametrize(
    ("tools", "code", "at"),
    [
        (["no.such.tool"], "unresolvable", "$.tools[0]"),
        (["textwrap.shorten", {"$ref": "nothing"}], "not_found", "$.tools[1]"),
        (["math.pi"], "invalid_request", "$.tools[0]"),
        ([3], "invalid_request", "$.tools[0]"),
    ],
)
def test_a_tool_that_is_none_is_refused(bench: Any, tools: list[Any], code: str, at: str) -> None:
    reply = bench.error("create_program", id="a", signature="q -> a", module="ReAct", tools=tools)
    assert (reply["code"], reply["at"]) == (code, at)
    assert bench.ok("list_stored")["stored_objects"] == []


def test_a_signature_field_by_field(with_lm: Any) -> None:
    with_lm.ok(
        "create_program",
        id="p",
        signature={
            "name": "Sorting",
            "inputs": [
                {"name": "text", "description": "what a customer wrote"},
                {"name": "n", "type": "integer"},
            ],
            "outputs": [
                {"name": "label", "type": "Literal['good', 'bad']"},
                {"name": "points", "type": "list[str]"},
            ],
        },
        instructions="Sort it.",
    )
    program = with_lm.ok("get_program", program_id="p")["program"]
    assert program["fields"] == [
        {"name": "text", "kind": "input", "type": "str", "description": "what a customer wrote"},
        {"name": "n", "kind": "input", "type": "int", "description": None},
        {"name": "label", "kind": "output", "type": "Literal['good', 'bad']", "description": None},
        {"name": "points", "kind": "output", "type": "list[str]", "description": None},
    ]
    assert program["instructions"] == "Sort it."
    named = with_lm.ok("call", target=["stored", "p", "signature", {"attr": "__name__"}])
    assert named["result"]["value"] == "Sorting"
    outputs = with_lm.ok("execute_program", program_id="p", inputs={"text": "Fine!", "n": 2})["outputs"]
    assert outputs["label"] in ("good", "bad")
    assert isinstance(outputs["points"], list)


@pytest.mark.parametrize(
    ("signature", "at"),
    [
        ("", "$.signature"),
        ("question", "$.signature"),
        ("question ->", "$.signature"),
        ("a -> b -> c", "$.signature"),
        ("2x -> y", "$.signature"),
        ("q: no_such_type -> a", "$.signature"),
        ("a -> a", "$.signature"),
        (5, "$.signature"),
        ({}, "$.signature"),
        ({"inputs": [], "outputs": []}, "$.signature.outputs"),
        ({"inputs": [{}], "outputs": [{"name": "a"}]}, "$.signature.inputs[0]"),
        ({"inputs": [{"name": "q", "kind": 1}], "outputs": [{"name": "a"}]}, "$.signature.inputs[0].kind"),
        ({"inputs": [{"name": "a b"}], "outputs": [{"name": "c"}]}, "$.signature.inputs[0].name"),
        ({"inputs": [{"name": "q"}], "outputs": [{"name": "class"}]}, "$.signature.outputs[0].name"),
        (
            {"inputs": [{"name": "q"}], "outputs": [{"name": "a", "type": "str, b"}]},
            "$.signature.outputs[0].type",
        ),
        (
            {"inputs": [{"name": "q", "type": "str, b: int"}], "outputs": [{"name": "a"}]},
            "$.signature.inputs[0].type",
        ),
        ({"inputs": [{"name": "q"}], "outputs": [{"name": "q"}]}, "$.signature"),
    ],
)
def test_an_invalid_signature_is_the_callers_fault(bench: Any, signature: Any, at: str) -> None:
    reply = bench.error("create_program", id="p", signature=signature)
    assert (reply["code"], reply["at"], reply["fault"]) == ("invalid_request", at, "caller")
    assert bench.ok("list_programs")["count"] == 0


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("Predictor", "unresolvable"),
        ("LM", "invalid_request"),
        ("os.getcwd", "invalid_request"),
        ("no_such_package.RAG", "unresolvable"),
    ],
)
def test_a_module_that_is_none_is_refused(bench: Any, module: str, code: str) -> None:
    reply = bench.error("create_program", id="p", signature="q -> a", module=module)
    assert (reply["code"], reply["at"]) == (code, "$.module")


def test_what_a_class_refuses_is_raised(bench: Any) -> None:
    reply = bench.error("create_program", id="p", signature="q -> a", module="ReAct")
    assert (reply["code"], reply["ename"]) == ("raised", "TypeError")
    assert "tools" in reply["error"]
    reply = bench.error("create_program", id="p", signature="q -> a", options={"signature": "a -> b"})
    assert reply["at"] == "$.options.signature"


def test_only_programs_are_programs(bench: Any) -> None:
    bench.ok("store", id="x", value=[1])
    for op in ("execute_program", "get_program", "delete_program"):
        reply = bench.error(op, program_id="x")
        assert (reply["code"], reply["at"]) == ("not_found", "$.program_id")
        assert "list" in reply["error"]
    assert bench.error("get_program")["code"] == "invalid_request"
    assert bench.error("delete_program", program_id="x", id="x")["code"] == "invalid_request"


def test_inputs_follow_the_data_grammar(with_lm: Any) -> None:
    with_lm.ok("create_program", id="qa", signature="question -> answer")
    with_lm.ok("store", id="q", value="What is Python?")
    assert with_lm.ok("execute_program", program_id="qa", inputs={"question": {"$ref": "q"}})["outputs"]
    reply = with_lm.error("execute_program", program_id="qa", inputs={"question": {"$ref": "gone"}})
    assert (reply["code"], reply["at"]) == ("not_found", "$.inputs.question")


def test_sessions_see_their_own_programs_and_the_kernels(bench: Any) -> None:
    bench.ok("create_program", id="shared", signature="a -> b")
    bench.ok("create_program", id="both", signature="a -> b")
    bench.ok("create_program", id="both", signature="a -> c", session_id="s")
    bench.ok("create_program", id="own", signature="a -> d", session_id="s")
    listed = bench.ok("list_programs", session_id="s")["programs"]
    assert [(p["id"], p["signature"]) for p in listed] == [
        ("both", "a -> c"),
        ("own", "a -> d"),
        ("shared", "a -> b"),
    ]
    assert bench.ok("list_programs", offset=1, limit=1)["programs"][0]["id"] == "both"
    # What lies underneath is not the session's to delete.
    assert bench.error("delete_program", program_id="shared", session_id="s")["code"] == "not_found"
    assert bench.error("get_program", program_id="own")["code"] == "not_found"


def test_clear_session(bench: Any) -> None:
    bench.ok("create_program", id="p", signature="a -> b")
    bench.ok("store", id="kept", value=1)
    bench.ok("create_program", id="p", signature="a -> b", session_id="s")
    bench.ok("store", id="x", value=1, session_id="s")
    assert bench.ok("clear_session", session_id="s")["deleted"] == 2
    assert bench.ok("list_stored", session_id="s")["stored_objects"] == []
    assert bench.ok("clear_session")["deleted"] == 1
    assert bench.ok("list_stored")["stored_objects"] == ["kept"]
    assert bench.error("clear_session", session_id="unknown")["code"] == "not_found"


def test_legacy_commands_are_steps_of_a_pipeline(with_lm: Any) -> None:
    steps = [
        {"target": "builtins.len", "args": ["abc"]},
        {"op": "create_program", "id": "qa", "signature": "question -> answer"},
        {"op": "execute_program", "program_id": "qa", "inputs": QUESTION},
        {"target": "builtins.str", "args": [{"$step": [2, "answer"]}]},
        {"target": "builtins.str", "args": [{"$step": 0}]},
    ]
    results = with_lm.ok("pipeline", steps=steps)["pipeline_results"]
    assert results[3]["result"]["value"] == results[2]["outputs"]["answer"]
    assert results[4]["result"]["value"] == "3"


def test_the_designs_own_example(with_lm: Any) -> None:
    with_lm.ok("call", target="dspy.Predict", kwargs={"signature": "text -> summary"}, store_as="summarizer")
    with_lm.ok("call", target="dspy.ChainOfThought", args=["question -> answer"], store_as="cot")
    text = "Penguins are birds of the southern seas. They eat krill, fish and squid."
    reply = with_lm.ok("call", target="stored.summarizer.__call__", kwargs={"text": text})
    assert reply["result"]["prediction_data"]["summary"]
    reply = with_lm.error("call", target="stored.summarizer", args=[text])
    assert "Positional arguments are not allowed" in reply["error"]


def test_a_program_that_fails_to_describe_itself_is_listed_all_the_same(
    bench: Any, dspy_unconfigured: Any
) -> None:
    class Broken(dspy_unconfigured.Module):  # type: ignore[misc]
        def named_predictors(self) -> Any:
            raise RuntimeError("no")

    bench.runtime.store.put(None, "broken", Broken(), writer="", now=time.time())
    bench.ok("create_program", id="p", signature="a -> b")
    listed = bench.ok("list_programs")["programs"]
    assert [(p["id"], p["signature"]) for p in listed] == [("broken", None), ("p", "a -> b")]
    assert "plugin_error" in bench.ok("retrieve", id="broken")["object"]
