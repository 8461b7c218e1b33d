"""Storing an object so that it outlives the kernel, beside storing it alone, and beside what a script does.

Rules: one folder, one disk; each way is done when the object is synced to it, but for the first, which syncs
nothing. ``shelve`` and the plain file run in this process, and send nothing to another one.
"""

from __future__ import annotations

import os
import pickle
import shelve
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import snakekernel

from ..measure import Opened, Row, Turn, rounded, timed
from ..workload import Column, Workload

#: Column -> what makes the object, how often it is stored in a turn, and what a second is in its unit.
_OBJECTS: Final[dict[str, tuple[Callable[[], Any], int, float]]] = {
    "small_us": (lambda: {"a": 1, "b": [1, 2, 3]}, 20, 1e6),
    "array_ms": (lambda: __import__("numpy").zeros(8_000_000), 1, 1e3),
}


def _in_shelf(path: Path, obj: Any) -> None:
    with shelve.open(str(path), protocol=5) as shelf:
        shelf["object"] = obj
    for file in path.parent.glob(path.name + "*"):
        _sync(file)


def _in_file(path: Path, obj: Any) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        pickle.dump(obj, file, protocol=5)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _turn(store: Callable[[Any], object], obj: Any, count: int) -> Turn:
    return lambda: [timed(partial(store, obj)) for _ in range(count)]


def _run(opened: Opened) -> dict[str, Row]:
    with tempfile.TemporaryDirectory(prefix="snakekernel-durable-") as name:
        folder = Path(name)
        env = {**os.environ, "SNAKEKERNEL_DURABLE_FOLDER": name}
        with snakekernel.start(env=env, durable=folder / "own.db") as snake:
            ways: dict[str, Callable[[Any], object]] = {
                "store": partial(snake.store, "plain"),
                "store(durable=True)": partial(snake.store, "durable", durable=True),
                "shelve, synced": partial(_in_shelf, folder / "shelf"),
                "pickle into a file, synced": partial(_in_file, folder / "file"),
            }
            turns = {
                f"{way}|{column}": _turn(store, make(), count)
                for column, (make, count, _) in _OBJECTS.items()
                for way, store in ways.items()
            }
            rows: dict[str, Row] = {way: {} for way in ways}
            for key, times in opened.interleaved(turns).items():
                way, column = key.split("|")
                rows[way][column] = rounded(statistics.median(times) * _OBJECTS[column][2])
    return rows


WORKLOAD: Final = Workload(
    name="durable_store",
    title="An object that outlives the kernel",
    columns=(Column("small_us", "a small dict, µs"), Column("array_ms", "an array of 64 MB, ms")),
    run=_run,
    needs=("numpy",),
    first_phase_only=True,
)
