"""Columns of a table under the mouse: width, menu, hiding; chips; and a kernel that starts anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driving import Front
from grids import Grid, number, open_notebook
from playwright.sync_api import expect
from serving import Jupyter

pytestmark = [pytest.mark.ui, pytest.mark.timeout(240)]

SMALL = """
import pandas as pd
small = pd.DataFrame({
    "when": pd.date_range("2020-01-01", periods=60, freq="D"),
    "who": ["ann", "bob", "eve"] * 20,
    "ok": [True, False] * 30,
    "wait": pd.to_timedelta(range(60), unit="min"),
    "note": ["long " * 50] * 60,
})
"""


@pytest.fixture
def grid(front: Callable[..., Front], server: Jupyter) -> Grid:
    return Grid(open_notebook(front, server, SMALL), "user.small")


def width(grid: Grid, name: str) -> float:
    box = grid.head(name).bounding_box()
    assert box is not None
    return box["width"]


def choose(grid: Grid, name: str, item: str) -> None:
    """An item of a column's menu."""
    grid.head(name).click(button="right")
    grid.front.page.get_by_role("menuitem", name=item).click()


def test_a_width_is_dragged_and_fitted_again(grid: Grid) -> None:
    mouse = grid.front.page.mouse
    before = width(grid, "who")
    box = grid.head("who").locator(".snk-t-head-grip").bounding_box()
    assert box is not None
    mouse.move(box["x"] + 3, box["y"] + 10)
    mouse.down()
    mouse.move(box["x"] + 43, box["y"] + 10, steps=4)
    mouse.move(box["x"] + 83, box["y"] + 10, steps=4)
    mouse.up()
    grid.front.until(lambda: width(grid, "who") == before + 80, "a wider column")
    expect(grid.head("who")).to_have_attribute("aria-sort", "none")
    mouse.dblclick(box["x"] + 83, box["y"] + 10)
    grid.front.until(lambda: width(grid, "who") == before, "the width that fits")
    assert width(grid, "note") <= 300


def test_a_column_is_hidden_and_shown_again(grid: Grid) -> None:
    choose(grid, "who", "Hide column")
    expect(grid.head("who")).to_have_count(0)
    grid.key("Home", "ArrowRight")
    grid.is_at(-1, 2)
    grid.root.get_by_role("button", name="Show 1 hidden column").click()
    expect(grid.head("who")).to_be_visible()


def test_chips_are_changed_and_taken_away(grid: Grid) -> None:
    page = grid.front.page
    choose(grid, "who", "Filter…")
    form = page.get_by_role("dialog")
    form.get_by_label("Condition").select_option("starts")
    form.get_by_role("textbox", name="Value", exact=True).fill("A")
    form.get_by_label("Match case").check()
    form.get_by_role("button", name="Apply").click()
    grid.counts(0, 60)
    chip = grid.root.get_by_role("listitem")
    expect(chip).to_have_text("who starts with “A”")

    chip.get_by_role("button").first.click()
    form.get_by_label("Match case").uncheck()
    form.get_by_role("button", name="Apply").click()
    grid.counts(20, 60)
    chip.get_by_role("button", name="Remove filter").click()
    grid.counts(60)


def test_every_kind_is_filtered_from_its_statistics(grid: Grid) -> None:
    choose(grid, "who", "Statistics")
    pane = grid.root.get_by_role("complementary")
    pane.get_by_role("button", name="eve").click()
    grid.counts(20, 60)
    for name in ("wait", "when"):
        choose(grid, name, "Statistics")
        expect(pane).to_contain_text(name)
        expect(pane.locator(".snk-t-stale")).to_have_count(0)
        bar = pane.locator(".snk-t-hist-bin").first
        rows = number((bar.get_attribute("aria-label") or "").rsplit(":")[-1].split("(")[0])
        bar.click()
        grid.counts(rows, 60)
        grid.root.get_by_role("button", name="Remove filter").last.click()
        grid.counts(20, 60)
    choose(grid, "ok", "Statistics")
    expect(pane.locator("dl")).to_contain_text("True")


def test_a_kernel_that_starts_anew_is_said(front: Callable[..., Front], server: Jupyter) -> None:
    lab = front("lab")
    path = server.notebook()
    lab.open(path)
    lab.run(SMALL)
    grid = Grid(lab, "user.small")
    lab.page.evaluate(
        """(path) => {
          const main = [...window.jupyterapp.shell.widgets("main")];
          return main.find((w) => w.context?.path === path).sessionContext.session.kernel.restart();
        }""",
        path,
    )
    alert = grid.root.get_by_role("alert")
    expect(alert).to_contain_text("restarted")
    lab.activate(path)
    lab.kernel_is_ready()
    lab.run(SMALL.replace("bob", "joe"))
    lab.page.get_by_role("tab", name="small", exact=True).click()
    alert.get_by_role("button", name="Try again").click()
    grid.until(lambda rows: rows[1]["cells"]["1"] == "joe", "the new table")
    expect(alert).to_be_hidden()
