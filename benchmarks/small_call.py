"""What a small call costs: our client's ``operator.add(2, 3)`` beside a bare zmq echo and a stock cell.

Rules: peers take turns in short rounds, so that what slows the machine slows all of them; figures are medians
of single round trips, and what counts is their ratio to the echo over the same transport.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from .peers import RoundTrip, echo, our_call, stock_execute

#: A small call through our client costs at most so many echoes.
BOUND: Final = 8.0

#: Peer -> the echo that it is compared with.
_COMPARED: Final = {
    "echo, ipc": "echo, ipc",
    "echo, tcp": "echo, tcp",
    "our call, ipc": "echo, ipc",
    "our call, tcp": "echo, tcp",
    "stock execute, tcp": "echo, tcp",
}


def measure(*, rounds: int, calls: int) -> dict[str, Any]:
    """Run all peers; gives ``{"peers": {name: {"median_us", "p90_us", "ratio"}}, "bound", "worst_ratio"}``.

    Args:
        rounds: how often each peer has its turn.
        calls: round trips in one turn; the stock kernel, far slower, makes a tenth of them.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        peers: dict[str, RoundTrip] = {
            "echo, ipc": stack.enter_context(echo("ipc")),
            "our call, ipc": stack.enter_context(our_call("ipc")),
            "echo, tcp": stack.enter_context(echo("tcp")),
            "our call, tcp": stack.enter_context(our_call("tcp")),
            "stock execute, tcp": stack.enter_context(stock_execute(folder)),
        }
        times: dict[str, list[float]] = {name: [] for name in peers}
        for number in range(rounds + 1):
            for name, round_trip in peers.items():
                turn = _turn(round_trip, max(1, calls // 10) if name.startswith("stock") else calls)
                # The first round warms everything up.
                if number:
                    times[name] += turn
    medians = {name: statistics.median(times[name]) for name in _COMPARED}
    results = {
        name: {
            "median_us": round(medians[name] * 1e6, 1),
            "p90_us": round(statistics.quantiles(times[name], n=10)[-1] * 1e6, 1),
            "ratio": round(medians[name] / medians[floor], 2),
        }
        for name, floor in _COMPARED.items()
    }
    ours = [result["ratio"] for name, result in results.items() if name.startswith("our call")]
    return {"peers": results, "bound": BOUND, "worst_ratio": max(ours)}


def _turn(round_trip: RoundTrip, calls: int) -> list[float]:
    clock = time.perf_counter
    times = []
    gc.collect()
    for _ in range(calls):
        began = clock()
        round_trip()
        times.append(clock() - began)
    return times
