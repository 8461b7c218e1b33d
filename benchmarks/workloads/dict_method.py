"""A method of a kept object that takes a dictionary of 1 kB and gives back the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..measure import Opened, Row, microseconds, repeated
from ..served import record
from ..workload import Column, Workload


def _calls(swap: Callable[[Any], Any]) -> Callable[[], Any]:
    sent, expected = record(1), record(1)
    done = 0

    def run() -> None:
        nonlocal done
        got = swap(sent)
        done += 1
        # What comes back the second time was sent the first.
        if done == 2 and got != expected:
            raise ValueError("another record came back")

    return run


def _run(opened: Opened) -> dict[str, Row]:
    turns = {
        name: repeated(_calls(peer.swap), opened.scale.turn)
        for name, peer in opened.having("swap").items()
        if peer.swap is not None
    }
    rows = {name: microseconds(times) for name, times in opened.interleaved(turns).items()}
    return opened.ratios(rows, "median_us")


WORKLOAD: Final = Workload(
    name="dict_method",
    title="A method of a kept object, a dictionary of 1 kB in and one back",
    columns=(
        Column("median_us", "median µs"),
        Column("p90_us", "90 % below µs"),
        Column("ratio", "× echo"),
    ),
    run=_run,
)
