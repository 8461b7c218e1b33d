"""A plot of a result: one panel for each figure that peers can be compared by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .report import shown

_PANELS: Final = (
    ("A small call, µs", "small_call", "median_us"),
    ("100 calls in flight, /s", "in_flight", "in_flight"),
    ("Their own batch, /s", "in_flight", "batch"),
    ("1 kB dictionary, µs", "dict_method", "median_us"),
    ("64 MB array in, MB/s", "array_64", "in"),
    ("64 MB array out, MB/s", "array_64", "out"),
    ("Ten steps in one go, µs", "steps", "chain_us"),
    ("Start to first answer, ms", "start_up", "start_ms"),
)
_OURS, _FLOOR, _OTHERS = "#2a9d5c", "#9a9a9a", "#4878a8"


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw the panels into a file; its suffix says the format.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 20), layout="constrained")
    panels = figure.subplots(4, 2).flatten()
    for axes, (title, workload, column) in zip(panels, _PANELS, strict=True):
        rows = result["workloads"].get(workload, {})
        figures = {peer: row[column] for peer, row in rows.items() if row.get(column)}
        names = list(reversed(figures))
        bars = axes.barh(names, [figures[name] for name in names], color=[_colour(name) for name in names])
        axes.bar_label(bars, labels=[shown(figures[name]) for name in names], padding=3, fontsize=8)
        axes.set_title(title, loc="left")
        axes.tick_params(labelsize=8)
        if figures:
            axes.set_xscale("log")
            axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    where = result["where"]
    figure.suptitle(
        f"snakekernel and its peers, {where['date'][:10]}, {where['cores']} cores of {where['processor']}"
    )
    figure.savefig(path)


def _colour(name: str) -> str:
    if name.startswith("snakekernel"):
        return _OURS
    return _FLOOR if name.startswith(("echo", "memcpy")) else _OTHERS
