"""Calls that wait over there, several at once."""

from __future__ import annotations

import statistics
from typing import Final

from ..measure import Opened, Row, checked, repeated, rounded
from ..peer import WAITS
from ..workload import Column, Workload


def _run(opened: Opened) -> dict[str, Row]:
    turns = {
        name: repeated(checked(peer.waits, list(range(WAITS))), opened.scale.turn)
        for name, peer in opened.having("waits").items()
        if peer.waits is not None
    }
    rows = opened.interleaved(turns)
    return {name: {"median_ms": rounded(statistics.median(times) * 1e3)} for name, times in rows.items()}


WORKLOAD: Final = Workload(
    name="parallel",
    title="32 calls that wait 20 ms over there, eight at once: 80 ms at best",
    columns=(Column("median_ms", "ms"),),
    run=_run,
)
