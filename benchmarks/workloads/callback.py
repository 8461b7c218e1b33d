"""What it costs when code over there calls a function of this process: a round trip the other way."""

from __future__ import annotations

import statistics
import time
from typing import Final

from ..measure import Opened, Row, Turn, rounded
from ..peer import Peer
from ..workload import Column, Workload

#: Calls of the function within one call.
_MANY: Final = 500


def _calls(peer: Peer, count: int) -> Turn:
    def turn() -> list[float]:
        seen = 0

        def function(number: int) -> int:
            nonlocal seen
            seen += 1
            return number * 2

        assert peer.call_back is not None
        began = time.perf_counter()
        total = peer.call_back(function, count)
        seconds = time.perf_counter() - began
        if seen != count or total != count * (count - 1):
            raise ValueError("a call of the function is wrong")
        return [seconds / count]

    return turn


def _run(opened: Opened) -> dict[str, Row]:
    turns = {
        f"{name}|{key}": _calls(peer, count)
        for key, count in (("each_us", _MANY), ("single_us", 1))
        for name, peer in opened.having("call_back").items()
    }
    rows: dict[str, Row] = {}
    for both, times in opened.interleaved(turns).items():
        name, key = both.split("|")
        rows.setdefault(name, {})[key] = rounded(statistics.median(times) * 1e6)
    return rows


WORKLOAD: Final = Workload(
    name="callback",
    title="A function of the caller's, called over there",
    columns=(
        Column("each_us", "each of 500 in a call, µs"),
        Column("single_us", "a call with one, µs"),
    ),
    run=_run,
)
