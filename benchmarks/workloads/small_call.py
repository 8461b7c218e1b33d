"""What a small call costs: ``operator.add(2, 3)`` by name, or ``add(2, 3)`` where names are not called."""

from __future__ import annotations

from typing import Final

from ..measure import Opened, Row, checked, microseconds, repeated
from ..workload import Column, Workload


def _run(opened: Opened) -> dict[str, Row]:
    turns = {
        name: repeated(checked(peer.call, 5), opened.scale.turn)
        for name, peer in opened.having("call").items()
        if peer.call is not None
    }
    rows = {name: microseconds(times) for name, times in opened.interleaved(turns).items()}
    return opened.ratios(rows, "median_us")


WORKLOAD: Final = Workload(
    name="small_call",
    title="A small call: operator.add(2, 3)",
    columns=(
        Column("median_us", "median µs"),
        Column("p90_us", "90 % below µs"),
        Column("ratio", "× echo"),
    ),
    run=_run,
)
