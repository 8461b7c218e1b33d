"""Items of a generator over there: numbers, arrays of 1 MB, and numbers by a round trip for each.

Rules: every item is compared, and all of each array is read.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

from ..measure import Opened, Row, Turn, rounded
from ..workload import Column, Workload

#: A turn takes about so many seconds.
_SECONDS: Final = 0.25
#: Of each ability: how many items a first turn has, and how many any.
_COUNTS: Final = {"items": (100, 20_000), "arrays": (10, 500), "items_in_turn": (100, 20_000)}


def _reading(read: Callable[[int], list[Any]], least: int, most: int) -> Turn:
    count = least

    def turn() -> list[float]:
        nonlocal count
        began = time.perf_counter()
        got = read(count)
        seconds = time.perf_counter() - began
        if got != list(range(count)):
            raise ValueError("an item is wrong")
        rate = count / seconds
        count = min(most, max(least, int(rate * _SECONDS)))
        return [rate]

    return turn


def _run(opened: Opened) -> dict[str, Row]:
    turns = {
        f"{name}|{key}": _reading(getattr(peer, key), *counts)
        for key, counts in _COUNTS.items()
        for name, peer in opened.having(key).items()
    }
    rows: dict[str, Row] = {}
    for both, rates in opened.interleaved(turns).items():
        name, key = both.split("|")
        # Each array is 1 MB.
        rows.setdefault(name, {})[key] = rounded(statistics.median(rates))
    return rows


WORKLOAD: Final = Workload(
    name="stream",
    title="A generator's items, one after the other",
    columns=(
        Column("items", "numbers /s"),
        Column("arrays", "arrays of 1 MB, MB/s"),
        Column("items_in_turn", "numbers by a round trip each /s"),
    ),
    run=_run,
    needs=("numpy",),
)
