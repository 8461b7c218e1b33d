"""The figures to reach, and whether a result reaches them.

Rules: medians of the same run are compared, ours with a peer over the same kind of socket. A peer of a later
phase is compared by how many echoes of its own phase it costs. What was not measured gives no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal

from .kinds import OTHERS

_TRANSPORTS: Final = ("ipc", "tcp")
_BEATEN_IN_LATENCY: Final = ("RPyC", "gRPC", "gRPC aio", "zerorpc", "Ray actor", "ipyparallel", "Pyro5")
_BEATEN_IN_FLIGHT: Final = ("gRPC", "gRPC aio", "Ray actor", "zerorpc")
#: They are little more than a socket: no names, no sessions, or no messages of Jupyter's.
_RAW: Final = ("echo, ipc", "echo, tcp", "Session echo", "BaseManager")
_FLOORS: Final = {kind.name: kind.floor for kind in OTHERS}


@dataclass(frozen=True)
class Verdict:
    """A figure of ours beside its bound."""

    what: str
    value: float
    sign: Literal["≤", "≥"]
    limit: float

    @property
    def within(self) -> bool:
        """Whether the figure keeps the bound."""
        return self.value <= self.limit if self.sign == "≤" else self.value >= self.limit


class _Figures:
    def __init__(self, result: dict[str, Any]) -> None:
        self._workloads = result["workloads"]

    def get(self, workload: str, peer: str, column: str) -> float | None:
        found: float | None = self._workloads.get(workload, {}).get(peer, {}).get(column)
        return found

    def peers(self, workload: str) -> list[str]:
        return list(self._workloads.get(workload, {}))

    def here(self, workload: str, peer: str, column: str, ratio: str) -> float | None:
        """A peer's figure as it would be beside the first phase's echo."""
        echo, times = self.get(workload, _FLOORS.get(peer, ""), column), self.get(workload, peer, ratio)
        return self.get(workload, peer, column) if echo is None or times is None else echo * times


def _least(*figures: float | None) -> float | None:
    return min((figure for figure in figures if figure is not None), default=None)


def _most(*figures: float | None) -> float | None:
    return max((figure for figure in figures if figure is not None), default=None)


#: Bounds that are measured, and shown, together.
Part = Literal["bounds", "pool_bounds"]
_Line = tuple[str, float | None, Literal["≤", "≥"], float | None]


def judge(result: dict[str, Any], part: Part | None = None) -> list[Verdict]:
    """What the bounds say of a result: those of one part, or all."""
    figures = _Figures(result)
    peers = (_small, _in_flight, _dict, _steps, _sockets, _same_host, _kernels, _growth, _watched)
    parts = {"bounds": peers, "pool_bounds": (_pools,)}
    kinds = chain.from_iterable(parts.values()) if part is None else parts[part]
    lines = (line for kind in kinds for line in kind(figures))
    return [
        Verdict(what, value, sign, limit)
        for what, value, sign, limit in lines
        if value is not None and limit is not None
    ]


def _ours(peer: str) -> str:
    """Our blocking client over the kind of socket that a peer uses."""
    return f"snakekernel, {_FLOORS[peer].removeprefix('echo, ')}"


def _in_flight_of(figures: _Figures, transport: str) -> float | None:
    """The better of our two clients."""
    names = (f"snakekernel, {transport}", f"snakekernel async, {transport}")
    return _most(*(figures.get("in_flight", name, "in_flight") for name in names))


def _small(figures: _Figures) -> Iterator[_Line]:
    for transport in _TRANSPORTS:
        ratio = figures.get("small_call", f"snakekernel, {transport}", "ratio")
        yield f"small call, {transport}: echoes", ratio, "≤", 1.5
    for peer in _BEATEN_IN_LATENCY:
        ours = figures.get("small_call", _ours(peer), "median_us")
        theirs = figures.here("small_call", peer, "median_us", "ratio")
        yield f"small call: µs, below {peer}", ours, "≤", theirs


def _in_flight(figures: _Figures) -> Iterator[_Line]:
    for transport in _TRANSPORTS:
        echo = figures.get("in_flight", f"echo, {transport}", "in_flight")
        ours = _in_flight_of(figures, transport)
        yield (
            f"in flight, {transport}: of the echo's rate",
            None if ours is None or echo is None else ours / echo,
            "≥",
            0.5,
        )
    for peer in _BEATEN_IN_FLIGHT:
        ours = _in_flight_of(figures, _FLOORS[peer].removeprefix("echo, "))
        theirs = figures.here("in_flight", peer, "in_flight", "ratio")
        yield f"in flight: /s, above {peer}", ours, "≥", theirs
    batch = _most(*(figures.get("in_flight", f"snakekernel, {t}", "batch") for t in _TRANSPORTS))
    yield "batch: /s", batch, "≥", 100_000
    yield "batch: /s, above Pyro5's", batch, "≥", figures.get("in_flight", "Pyro5", "batch")
    yield "batch: /s, above RPyC's in flight", batch, "≥", figures.get("in_flight", "RPyC", "in_flight")


def _dict(figures: _Figures) -> Iterator[_Line]:
    for transport in _TRANSPORTS:
        name = f"snakekernel, {transport}"
        ours = figures.get("dict_method", name, "median_us")
        call = figures.get("small_call", name, "median_us")
        ratio = None if ours is None or call is None else ours / call
        yield f"1 kB dict method, {transport}: of our small calls", ratio, "≤", 1.3
    for peer in figures.peers("dict_method"):
        if not peer.startswith("snakekernel") and peer not in _RAW:
            ours = figures.get("dict_method", _ours(peer), "median_us")
            theirs = figures.here("dict_method", peer, "median_us", "ratio")
            yield f"1 kB dict method: µs, below {peer}", ours, "≤", theirs


def _steps(figures: _Figures) -> Iterator[_Line]:
    for transport in _TRANSPORTS:
        name = f"snakekernel, {transport}"
        ours, call = figures.get("steps", name, "chain_us"), figures.get("small_call", name, "median_us")
        ratio = None if ours is None or call is None else ours / call
        yield f"10 steps in a pipeline, {transport}: small calls", ratio, "≤", 2
    for peer in figures.peers("steps"):
        if not peer.startswith("snakekernel") and peer not in _RAW[:3]:
            ours = figures.get("steps", _ours(peer), "chain_us")
            theirs = _least(*(figures.get("steps", peer, key) for key in ("loop_us", "chain_us")))
            yield f"10 steps: µs, below {peer}", ours, "≤", theirs


def _sockets(figures: _Figures) -> Iterator[_Line]:
    name = "snakekernel, ipc, socket only"
    if name not in figures.peers("array_64"):
        name = "snakekernel, ipc"
    for way in ("in", "out"):
        ratio = figures.get("array_64", name, f"{way}_ratio")
        yield f"64 MB {way}, ipc socket: of the echo's MB/s", ratio, "≥", 0.9


def _same_host(figures: _Figures) -> Iterator[_Line]:
    for size in (64, 1_000):
        table = f"array_{size}"
        ours = {way: figures.get(table, "snakekernel, ipc", way) for way in ("in", "out", "made")}
        copy, back = (figures.get(table, "memcpy", way) for way in ("in", "out"))
        ratio = None if ours["in"] is None or copy is None else ours["in"] / copy
        yield f"{size:,} MB in, same host: of memcpy into fresh pages", ratio, "≥", 0.7
        yield f"{size:,} MB out, same host: MB/s, faster than a copy", ours["out"], "≥", back
        for way, words in (("in", "in"), ("out", "out"), ("made", "made there, out")):
            theirs = figures.get(table, "Ray actor", way)
            yield f"{size:,} MB {words}: MB/s, above Ray", ours[way], "≥", theirs


def _kernels(figures: _Figures) -> Iterator[_Line]:
    ours, stock = "snakekernel, bare client", "ipykernel, bare client"
    times = (figures.get("start_up", name, "start_ms") for name in (ours, stock))
    yield "kernel start to its first reply: ms, up to stock", next(times), "≤", next(times)
    mine, others = (figures.get("start_up", name, "memory_mb") for name in (ours, stock))
    more = None if mine is None or others is None else mine - others
    yield "idle memory over stock: MB", more, "≤", 5


def _growth(figures: _Figures) -> Iterator[_Line]:
    first, *others = figures.peers("growth") or [""]
    for name in others:
        for key in ("store", "retrieve", "list", "delete"):
            few, many = (figures.get("growth", peer, f"{key}_us") for peer in (first, name))
            # What is the same differs by so much from run to run.
            ratio = None if few is None or many is None else many / few
            yield f"{key} among {name}: of what it costs among 100", ratio, "≤", 1.2
        yield f"memory of {name}: bytes each", figures.get("growth", name, "bytes"), "≤", 1_000


def _watched(figures: _Figures) -> Iterator[_Line]:
    closed, *others = figures.peers("watched_cells") or [""]
    for name in others:
        for key, what in (("small_us", "x = 1"), ("loop_us", "a loop"), ("change_us", "a change in place")):
            few, many = (figures.get("watched_cells", peer, key) for peer in (closed, name))
            ratio = None if few is None or many is None else many / few
            yield f"a cell ({what}), {name}: of its time with it closed", ratio, "≤", 1.05


def _pools(figures: _Figures) -> Iterator[_Line]:
    ratio = figures.get("pool_overhead", "a pool of one kernel", "ratio")
    yield "a call through a pool: direct calls", ratio, "≤", 1.2
    for name in ("snakekernel pool", "snakekernel pool, zygote"):
        warm = figures.get("checkout", name, "warm_ms")
        yield f"{name}: warm checkout, ms", warm, "≤", 5
    for name in ("zygote", "zygote, numpy"):
        yield f"kernel start, {name}: of a cold one", figures.get("kernel_start", name, "ratio"), "≤", 0.5
