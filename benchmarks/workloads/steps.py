"""Ten calls of which each needs the result of the one before: one by one, and in one go."""

from __future__ import annotations

import statistics
from typing import Final

from ..measure import Opened, Row, checked, repeated, rounded
from ..peer import STEPS
from ..workload import Column, Workload


def _run(opened: Opened) -> dict[str, Row]:
    turns = {
        f"{name}|{key}": repeated(checked(getattr(peer, key), STEPS), opened.scale.turn)
        for key in ("loop", "chain")
        for name, peer in opened.having(key).items()
    }
    rows: dict[str, Row] = {}
    for both, times in opened.interleaved(turns).items():
        name, key = both.split("|")
        rows.setdefault(name, {})[f"{key}_us"] = rounded(statistics.median(times) * 1e6)
    return opened.ratios(rows, "chain_us")


WORKLOAD: Final = Workload(
    name="steps",
    title="Ten dependent steps",
    columns=(
        Column("loop_us", "one by one µs"),
        Column("chain_us", "in one go µs"),
        Column("ratio", "in one go × echo's"),
    ),
    run=_run,
)
