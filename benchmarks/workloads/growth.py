"""A store with many objects: what one operation costs with 100 in it and with 100,000, and bytes for each.

Rules: two kernels of ours, asked turn by turn; no other peer has a store.
"""

from __future__ import annotations

import itertools
import statistics
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from ..measure import Opened, Row, Turn, rounded, timed
from ..memory import megabytes
from ..peers.ours import growing
from ..workload import Column, Workload

_FEW: Final = 100
#: Objects stored by one message.
_TOGETHER: Final = 5_000
_PAGE: Final = 50
#: Operations of one kind in a turn.
_EACH: Final = 20


def _grow(snake: Any, count: int) -> None:
    for begin in range(0, count, _TOGETHER):
        numbers = range(begin, min(begin + _TOGETHER, count))
        snake.pipeline([{"op": "store", "id": f"object-{i}", "value": float(i)} for i in numbers])


def _coming_and_going(snake: Any) -> Turn:
    """Stores so many and deletes the same: times of both, one after the other."""

    def turn() -> list[float]:
        names = [f"new-{i}" for i in range(_EACH)]
        stored = [timed(partial(snake.store, name, 1.5)) for name in names]
        return stored + [timed(partial(snake.delete_stored, name)) for name in names]

    return turn


def _reading(snake: Any, count: int) -> Turn:
    """Retrieves so many and lists as many pages: times of both, one after the other."""
    numbers = itertools.count()

    def turn() -> list[float]:
        names = [f"object-{next(numbers) * 7919 % count}" for _ in range(_EACH)]
        retrieved = [timed(partial(snake.retrieve, name)) for name in names]
        page = partial(snake.list_stored, offset=count // 2, limit=_PAGE)
        return retrieved + [timed(page) for _ in range(_EACH)]

    return turn


def _run(opened: Opened) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    turns: dict[str, Turn] = {}
    with ExitStack() as stack:
        for count in (_FEW, opened.scale.objects):
            name = f"{count:,} objects"
            snake, pid = stack.enter_context(growing())
            _grow(snake, _FEW)
            before = megabytes([pid])[0]
            rows[name] = {}
            if count > _FEW:
                _grow(snake, count)
                rows[name]["bytes"] = rounded((megabytes([pid])[0] - before) * 1e6 / (count - _FEW))
            turns[f"{name}|store_us|delete_us"] = _coming_and_going(snake)
            turns[f"{name}|retrieve_us|list_us"] = _reading(snake, count)
        for names, times in opened.interleaved(turns).items():
            name, *keys = names.split("|")
            for index, key in enumerate(keys):
                some = [time for i, time in enumerate(times) if i // _EACH % 2 == index]
                rows[name][key] = rounded(statistics.median(some) * 1e6)
    return rows


WORKLOAD: Final = Workload(
    name="growth",
    title="Many stored objects (5,000 with --quick)",
    columns=(
        Column("store_us", "store µs"),
        Column("retrieve_us", "retrieve µs"),
        Column("list_us", f"page of {_PAGE} names µs"),
        Column("delete_us", "delete µs"),
        Column("bytes", "bytes for each"),
    ),
    run=_run,
    first_phase_only=True,
    needs=("psutil",),
)
