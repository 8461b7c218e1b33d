"""The panel in JupyterLab and Notebook 7: it is there, it follows the notebook, and it harms nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driving import BUSY, PATIENCE_MS, Front
from playwright.sync_api import expect
from serving import STOCK, Jupyter

import snakekernel

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]


def test_a_cell_and_another_client_change_the_list(either: Front) -> None:
    either.run("stored.from_a_cell = [1, 2, 3]")
    expect(either.panel).to_contain_text("from_a_cell")
    with snakekernel.connect(either.server.connection_file(either.notebook)) as other:
        other.store("from_a_client", {"k": 1})
        expect(either.panel).to_contain_text("from_a_client")
        other.delete_stored("from_a_cell")
        expect(either.panel).not_to_contain_text("from_a_cell")


def test_cells_are_counted_as_ever(either: Front) -> None:
    first = either.run("stored.x = 1")
    expect(either.panel).to_contain_text("x")
    second = either.run("print(stored.x)")
    assert either.output(second) == "1\n"
    assert (either.execution_count(first), either.execution_count(second)) == (1, 2)


def test_a_hidden_panel_sends_nothing(either: Front) -> None:
    either.run("stored.x = 1")
    expect(either.panel).to_contain_text("x")
    either.hide_panel()
    # Two messages say good-bye at most: what was being asked, and the end of the watch.
    either.until(lambda: either.sent.ours("watch")[-1][1]["lease"] == 0, "the end of the watch")
    either.run("1")
    either.sent.clear()
    either.run("stored.y = 2")
    either.run("stored.z = 3")
    assert either.sent.ours() == []
    either.show_panel()
    expect(either.panel).to_contain_text("z")


def test_the_panel_follows_the_notebook(lab: Front) -> None:
    lab.run("stored.in_the_first = 1")
    first = lab.notebook
    lab.another(lab.server.notebook())
    lab.run("stored.in_the_second = 2")
    expect(lab.panel).to_contain_text("in_the_second")
    expect(lab.panel).not_to_contain_text("in_the_first")
    lab.activate(first)
    expect(lab.panel).to_contain_text("in_the_first")
    expect(lab.panel).not_to_contain_text("in_the_second")
    lab.command("docmanager:save")
    lab.command("application:close")
    expect(lab.panel).to_contain_text("in_the_second")


def test_the_panel_follows_a_restart(either: Front) -> None:
    either.run("stored.before = 1")
    expect(either.panel).to_contain_text("before")
    either.restart()
    expect(either.panel).not_to_contain_text("before")
    either.run("stored.after = 1")
    expect(either.panel).to_contain_text("after")


def test_the_panel_follows_a_kernel_that_died(either: Front) -> None:
    either.run("stored.before = 1")
    expect(either.panel).to_contain_text("before")
    either.run("import os; os._exit(1)", wait=False)
    # Jupyter's server starts another one.
    expect(either.panel).not_to_contain_text("before", timeout=PATIENCE_MS)
    either.dismiss()
    either.kernel_is_ready()
    either.run("stored.after = 1")
    expect(either.panel).to_contain_text("after")


def test_a_kernel_of_another_type_is_left_alone(front: Callable[..., Front], server: Jupyter) -> None:
    page = front("lab")
    page.open(server.notebook(kernel=STOCK))
    page.show_panel()
    cell = page.run("6 * 7")
    assert page.output(cell) == "42"
    expect(page.panel).to_be_visible()
    assert page.sent.ours() == []


HOSTILE = """
import time
class Sleeps:
    def __repr__(self): time.sleep(60)
class Raises:
    def __repr__(self): raise SystemExit("repr")
    def __getattr__(self, name): raise RuntimeError(name)
touched = []
class Touched:
    @property
    def value(self): touched.append(1); return 1
    def __len__(self): touched.append(2); return 3
    def __iter__(self): touched.append(3); return iter(())
stored.sleeps, stored.raises, stored.touched = Sleeps(), Raises(), Touched()
sleeps, raises, looked = stored.sleeps, stored.raises, stored.touched
"""


def test_objects_with_code_of_their_own_harm_nothing(either: Front) -> None:
    either.run(HOSTILE)
    for name in ("sleeps", "raises", "touched"):
        expect(either.panel).to_contain_text(name)
        either.panel.get_by_text(name, exact=True).first.click()
    cell = either.run("print(touched)")
    assert either.output(cell) == "[]\n"


def test_a_table_opens_as_a_tab(either: Front) -> None:
    either.run("import pandas as pd\nstored.numbers = pd.DataFrame({'n': range(1000)})")
    expect(either.panel).to_contain_text("numbers")
    either.command("snakekernel:open-table", {"target": "stored.numbers"})
    table = either.page.locator(".snk-host-view")
    expect(table).to_contain_text("int64")
    box = table.bounding_box()
    assert box is not None
    assert box["height"] > 150


def test_the_panel_is_there_again_after_a_reload_while_a_cell_runs(
    front: Callable[..., Front], server: Jupyter
) -> None:
    lab = front("lab", own_page=True)
    lab.open(server.notebook())
    lab.show_panel()
    lab.run("stored.kept = 1")
    expect(lab.panel).to_contain_text("kept")
    lab.layout_is_saved()
    lab.run(BUSY, wait=False)
    lab.until(lambda: (lab.server.root / "go").exists(), "a running cell")
    lab.page.reload()
    expect(lab.panel).to_contain_text("kept", timeout=PATIENCE_MS)
    (lab.server.root / "go").unlink()


def test_code_is_put_into_a_cell(lab: Front) -> None:
    lab.run("stored.numbers = [1, 2]")
    lab.command("notebook:insert-cell-below")
    lab.panel.get_by_role("treeitem", name="numbers").first.click(button="right")
    lab.page.get_by_role("menuitem", name="Insert in a cell").click()
    lab.until(lambda: lab.source() == "stored.numbers", "the code")
    lab.command("notebook:change-cell-to-markdown")
    lab.panel.get_by_role("treeitem", name="numbers").first.click(button="right")
    lab.page.get_by_role("menuitem", name="Insert in a cell").click()
    lab.until(lambda: lab.cell_types() == ["code", "markdown", "code"], "a new cell")
    lab.until(lambda: lab.source() == "stored.numbers", "the code in it")


def test_the_panel_follows_consoles_and_back(lab: Front) -> None:
    lab.run("stored.of_the_notebook = 1")
    first = lab.notebook
    lab.command("console:create", {"kernelPreference": {"name": "snakekernel"}, "activate": True})
    expect(lab.panel).not_to_contain_text("of_the_notebook")
    expect(lab.panel).to_contain_text("Nothing stored yet")
    lab.activate(first)
    expect(lab.panel).to_contain_text("of_the_notebook")


def test_without_a_notebook_the_panel_says_what_to_do(front: Callable[..., Front], server: Jupyter) -> None:
    page = front("lab", own_page=True)
    page.page.goto(f"{server.url}lab/workspaces/empty?token={server.token}")
    page.page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('snakekernel:open-panel')")
    page.page.evaluate("() => window.jupyterapp.restored")
    page.command("snakekernel:open-panel")
    expect(page.page.locator("#snakekernel-objects")).to_contain_text("Open a notebook to see its objects.")
