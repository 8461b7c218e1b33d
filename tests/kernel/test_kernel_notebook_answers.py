"""Completion and Shift-Tab of stored objects, by every door, without running their code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel

_OBJECTS = (
    "ran = []\n"
    "class Model:\n"
    "    'A model of things.'\n"
    "    def __init__(self): self.weights = [1, 2]; self._hidden = 1\n"
    "    @property\n"
    "    def score(self): ran.append('score'); return 1\n"
    "    def fit(self, data, *, rounds=3):\n"
    "        'Fit to data.'\n"
    "    def __getattr__(self, name): ran.append(name); raise AttributeError(name)\n"
    "    def __dir__(self): ran.append('dir'); return []\n"
    "    def __repr__(self): ran.append('repr'); return 'Model!'\n"
    "import pandas as pd\n"
    "stored.clear()\n"
    "stored.model = Model()\n"
    "stored['my model'] = stored.model\n"
    "stored.numbers = [3, 1, 2]\n"
    "stored.settings = {'lm': {'model': 'x'}, 'rate \"r\"': 1, 7: 'seven'}\n"
    "stored.frame = pd.DataFrame({'bill': [1.0], 'body mass': [2], 3: [3]})\n"
    "variable = stored.model\n"
)


@pytest.fixture(autouse=True)
def objects(stock: Stock) -> Iterator[None]:
    """Objects that tell what of their code has run."""
    stock.cell(_OBJECTS)
    yield
    stock.cell("del ran[:]")


@pytest.fixture(params=["shell", "subshell", "control"])
def door(request: pytest.FixtureRequest, subshell: str) -> dict[str, Any]:
    """The ways to ask."""
    ways: dict[str, dict[str, Any]] = {
        "shell": {"channel": "shell"},
        "subshell": {"channel": "shell", "subshell_id": subshell},
        "control": {"channel": "control"},
    }
    return ways[request.param]


def complete(stock: Stock, code: str, **door: Any) -> list[str]:
    """The code as each completion would make it; ``|`` is the cursor, which else is at the end."""
    before, _, after = code.partition("|")
    asked = {"code": before + after, "cursor_pos": len(before)}
    channel = door.get("channel", "shell")
    reply = stock.reply(stock.send("complete_request", asked, **door), channel=channel)["content"]
    assert reply["status"] == "ok"
    end = reply["cursor_end"]
    return [before[: reply["cursor_start"]] + m + before[end:] + after for m in reply["matches"]]


def inspect(stock: Stock, code: str, **door: Any) -> str | None:
    """The text that Shift-Tab shows at ``|``, or at the end; None where nothing was found."""
    before, _, after = code.partition("|")
    asked = {"code": before + after, "cursor_pos": len(before), "detail_level": 0}
    channel = door.get("channel", "shell")
    reply = stock.reply(stock.send("inspect_request", asked, **door), channel=channel)["content"]
    assert reply["status"] == "ok"
    return str(reply["data"]["text/plain"]) if reply["found"] else None


class TestCompletion:
    @pytest.mark.parametrize(
        ("code", "among"),
        [
            ("stored.mo", {"stored.model"}),
            ("stored.", {"stored.model", "stored.frame", "stored.keys"}),
            ("x = 5\nfit(stored.mo", {"x = 5\nfit(stored.model"}),
            ('stored["', {'stored["model"]', 'stored["my model"]', 'stored["frame"]'}),
            ("stored['my", {"stored['my model']"}),
            ("stored[", {'stored["my model"]'}),
            ("stored['my|']", {"stored['my model']"}),
            ("stored.model.", {"stored.model.weights", "stored.model.score", "stored.model.fit"}),
            ("stored.model._h", {"stored.model._hidden"}),
            ('stored["my model"].we', {'stored["my model"].weights'}),
            ("stored.numbers.ap", {"stored.numbers.append"}),
            ("stored.model.weights.ap", {"stored.model.weights.append"}),
            ('stored.settings["', {'stored.settings["lm"]', 'stored.settings["rate \\"r\\""]'}),
            ("stored.settings['lm'][\"m", {"stored.settings['lm'][\"model\"]"}),
            ('stored.frame["b', {'stored.frame["bill"]', 'stored.frame["body mass"]'}),
            ("stored.frame.bi", {"stored.frame.bill"}),
            ("%object mod", {"%object model"}),
            ("%object model.we", {"%object model.weights"}),
            ('%object settings["l', {'%object settings["lm"]'}),
            ("%del_object fr", {"%del_object frame"}),
            ("%%store_as fr", {"%%store_as frame"}),
            ("%call sto", {"%call stored"}),
            ("%call stored.mo", {"%call stored.model"}),
            ("%call stored.model.f", {"%call stored.model.fit"}),
            ("%call user.vari", {"%call user.variable"}),
            ("%call user.variable.f", {"%call user.variable.fit"}),
            ("%call pandas.read_cs", {"%call pandas.read_csv"}),
            ("%call builtins.len stored.num", {"%call builtins.len stored.numbers"}),
        ],
    )
    def test_names_keys_and_attributes(
        self, stock: Stock, door: dict[str, Any], code: str, among: set[str]
    ) -> None:
        assert among <= set(complete(stock, code, **door))
        stock.cell("assert ran == [], ran")

    def test_private_names_when_asked_for(self, stock: Stock, door: dict[str, Any]) -> None:
        assert "stored.model._hidden" not in complete(stock, "stored.model.", **door)

    def test_a_part_that_code_would_have_to_tell(self, stock: Stock) -> None:
        assert complete(stock, "stored.model.score.", channel="control") == []
        assert complete(stock, "stored.nope.", channel="control") == []
        stock.cell("assert ran == [], ran")

    @pytest.mark.parametrize("code", ["'stored.mo", "# stored.mo", "f(stored).mo", "notstored.mo"])
    def test_what_is_no_path(self, stock: Stock, code: str) -> None:
        assert not [m for m in complete(stock, code, channel="control") if "model" in m]

    def test_a_variable_named_stored_is_the_users(self, stock: Stock, door: dict[str, Any]) -> None:
        stock.cell("stored = 'text'")
        try:
            assert "stored.upper" in complete(stock, "stored.up", **door)
        finally:
            stock.cell("del stored")


class TestCompletionOfOthers:
    def test_ipython_answers_on_shell(self, stock: Stock) -> None:
        stock.cell("import os")
        assert any(m.endswith("os.path") for m in complete(stock, "os.pat"))
        assert any(m.endswith("%timeit") for m in complete(stock, "%timei"))

    @pytest.mark.parametrize(
        ("code", "among"),
        [
            ("vari", "variable"),
            ("variable.we", "variable.weights"),
            ("impo", "import"),
            ("prin", "print"),
            ("pd.DataF", "pd.DataFrame"),
        ],
    )
    def test_on_control_what_runs_no_code(self, stock: Stock, code: str, among: str) -> None:
        assert among in complete(stock, code, channel="control")
        stock.cell("assert ran == [], ran")

    def test_an_array_whose_class_has_a_dtype_of_its_own(self, stock: Stock) -> None:
        stock.cell(
            "import numpy\n"
            "class Fields(numpy.ndarray):\n"
            "    @property\n"
            "    def dtype(self): ran.append('dtype'); raise ValueError\n"
            "fields = numpy.zeros(3, [('x', int), ('y', float)]).view(Fields)\n"
            "ran.clear()"
        )
        assert complete(stock, 'fields["', channel="control") == ['fields["x"]', 'fields["y"]']
        stock.cell("assert ran == [], ran")


class TestInspection:
    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("stored.model", "A model of things."),
            ("stored.mod|el.weights", "A model of things."),
            ("stored.model.weights", "[1, 2]"),
            ("stored.model.fit(|)", "data, *, rounds=3"),
            ("stored.model.fit(1, |)", "Fit to data."),
            ("stored['my model'].fit(", "Fit to data."),
            ('stored.settings["lm"]["model"]', "'x'"),
            ("stored.frame", "1 × 3"),
        ],
    )
    def test_of_paths(self, stock: Stock, door: dict[str, Any], code: str, said: str) -> None:
        assert said in (inspect(stock, code, **door) or "")

    def test_control_runs_nothing(self, stock: Stock) -> None:
        for code in ("stored.model", "variable", "stored.model.score", "variable.nope", "stored"):
            inspect(stock, code, channel="control")
        stock.cell("assert ran == [], ran")

    def test_nothing_there(self, stock: Stock, door: dict[str, Any]) -> None:
        assert inspect(stock, "stored.nope", **door) is None
        assert inspect(stock, "", **door) is None

    def test_variables_on_control(self, stock: Stock) -> None:
        assert "A model of things." in (inspect(stock, "variable", channel="control") or "")
        assert "Fit to data." in (inspect(stock, "variable.fit(", channel="control") or "")
        assert "ascending order" in (inspect(stock, "sorted(", channel="control") or "")

    def test_ipython_answers_on_shell(self, stock: Stock) -> None:
        assert "Docstring:" in (inspect(stock, "sorted(") or "")
        assert "File:" in (inspect(stock, "pd.DataFrame") or "")

    def test_the_question_mark(self, stock: Stock) -> None:
        (page,) = stock.run("stored.model.fit?")["payload"]
        assert "Fit to data." in page["data"]["text/plain"]


class TestWhileACellRuns:
    def test_control_answers(self, stock: Stock) -> None:
        cell = stock.send(
            "execute_request",
            {
                "code": "import threading as t; gate = t.Event(); print('runs', flush=True); gate.wait(30)",
                "stop_on_error": False,
            },
        )
        stock.until_it_prints(cell)
        assert "stored.model.weights" in complete(stock, "stored.model.", channel="control")
        assert "A model of things." in (inspect(stock, "stored.model", channel="control") or "")
        assert not stock.replies(cell)
        stock.send("interrupt_request", channel="control")
        stock.reply(cell)

    def test_a_subshell_answers(self, stock: Stock, subshell: str) -> None:
        cell = stock.send(
            "execute_request",
            {
                "code": "import threading as t; gate = t.Event(); print('runs', flush=True); gate.wait(30)",
                "stop_on_error": False,
            },
        )
        stock.until_it_prints(cell)
        door = {"channel": "shell", "subshell_id": subshell}
        assert "stored.model.weights" in complete(stock, "stored.model.", **door)
        assert "A model of things." in (inspect(stock, "stored.model", **door) or "")
        assert not stock.replies(cell)
        done = stock.send("execute_request", {"code": "gate.set()"}, subshell_id=subshell)
        stock.reply(done)
        assert stock.reply(cell)["content"]["status"] == "ok"
