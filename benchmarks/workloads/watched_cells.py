"""Cells with the inspector's panel open over a thousand stored objects, and with it closed.

Rules: one kernel, whose cells are run turn by turn while a client watches the notebook's variables and as
many objects as a panel has in view, which is what an open panel does; while it watches all objects, which
none does; and while nobody watches. A stock client runs the cells.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..measure import Opened, Row, Turn, rounded, timed
from ..peers.ours import growing
from ..workload import Column, Workload

_OBJECTS: Final = 1_000
_CLOSED: Final = "panel closed"
_IN_VIEW: Final = 50
_OPEN: Final = f"panel open, {_IN_VIEW} in view"
_ALL: Final = "all of them watched"
#: Column -> what the cell does, and how many cells are run in a turn.
_CELLS: Final = {
    "small_us": ("x = 1", 50),
    "loop_us": ("total = 0\nfor number in range(500_000):\n    total += number", 5),
    "change_us": ("stored['object-7'][0] += 1", 50),
}
_PREPARE: Final = f"for number in range({_OBJECTS}):\n    stored[f'object-{{number}}'] = [number] * 100"


def _turn(set_panel: Callable[[], object], cell: Callable[[str], None], code: str, count: int) -> Turn:
    def turn() -> list[float]:
        set_panel()
        cell(code)
        return [timed(partial(cell, code)) for _ in range(count)]

    return turn


def _run(opened: Opened) -> dict[str, Row]:
    with growing() as (snake, _):
        notebook: Any = snake.manager.client()
        notebook.start_channels(hb=False, stdin=False)
        try:
            notebook.wait_for_ready(timeout=30)

            def cell(code: str) -> None:
                # As a notebook does, which shows the cell as running until the kernel says it is idle.
                reply = notebook.execute_interactive(code, timeout=30)
                if reply["content"]["status"] != "ok":
                    raise ValueError(reply["content"]["evalue"])

            cell(_PREPARE)
            everything = [(None, f"object-{number}") for number in range(_OBJECTS)]
            panels = {
                _CLOSED: partial(snake.watch, [], lease=0),
                _OPEN: partial(snake.watch, everything[:_IN_VIEW], variables=["x", "total"], lease=600),
                _ALL: partial(snake.watch, everything, variables=["x", "total"], lease=600),
            }
            turns = {
                f"{name}|{column}": _turn(set_panel, cell, code, count)
                for column, (code, count) in _CELLS.items()
                for name, set_panel in panels.items()
            }
            rows: dict[str, Row] = {name: {} for name in panels}
            for key, times in opened.interleaved(turns).items():
                name, column = key.split("|")
                rows[name][column] = rounded(statistics.median(times) * 1e6)
        finally:
            notebook.stop_channels()
    return rows


WORKLOAD: Final = Workload(
    name="watched_cells",
    title=f"A cell's run time with the inspector's panel open over {_OBJECTS:,} objects",
    columns=(
        Column("small_us", "x = 1, µs"),
        Column("loop_us", "a loop of 500,000, µs"),
        Column("change_us", "changes an object in place, µs"),
    ),
    run=_run,
    first_phase_only=True,
)
