"""What a person does in the panel, in JupyterLab: by pointer, by menu and by keyboard alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Front
from panels import choose, details, expect_active, focus_list, press, row
from playwright.sync_api import expect

import snakekernel

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]

CALLABLES = """
def greet(name: str, times: int = 1, *others, loud: bool = False, **more):
    "Greet somebody."
    if loud: raise ValueError("too loud")
    return [name] * times + list(others) + [more]
class Model:
    bias = 2
    def predict(self, x, scale=1.5): return (x + self.bias) * scale
stored.greet, stored.model, stored.given = greet, Model(), {"k": "v"}
"""

REPRS = """
import time
class Slow:
    def __repr__(self): return "said by the object"
class Endless:
    def __repr__(self):
        while True: time.sleep(0.01)
stored.slow, stored.endless = Slow(), Endless()
"""


def test_rename_in_place(lab: Front) -> None:
    lab.run("stored.first = 1; stored.second = 2")
    row(lab, "first").click()
    press(lab, "F2")
    field = lab.panel.get_by_label("New name")
    expect(field).to_have_value("first")
    field.fill("second")
    press(lab, "Enter")
    expect(lab.panel.get_by_role("alert")).to_contain_text("taken")
    field.fill("renamed")
    press(lab, "Enter")
    expect(row(lab, "renamed")).to_be_visible()
    expect(row(lab, "first")).to_have_count(0)
    expect_active(lab, "renamed")
    press(lab, "F2")
    expect(field).to_be_focused()
    press(lab, "x", "Escape")
    expect(row(lab, "renamed")).to_be_visible()
    assert lab.output(lab.run("print(sorted(stored))")) == "['renamed', 'second']\n"


def test_delete_asks_first(lab: Front) -> None:
    lab.run("for name in 'abcd': stored[name] = name")
    row(lab, "b").click()
    press(lab, "Delete")
    question = lab.page.get_by_role("alertdialog")
    expect(question).to_contain_text("Delete b?")
    press(lab, "Escape")
    expect(question).to_have_count(0)
    expect(lab.panel.get_by_role("tree")).to_be_focused()
    expect(row(lab, "b")).to_be_visible()
    press(lab, "Delete")
    question.get_by_role("button", name="Delete").click()
    expect(row(lab, "b")).to_have_count(0)
    row(lab, "a").click()
    row(lab, "c").click(modifiers=["Shift"])
    press(lab, "Delete")
    expect(question).to_contain_text("Delete 2 objects?")
    question.get_by_role("button", name="Delete").click()
    expect(row(lab, "a")).to_have_count(0)
    assert lab.output(lab.run("print(list(stored))")) == "['d']\n"


def test_call_with_a_form(lab: Front) -> None:
    lab.run(CALLABLES)
    choose(lab, "greet", "Call…")
    form = lab.panel.locator(".snk-form")
    expect(form.get_by_label("name", exact=True)).to_be_focused()
    press(lab, "Enter")
    expect(form.get_by_role("alert").first).to_contain_text("needed")
    form.get_by_label("name", exact=True).fill("you")
    form.get_by_label("times", exact=True).fill("two")
    press(lab, "Enter")
    expect(form.get_by_text("no JSON value")).to_be_visible()
    form.get_by_label("times", exact=True).fill("2")
    form.get_by_role("button", name="Add an argument").click()
    form.get_by_label("others", exact=True).fill("given")
    form.get_by_label("How others is meant").select_option("object")
    form.get_by_role("button", name="Add a keyword argument").click()
    form.get_by_label("Name of the argument").fill("extra")
    form.get_by_label("the keyword argument", exact=True).fill("[1, 2.5, null]")
    form.get_by_label("Store the result as").fill("result")
    press(lab, "Enter")
    form.get_by_role("button", name="Stored as result").click()
    expect_active(lab, "result")
    cell = lab.run("print(stored.result)")
    assert lab.output(cell) == "['you', 'you', {'k': 'v'}, {'extra': [1, 2.5, None]}]\n"


def test_a_method_is_called_after_the_cell_that_runs(lab: Front, tmp_path: Path) -> None:
    lab.run(CALLABLES)
    expect(row(lab, "model")).to_be_visible()
    flag = tmp_path / "go on"
    lab.run(f"import os\nwhile not os.path.exists({str(flag)!r}): pass", wait=False)
    try:
        choose(lab, "model", "Call a method…")
        form = lab.panel.locator(".snk-form")
        form.get_by_label("Method").fill("predict")
        expect(form.get_by_text("The kernel is busy")).to_be_visible()
        form.get_by_label("x", exact=True).fill("3")
        press(lab, "Enter")
        expect(form.get_by_text("Waiting for the running cell")).to_be_visible()
    finally:
        flag.touch()
    expect(form.locator(".snk-form-result pre")).to_have_text("7.5")
    press(lab, "Escape")
    expect(form).to_have_count(0)


def test_what_a_call_raises_is_shown(lab: Front) -> None:
    lab.run(CALLABLES)
    choose(lab, "greet", "Call…")
    form = lab.panel.locator(".snk-form")
    form.get_by_label("name", exact=True).fill("you")
    form.get_by_label("loud", exact=True).fill("true")
    press(lab, "Enter")
    expect(form.get_by_role("alert")).to_contain_text("too loud")
    form.locator("summary").click()
    expect(form.locator("details pre")).to_contain_text("ValueError")


def test_the_reader_decides_whether_a_repr_runs(lab: Front) -> None:
    lab.run(REPRS)
    row(lab, "slow").click()
    expect(details(lab)).to_contain_text("<Slow object>")
    details(lab).get_by_role("button", name="Evaluate repr").click()
    expect(details(lab).locator("pre")).to_have_text("said by the object")
    row(lab, "endless").click()
    expect(details(lab)).to_contain_text("<Endless object>")
    details(lab).get_by_role("button", name="Evaluate repr").click()
    details(lab).get_by_role("button", name="Cancel").click()
    expect(details(lab).get_by_role("button", name="Evaluate repr")).to_be_visible()
    lab.until(lambda: bool(lab.sent.ours("cancel")), "a cancel")
    row(lab, "slow").click()
    details(lab).get_by_role("button", name="Evaluate repr").click()
    expect(details(lab).locator("pre")).to_have_text("said by the object")


def test_details_show_pictures_history_and_documentation(lab: Front) -> None:
    lab.run(
        "import numpy as np; from PIL import Image\n"
        "stored.photo = Image.fromarray(np.zeros((40, 60, 3), 'uint8'))\n"
        "stored.pi = 3.1; stored.pi = 3.14\nimport textwrap; stored.shorten = textwrap.shorten"
    )
    row(lab, "photo").click()
    picture = details(lab).get_by_role("img", name="Preview of photo")
    expect(picture).to_be_visible()
    size = "(image) => [image.naturalWidth, image.naturalHeight]"
    lab.until(lambda: picture.evaluate(size) == [60, 40], "the picture in its size")
    row(lab, "pi").click()
    details(lab).get_by_text("History").click()
    expect(details(lab).locator(".snk-history tr")).to_have_count(2)
    lab.run("stored.pi = 3.1416")
    expect(details(lab).locator(".snk-history tr")).to_have_count(3)
    row(lab, "shorten").click()
    expect(details(lab)).to_contain_text("(text, width, **kwargs)")
    expect(details(lab)).to_contain_text("Collapse and truncate")


def test_copy_and_insert(lab: Front) -> None:
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.run("stored['a b'] = {'k': [1, 2]}")
    row(lab, "a b").click()
    press(lab, "ArrowRight")
    expect(row(lab, "k")).to_be_visible()
    for action, text in (
        ("Copy name", "k"),
        ("Copy Python", 'stored["a b"]["k"]'),
        ("Copy path", "stored.a b.k"),
    ):
        choose(lab, "k", action)
        expect(lab.panel.get_by_text("copied")).to_be_visible()
        # That is shown for a while, so it may be said of the last one still.
        lab.until(lambda text=text: lab.page.evaluate("navigator.clipboard.readText()") == text, text)
    lab.run("pass")
    lab.command("notebook:insert-cell-below")
    choose(lab, "k", "Insert in a cell")
    lab.until(lambda: lab.source() == 'stored["a b"]["k"]', "the code in a cell")


def test_by_keyboard_alone(lab: Front) -> None:
    lab.run("stored.one = {'a': {'b': 1}}; stored.two = 2; stored.three = 3")
    expect(row(lab, "three")).to_be_visible()
    tree = focus_list(lab)
    expect_active(lab, "one")
    press(lab, "ArrowRight")
    expect(row(lab, "a")).to_be_visible()
    press(lab, "ArrowRight")
    expect_active(lab, "a")
    press(lab, "ArrowRight")
    expect(row(lab, "b")).to_be_visible()
    press(lab, "ArrowDown")
    expect_active(lab, "b")
    press(lab, "ArrowLeft")
    expect_active(lab, "a")
    press(lab, "ArrowLeft", "ArrowLeft", "ArrowLeft")
    expect_active(lab, "one")
    expect(row(lab, "a")).to_have_count(0)
    with snakekernel.connect(lab.server.connection_file(lab.notebook)) as other:
        other.store("four", 4)
        other.set("stored.one.c", 5)
        expect(row(lab, "four")).to_be_visible()
    expect(tree).to_be_focused()
    expect_active(lab, "one")
    press(lab, "ArrowDown", "Shift+F10")
    menu = lab.page.get_by_role("menu")
    expect(menu).to_be_visible()
    press(lab, "Escape")
    expect(tree).to_be_focused()
    press(lab, "Home")
    expect_active(lab, "Stored")
    press(lab, "ArrowLeft")
    expect(row(lab, "two")).to_have_count(0)
    press(lab, "ArrowRight", "/")
    expect(lab.panel.get_by_label("Filter by name")).to_be_focused()


def test_a_table_opens_at_any_depth(lab: Front) -> None:
    lab.run("import pandas as pd; stored.holds = {'frames': [pd.DataFrame({'column': range(5)})]}")
    row(lab, "holds").click()
    press(lab, "ArrowRight")
    row(lab, "frames").click()
    press(lab, "ArrowRight")
    row(lab, "0").dblclick()
    expect(lab.page.locator(".snk-table")).to_contain_text("column")


def test_an_error_is_shown_in_its_place(lab: Front) -> None:
    lab.run("items = [1]")
    row(lab, "items").click()
    expect(details(lab)).to_contain_text("[1]")
    lab.panel.get_by_label("Filter by name").fill("nothing")
    lab.run("del items")
    lab.panel.get_by_label("Filter by name").fill("")
    expect(row(lab, "items")).to_have_count(0)
    assert lab.problems == []
