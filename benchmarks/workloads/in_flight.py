"""How many small calls a second one client gets done: 100 under way at once, and by its own kind of batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..measure import Opened, Row, Turn, rounded
from ..workload import Column, Workload

#: Bursts of slow peers are shorter, so that a turn lasts about so many seconds.
_SECONDS: Final = 0.25
#: A batch may be so many times as long as a burst.
_BATCH: Final = 5


def _bursts(burst: Callable[[int], Sequence[Any]], most: int) -> Turn:
    least = count = 100

    def turn() -> list[float]:
        nonlocal count
        began = time.perf_counter()
        got = burst(count)
        seconds = time.perf_counter() - began
        if list(got) != list(range(1, count + 1)):
            raise ValueError("a sum is wrong")
        rate = count / seconds
        # Whole windows of 100.
        count = min(most, max(least, int(rate * _SECONDS) // 100 * 100))
        return [rate]

    return turn


def _run(opened: Opened) -> dict[str, Row]:
    turns = {
        f"{name}|{key}": _bursts(getattr(peer, key), opened.scale.in_flight * times)
        for key, times in (("in_flight", 1), ("batch", _BATCH))
        for name, peer in opened.having(key).items()
    }
    rows: dict[str, Row] = {}
    for both, rates in opened.interleaved(turns).items():
        name, key = both.split("|")
        rows.setdefault(name, {})[key] = rounded(statistics.median(rates))
    return opened.ratios(rows, "in_flight")


WORKLOAD: Final = Workload(
    name="in_flight",
    title="Many small calls from one client, calls a second",
    columns=(
        Column("in_flight", "100 in flight /s"),
        Column("ratio", "× echo's rate"),
        Column("batch", "by its own batch /s"),
    ),
    run=_run,
)
