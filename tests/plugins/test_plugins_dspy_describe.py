"""How DSPy's objects are described."""

from __future__ import annotations

import time
from typing import Any

import pytest

CANARY = "sk-canary-0123456789-never-to-be-seen"


@pytest.fixture
def dspy(dspy_unconfigured: Any) -> Any:
    return dspy_unconfigured


def described(bench: Any, obj: Any) -> dict[str, Any]:
    bench.runtime.store.put(None, "obj", obj, writer="", now=time.time())
    found: dict[str, Any] = bench.ok("retrieve", id="obj", returns="preview")["object"]
    assert "plugin_error" not in found, found
    return found


def inspected(bench: Any, obj: Any) -> dict[str, Any]:
    bench.runtime.store.put(None, "obj", obj, writer="", now=time.time())
    found: dict[str, Any] = bench.ok("inspect", target="stored.obj")["inspection"]
    assert "plugin_error" not in found, found
    return found


def test_prediction(bench: Any, dspy: Any) -> None:
    long = "word " * 2_000
    found = described(bench, dspy.Prediction(answer="Paris", score=0.5, tags=["a"], long=long))
    assert (found["type"], found["module"]) == ("Prediction", "dspy")
    assert found["attributes"]["answer"] == {"type": "str", "module": "builtins", "value": "Paris"}
    assert found["prediction_data"] == {"answer": "Paris", "score": 0.5, "tags": ["a"], "long": long}
    assert found["string_repr"].startswith("Prediction(")
    assert found["truncated"] is True


def test_prediction_with_fields_that_shadow_methods(bench: Any, dspy: Any) -> None:
    prediction = dspy.Prediction(items=["x"], keys="k")
    prediction.items = "set later"
    found = described(bench, prediction)
    assert found["prediction_data"] == {"items": ["x"], "keys": "k"}


def test_prediction_of_what_has_no_json(bench: Any, dspy: Any) -> None:
    loop: list[Any] = []
    loop.append(loop)
    big = list(range(100_000))
    found = described(bench, dspy.Prediction(f=print, loop=loop, b=b"ab", nan=float("nan"), big=big))
    data = found["prediction_data"]
    assert "print" in data["f"]
    assert isinstance(data["loop"], str)
    assert data["b"] == "b'ab'"
    assert data["nan"] == {"$float": "nan"}
    assert isinstance(data["big"], str)
    assert len(data["big"]) < 3_000


def test_completions_and_usage(bench: Any, dspy: Any) -> None:
    prediction = dspy.Prediction.from_completions({"answer": ["a", "b"]})
    prediction.set_lm_usage({"openai/demo": {"prompt_tokens": 3, "details": None}})
    found = described(bench, prediction)
    assert found["completions"] == 2
    assert found["usage"] == {"openai/demo": {"prompt_tokens": 3, "details": None}}


def test_example(bench: Any, dspy: Any) -> None:
    inner = dspy.Example(x=1)
    example = dspy.Example(question="Why?", items=[inner]).with_inputs("question")
    found = described(bench, example)
    assert (found["type"], found["module"]) == ("Example", "dspy.primitives.example")
    assert found["example_data"] == {"question": "Why?", "items": [{"x": 1}]}
    assert found["input_keys"] == ["question"]
    assert set(found["attributes"]) == {"question", "items"}


def test_signature(bench: Any, dspy: Any) -> None:
    found = described(bench, dspy.Signature("question, n: int -> answer: list[str]", "Be brief."))
    assert found["signature"] == "question, n -> answer"
    assert found["instructions"] == "Be brief."
    assert [(f["name"], f["kind"], f["type"]) for f in found["fields"]] == [
        ("question", "input", "str"),
        ("n", "input", "int"),
        ("answer", "output", "list[str]"),
    ]


def test_modules_of_ones_own(bench: Any, dspy: Any) -> None:
    class Rag(dspy.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.search = dspy.Predict("question -> query")
            self.answer = dspy.ChainOfThought("question, passage -> answer")
            self.answer.set_lm(dspy.LM("openai/gpt-4o-mini", api_key=CANARY))
            self.weights = "w" * 100_000

    found = described(bench, Rag())
    assert [(p["name"], p["signature"], p["lm"]) for p in found["predictors"]] == [
        ("search", "question -> query", None),
        ("answer.predict", "question, passage -> reasoning, answer", "openai/gpt-4o-mini"),
    ]
    assert found["attributes"]["signature"]["value"] == "question -> query"
    assert CANARY not in str(found)
    assert "wwww" not in str(found["predictors"])


def test_a_language_model_shows_no_key_even_where_none_was_registered(bench: Any, dspy: Any) -> None:
    lm = dspy.LM(
        "openai/gpt-4o-mini", api_key=CANARY, headers={"Authorization": f"Bearer {CANARY}", "X-A": "1"}
    )
    found = described(bench, lm)
    assert (found["type"], found["calls"]) == ("LM", 0)
    assert found["attributes"]["model"]["value"] == "openai/gpt-4o-mini"
    assert CANARY not in str(found)


def test_history_and_usage_of_a_language_model(bench: Any, lm_server: Any, dspy: Any) -> None:
    lm = dspy.LM("openai/demo", api_base=lm_server.api_base, api_key=lm_server.api_key, cache=False)
    bench.runtime.secrets.add(lm_server.api_key)
    with dspy.context(lm=lm):
        dspy.Predict("question -> answer")(question="What is Python?")
    facts = inspected(bench, lm)["dspy"]
    assert facts["calls"] == 1
    assert facts["usage"]["total_tokens"] == facts["history"][0]["usage"]["total_tokens"] > 0
    assert facts["history"][0]["model"] == "openai/demo"
    assert facts["history"][0]["outputs"]
    bench.ok("call", target=["stored", "obj", "history", 0])
    assert not any(lm_server.api_key.encode() in sent for sent in bench.sent)


def test_inspection_keeps_its_own_fields(bench: Any, dspy: Any) -> None:
    found = inspected(bench, dspy.Predict("question -> answer"))
    assert found["callable"] is True
    assert found["type"] == "Predict"
    assert found["dspy"]["predictors"][0]["signature"] == "question -> answer"
    assert inspected(bench, dspy.Signature("a -> b"))["dspy"]["fields"][0]["name"] == "a"


def test_dummy_models_and_adapters_need_no_special_care(bench: Any, dspy: Any) -> None:
    from dspy.utils import DummyLM

    assert described(bench, DummyLM([{"answer": "x"}]))["attributes"]["model"]["value"] == "dummy"
    assert described(bench, dspy.JSONAdapter())["type"] == "JSONAdapter"
