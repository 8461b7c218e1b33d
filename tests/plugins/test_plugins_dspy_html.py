"""DSPy's objects as pages for a notebook."""

from __future__ import annotations

from typing import Any

import pytest

from snakekernel.plugins.dspy.html import page_of

KEY = "sk-canary-0123456789-never-to-be-seen"


@pytest.fixture
def dspy(dspy_unconfigured: Any) -> Any:
    return dspy_unconfigured


@pytest.fixture
def lm(dspy: Any, lm_server: Any) -> Any:
    """A language model of this machine, and its key."""
    return dspy.LM("openai/demo", api_base=lm_server.api_base, api_key=KEY, cache=False)


def text_of(obj: Any) -> str:
    """A page's text; its HTML holds the same, escaped, and no key."""
    page = page_of(obj)
    assert page is not None
    assert "<script" not in page.html
    assert KEY not in page.html
    assert KEY not in page.text
    return page.text


def test_prediction(dspy: Any) -> None:
    said = text_of(dspy.Prediction(answer="<script>Paris</script>", score=0.5, tags=["a"], long="x" * 10_000))
    assert said.startswith("Prediction\n")
    for part in ("answer", "<script>Paris</script>", "0.5", "['a']", "xx…"):
        assert part in said


def test_prediction_with_fields_that_shadow_methods(dspy: Any) -> None:
    assert "from items" in text_of(dspy.Prediction(items="from items", keys=1, toDict=2))


def test_an_empty_prediction(dspy: Any) -> None:
    assert "No fields." in text_of(dspy.Prediction())


def test_a_field_whose_text_fails(dspy: Any) -> None:
    class Loud:
        def __repr__(self) -> str:
            raise RuntimeError("asked")

    assert "its repr raised RuntimeError: asked" in text_of(dspy.Prediction(loud=Loud()))


def test_usage_and_completions(dspy: Any) -> None:
    prediction = dspy.Prediction.from_completions([{"answer": "a"}, {"answer": "b"}])
    prediction.set_lm_usage({"openai/demo": {"prompt_tokens": 12, "details": None}})
    said = text_of(prediction)
    assert "Completions" in said
    assert "Usage of openai/demo" in said
    assert "prompt_tokens: 12" in said


def test_example(dspy: Any) -> None:
    said = text_of(dspy.Example(question="Why?", answer="So.").with_inputs("question"))
    assert "Why?" in said
    assert "Inputs  question" in said


def test_signature(dspy: Any) -> None:
    class Judge(dspy.Signature):
        """Judge a text."""

        text: str = dspy.InputField(desc="what to judge")
        score: float = dspy.OutputField()

    said = text_of(Judge)
    for part in ("Signature Judge", "text -> score", "Judge a text.", "what to judge", "float", "output"):
        assert part in said


def test_program(dspy: Any, lm: Any) -> None:
    class Two(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = dspy.Predict("question -> answer")
            self.second = dspy.ChainOfThought("answer -> score: float")

    program = Two()
    program.first.lm = lm
    program.first.demos = [dspy.Example(question=f"q{n}", answer="<b>") for n in range(7)]
    said = text_of(program)
    for part in ("Two: 2 predictors", "first: Predict", "second.predict: Predict", "openai/demo", "q0"):
        assert part in said
    assert "5 of 7 demos" in said
    assert "q6" not in said


def test_a_program_without_predictors(dspy: Any) -> None:
    assert text_of(dspy.Module()).startswith("Module: 0 predictors")


def test_language_model_and_its_history(dspy: Any, lm: Any) -> None:
    program = dspy.Predict("question -> answer")
    with dspy.context(lm=lm):
        for _ in range(7):
            program(question="What is Elixir?")
    said = text_of(lm)
    assert said.startswith("LM: openai/demo")
    for part in ("calls", "7", "prompt_tokens", "Call 7", "Call 3", "What is Elixir?", "functional"):
        assert part in said
    assert "Call 2" not in said


@pytest.mark.parametrize("obj", [None, 5, {}, "text", object])
def test_others_have_none(dspy: Any, obj: Any) -> None:
    assert page_of(obj) is None
