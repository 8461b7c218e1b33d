"""What the inspector promises, as its user meets it: every sort of object, in lists, tables and calls."""

from __future__ import annotations

import re

import pytest
from driving import Front
from grids import SHOWN, Grid, cells
from panels import choose, details, press, row, toggle
from playwright.sync_api import expect

import snakekernel

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]

#: The same table in each form that the view takes.
TABLES = """
import datetime, numpy as np, pandas as pd, polars as pl, pyarrow as pa
from zoneinfo import ZoneInfo
when = [datetime.datetime(2024, 7, 1, 12, 30, tzinfo=ZoneInfo("Europe/Berlin")), None]
columns = {"n": [1, 2], "s": ["a", "<b>"], "when": when}
rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
stored.pandas, stored.polars, stored.pyarrow = pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)
stored.objects = pd.DataFrame(columns, dtype=object)
stored.columns, stored.rows = columns, rows
stored.numpy = np.array([[1, 2], [3, 4]])
down, across = (pd.MultiIndex.from_tuples(names) for names in ([("a", 1)], [("A", "x"), ("B", "y")]))
stored.levels = pd.DataFrame([[1, 2]], index=down, columns=across)
"""

FUNCTIONS = """
import pandas as pd
def frame(rows, *, named: str = "n"): return pd.DataFrame({named: range(rows)})
stored.frame = frame
"""

NESTED = """
import pandas as pd
class Box:
    def __init__(self): self.inner = [{"deep": [pd.DataFrame({"column": range(1200)})]}]
"""

PICTURES = """
import numpy as np
from matplotlib.figure import Figure
figure = Figure(figsize=(4, 3)); figure.add_subplot().plot([1, 2])
stored.figure, stored.pixels = figure, np.zeros((30, 50, 3), "uint8")
"""

PROGRAM = """
import dspy
class Answers(dspy.Module):
    def __init__(self):
        super().__init__()
        self.think = dspy.ChainOfThought("question -> answer")
stored.program, stored.found = Answers(), dspy.Prediction(answer="42")
stored.step = stored.program.think.predict
"""


def test_every_sort_of_table_reads_alike(lab: Front) -> None:
    lab.run(TABLES)
    times = "2024-07-01 12:30:00+02:00"
    for name in ("pandas", "polars", "pyarrow", "objects", "columns", "rows"):
        shown = Grid(lab, f"stored.{name}").loaded()
        assert cells(shown, [0, 1]) == [["1", "a"], ["2", "<b>"]], name
        assert [row["cells"]["2"] for row in shown] == [times, "NaT"], name
    assert cells(Grid(lab, "stored.numpy").loaded(), [0, 1]) == [["1", "2"], ["3", "4"]]
    levels = Grid(lab, "stored.levels")
    assert [row["label"] for row in levels.loaded()] == ["a · 1"]
    expect(levels.head("A · x")).to_be_visible()


def test_a_table_deep_in_a_session_s_object_opens(lab: Front) -> None:
    lab.run(NESTED)
    with snakekernel.connect(lab.server.connection_file(lab.notebook)) as other:
        other.create_session("theirs", ttl=3600)
        other.call("user.Box", store_as="box", session_id="theirs")
        group = lab.panel.locator(".snk-row-group", has_text="Session theirs")
        expect(group).to_have_attribute("title", re.compile("Ends "))
        group.click()
        for name in ("box", "inner", "0", "deep"):
            toggle(lab, name)
        lab.panel.locator(".snk-row", has_text="DataFrame 1\u202f200 × 1").last.dblclick()
        table = lab.page.locator(".snk-table").last
        expect(table.locator(".snk-t-count")).to_have_text("1\u202f200 rows × 1 column")
        lab.until(lambda: bool(table.locator(".snk-grid").evaluate(SHOWN)), "rows")
        (asked,) = {repr(content["target"]) for _, content in lab.sent.ours("table")}
        assert "deep" in asked


def test_pictures_are_shown_at_their_shape(lab: Front) -> None:
    lab.run(PICTURES)
    size = "(image) => [image.naturalWidth / image.naturalHeight, image.naturalWidth]"
    for name, shape in (("figure", 4 / 3), ("pixels", 50 / 30)):
        row(lab, name).click()
        picture = details(lab).get_by_role("img", name=f"Preview of {name}")
        expect(picture).to_be_visible()
        lab.until(lambda picture=picture: picture.evaluate(size)[1] >= 50, "a loaded picture")
        assert picture.evaluate(size)[0] == pytest.approx(shape, rel=0.02)


def test_programs_and_predictions_say_what_they_are(lab: Front) -> None:
    pytest.importorskip("dspy")
    lab.run(PROGRAM)
    for name, said in (
        ("program", "Answers think"),
        ("found", "Prediction(answer='42')"),
        ("step", "Predict question -> reasoning, answer"),
    ):
        expect(row(lab, name).locator(".snk-preview")).to_have_text(said)
    toggle(lab, "found")
    expect(row(lab, "answer").locator(".snk-preview")).to_have_text("'42'")
    row(lab, "answer").click()
    expect(details(lab)).to_contain_text('stored.found["answer"]')


def test_another_client_replaces_an_object_and_changes_it_in_place(lab: Front) -> None:
    lab.run("stored.config = {'a': 1}")
    row(lab, "config").click()
    with snakekernel.connect(lab.server.connection_file(lab.notebook)) as other:
        other.store("config", [1, 2])
        expect(row(lab, "config").locator(".snk-preview")).to_have_text("[1, 2]")
        expect(details(lab)).to_contain_text("store by snakekernel")
        other.call("stored.config.append", args=[3])
        expect(row(lab, "config").locator(".snk-preview")).to_have_text("[1, 2, 3]")


_CLIPBOARD = "navigator.clipboard.readText()"
ODD = ["a b", "a.b", "q\"uo'te", "back\\slash", "new\nline", "keys", "_x", "class", "é", "[0]", " lead", "\0"]


def test_copied_python_reaches_what_it_was_copied_from(lab: Front) -> None:
    lab.run(f"for n, name in enumerate({ODD!r}): stored[name] = {{(1, name): [n]}}")
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    rows = lab.panel.locator(".snk-row-item[aria-level='2']")
    expect(rows).to_have_count(len(ODD) + 2)  # n and name beside
    copied = []
    for number in range(len(ODD)):
        rows.nth(number).locator(".snk-twisty").click()
        child = lab.panel.locator(".snk-row-child")
        child.click(button="right")
        lab.page.evaluate("navigator.clipboard.writeText('')")
        lab.page.get_by_role("menuitem", name="Copy Python").click()
        lab.until(lambda: bool(lab.page.evaluate(_CLIPBOARD)), "a text in the clipboard")
        copied.append(lab.page.evaluate(_CLIPBOARD))
        rows.nth(number).locator(".snk-twisty").click()
        expect(child).to_have_count(0)
    cell = lab.run(f"print([eval(text)[0] for text in {copied!r}])")
    assert lab.output(cell) == f"{list(range(len(ODD)))}\n"


def test_what_a_call_returns_is_readable_and_the_form_keeps_the_keyboard(lab: Front) -> None:
    lab.run(FUNCTIONS)
    choose(lab, "frame", "Call…")
    form = lab.panel.locator(".snk-form")
    form.get_by_label("rows", exact=True).fill("2")
    form.get_by_role("button", name="Call", exact=True).click()
    expect(form.locator(".snk-form-result pre")).to_have_text(re.compile(r"^\s+n\s+0\s+0\s+1\s+1\s*$"))
    expect(form.get_by_role("button", name="Call", exact=True)).to_be_focused()
    press(lab, "Escape")
    expect(form).to_have_count(0)
