"""The panel as a widget, in JupyterLab: it shows the running kernel, also while a cell runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driving import BUSY, Front
from playwright.sync_api import Locator, expect
from serving import STOCK, Jupyter

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]


def _widget(front: Front, nth: int = 0) -> Locator:
    return front.page.locator(".jp-OutputArea .snk-widget").nth(nth)


@pytest.fixture
def alone(front: Callable[..., Front], server: Jupyter) -> Front:
    """Lab with a fresh notebook, without the side panel."""
    page = front("lab")
    page.open(server.notebook())
    return page


def test_the_widget_lists_objects_and_is_told_of_changes(alone: Front) -> None:
    alone.run("import snakekernel\nstored.before = 1\nsnakekernel.panel()")
    expect(_widget(alone)).to_contain_text("before")
    alone.run("stored.after = 2")
    expect(_widget(alone)).to_contain_text("after")


def test_two_widgets_show_the_same(alone: Front) -> None:
    alone.run("import snakekernel\nsnakekernel.panel()")
    alone.run("snakekernel.panel()")
    alone.run("stored.shared = 1")
    for nth in range(2):
        _widget(alone, nth).scroll_into_view_if_needed()
        expect(_widget(alone, nth)).to_contain_text("shared")


def test_the_widget_answers_while_a_cell_runs(alone: Front) -> None:
    alone.run("import snakekernel\nsnakekernel.panel()")
    expect(_widget(alone)).to_contain_text("Nothing stored yet")
    cell = alone.run(BUSY, wait=False)
    alone.until(lambda: alone.output(cell) == "on\n", "a running cell")
    _widget(alone).get_by_placeholder("Filter by name").fill("nothing of this name")
    expect(_widget(alone)).to_contain_text("No name matches")
    # Nothing but this ends the cell.
    (alone.server.root / "go").unlink()


def test_a_call_from_the_widget_waits_for_the_cell(alone: Front) -> None:
    alone.run("import snakekernel\nsaid = []\ndef say(what: str): said.append(what); return 'said ' + what")
    alone.run("stored.say = say\nsnakekernel.panel()")
    # The first look at it opens the details, which moves the rows: a double click may miss one half.
    row = _widget(alone).get_by_role("treeitem", name="say").first
    row.click()
    expect(_widget(alone).locator(".snk-details")).to_contain_text("Signature")
    row.dblclick()
    form = _widget(alone).locator("form")
    form.get_by_role("textbox", name="what", exact=True).fill("hello")
    form.get_by_role("button", name="Call", exact=True).click()
    expect(_widget(alone)).to_contain_text("said hello")
    cell = alone.run("print(said)")
    assert alone.output(cell) == "['hello']\n"


def test_a_kernel_of_another_type_says_what_to_do(front: Callable[..., Front], server: Jupyter) -> None:
    page = front("lab")
    page.open(server.notebook(kernel=STOCK))
    cell = page.run("import snakekernel\ntry: snakekernel.panel()\nexcept RuntimeError as e: print(e)")
    assert "choose “Python (snakekernel)”" in page.output(cell)


def test_a_widget_has_room_for_rows_beside_the_details(alone: Front) -> None:
    # Of the reader's choice for another panel, which would leave the list one row here.
    alone.page.evaluate("() => localStorage.setItem('snakekernel:split', '0.9')")
    alone.run("import snakekernel\nstored.one = [1]\nsnakekernel.panel(height='300px')")
    _widget(alone).get_by_role("treeitem", name="one").first.click()
    expect(_widget(alone).locator(".snk-details")).to_contain_text("[1]")
    # The front-end lays out only those cells that are in sight.
    _widget(alone).scroll_into_view_if_needed()
    tree = _widget(alone).get_by_role("tree")
    alone.until(lambda: tree.evaluate("(one) => one.offsetHeight") >= 4 * 24, "room for four rows")
    assert _widget(alone).evaluate("(one) => getComputedStyle(one).resize") == "vertical"
