"""DSPy's objects as cells show them, and that nothing is loaded for it before."""

from __future__ import annotations

import pytest
from stock_client import Stock

pytest.importorskip("dspy")
pytestmark = pytest.mark.kernel


def test_a_cell_shows_a_page(stock: Stock) -> None:
    stock.cell(
        "import sys\n"
        "assert 'dspy' not in sys.modules\n"
        "assert not [m for m in sys.modules if 'plugins.dspy' in m]"
    )
    stock.cell("import dspy\nclass Own(dspy.Module):\n    pass\n")
    for code, said in (
        ("dspy.Prediction(answer='<b>')", "&lt;b&gt;"),
        ("dspy.Example(question='Why?')", "Why?"),
        ("dspy.Signature('question -> answer')", "question -&gt; answer"),
        ("dspy.Predict('question -> answer')", "1 predictor"),
        ("Own()", "Own: 0 predictors"),
        ("dspy.LM('openai/demo', api_key='sk-never')", "openai/demo"),
    ):
        cell = stock.send("execute_request", {"code": code})
        assert stock.reply(cell)["content"]["status"] == "ok"
        (shown,) = [m for m in stock.outputs(cell) if m["msg_type"] == "execute_result"]
        assert said in shown["content"]["data"]["text/html"], code
        assert "sk-never" not in str(shown["content"])


def test_object_shows_its_facts_and_the_page(stock: Stock) -> None:
    stock.cell("import dspy; stored.qa = dspy.Predict('question -> answer')")
    cell = stock.send("execute_request", {"code": "%object qa"})
    (shown,) = [m for m in stock.outputs(cell) if m["msg_type"] == "execute_result"]
    for said in ("qa: dspy.Predict", "Made by", "question -> answer", "Given the fields"):
        assert said in shown["content"]["data"]["text/plain"]
