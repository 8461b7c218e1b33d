"""Arrays of float64 in and out: what is kept and got back, what is added up after, what was made over there.

Rules: "out" is done when there is an array to index; since that may be a view of memory that nobody has read
yet, "out and summed" reads it. "Made there" is an array that never was here.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Final

from ..measure import Opened, Row, Turn, rounded, timed
from ..peer import Peer
from ..workload import Column, Workload

#: From so many MB on, peers hold their arrays only during their turns.
_BIG: Final = 200
_KEYS: Final = ("in", "out", "summed", "made")
_MADE: Final = 2.5


def _compare(got: Any, right: Any, every: int) -> None:
    if len(got) != len(right) or not (got[::every] == right[::every]).all():
        raise ValueError("another array came back")


def _turn(peer: Peer, array: Any, *, let_go: bool) -> Turn:
    import numpy as np

    put, get, make, get_made = peer.put, peer.get, peer.make, peer.get_made
    assert put is not None
    assert get is not None
    checked = False
    # Big ones were compared in full when they were small.
    every = 1_000 if let_go else 1

    def release() -> None:
        if let_go:
            put(array[:1])
            if make is not None:
                make(1, _MADE)

    def turn() -> list[float]:
        nonlocal checked
        if not checked:
            put(array)
            _compare(get(), array, every)
            if make is not None and get_made is not None and every == 1:
                make(len(array), _MADE)
                _compare(get_made(), np.full(len(array), _MADE), every)
            checked = True
            release()
            return []
        # What other peers let go a moment ago may be slow to get back: memory is warmed up in each turn, for
        # both arrays that are there when one takes the place of another.
        put(array)
        put(array)
        times = [timed(lambda: put(array)), timed(get), timed(lambda: get().sum())]
        if make is not None and get_made is not None:
            make(len(array), _MADE)
            times.append(timed(get_made))
        release()
        return times

    return turn


def _of_size(megabytes: int) -> Callable[[Opened], dict[str, Row]]:
    def run(opened: Opened) -> dict[str, Row]:
        big = megabytes >= _BIG
        if megabytes not in opened.scale.megabytes:
            return {}
        import numpy as np

        array = np.random.default_rng(0).random(megabytes * 1_000_000 // 8)
        turns = {
            name: _turn(peer, array, let_go=big)
            for name, peer in opened.having("put", "get").items()
            if opened.peers[name][0].gigabyte or not big
        }
        if all(opened.floor(name) == name for name in turns):
            # Nobody to compare.
            return {}
        rounds = 2 if big else min(opened.scale.rounds // 2, 8)
        rows: dict[str, Row] = {}
        for name, times in opened.interleaved(turns, rounds=rounds).items():
            keys = _KEYS if opened.peers[name][1].get_made is not None else _KEYS[:3]
            rows[name] = {
                key: rounded(megabytes / statistics.median(times[index :: len(keys)]))
                for index, key in enumerate(keys)
            }
        opened.ratios(rows, "in", "in_ratio")
        return opened.ratios(rows, "out", "out_ratio")

    return run


_COLUMNS: Final = (
    Column("in", "in MB/s"),
    Column("in_ratio", "× echo's"),
    Column("out", "out MB/s"),
    Column("out_ratio", "× echo's"),
    Column("summed", "out and summed MB/s"),
    Column("made", "made there, out MB/s"),
)

WORKLOADS: Final = [
    Workload(
        name=f"array_{megabytes}",
        title=f"An array of float64, {megabytes:,} MB",
        columns=_COLUMNS,
        run=_of_size(megabytes),
        needs=("numpy",),
    )
    for megabytes in (64, 1_000)
]
