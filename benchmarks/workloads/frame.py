"""A data frame in and out: a million rows of an integer, a float and a string."""

from __future__ import annotations

import statistics
from typing import Any, Final

from ..measure import Opened, Row, Turn, rounded, timed
from ..peer import Peer
from ..workload import Column, Workload


def _frame(rows: int) -> Any:
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    words = np.array([f"word number {i}" for i in range(1_000)])
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "x": random.random(rows),
            "word": words[random.integers(0, len(words), rows)],
        }
    )


def _turn(peer: Peer, frame: Any) -> Turn:
    put, get = peer.put_frame, peer.get_frame
    assert put is not None
    assert get is not None
    checked = False

    def turn() -> list[float]:
        nonlocal checked
        times = [timed(lambda: put(frame)), timed(get)]
        if not checked:
            if not get().equals(frame):
                raise ValueError("another frame came back")
            checked = True
        return times

    return turn


def _run(opened: Opened) -> dict[str, Row]:
    frame = _frame(opened.scale.rows)
    turns = {name: _turn(peer, frame) for name, peer in opened.having("put_frame", "get_frame").items()}
    measured = opened.interleaved(turns, rounds=min(opened.scale.rounds, 8))
    rows = {
        name: {
            "in_ms": rounded(statistics.median(times[0::2]) * 1e3),
            "out_ms": rounded(statistics.median(times[1::2]) * 1e3),
        }
        for name, times in measured.items()
    }
    opened.ratios(rows, "in_ms", "in_ratio")
    return opened.ratios(rows, "out_ms", "out_ratio")


WORKLOAD: Final = Workload(
    name="frame",
    title="A data frame of a million rows (a tenth of that with --quick): integer, float and string",
    columns=(
        Column("in_ms", "in ms"),
        Column("in_ratio", "× Arrow by echo"),
        Column("out_ms", "out ms"),
        Column("out_ratio", "× Arrow by echo"),
    ),
    run=_run,
    needs=("pandas", "pyarrow"),
)
