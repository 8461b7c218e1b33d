"""The tables: on the terminal, and the one of the README.

Rules: both are made from the JSON alone, so that a kept result shows as it did when it was measured.
"""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from .bounds import Verdict
from .workload import Workload
from .workloads import WORKLOADS

_NONE: Final = "–"

#: Heading, and the workloads' figures under it, of the README's table.
_SUMMARY: Final = (
    ("call µs (× echo)", ("small_call", "median_us"), ("small_call", "ratio")),
    ("in flight /s", ("in_flight", "in_flight"), None),
    ("own batch /s", ("in_flight", "batch"), None),
    ("1 kB dict µs", ("dict_method", "median_us"), None),
    ("10 steps µs: one by one / in one go", ("steps", "loop_us"), ("steps", "chain_us")),
    ("64 MB array MB/s: in / out", ("array_64", "in"), ("array_64", "out")),
    ("1M-row frame ms: in / out", ("frame", "in_ms"), ("frame", "out_ms")),
    ("start ms / MB", ("start_up", "start_ms"), ("start_up", "memory_mb")),
)


def shown(figure: float | None) -> str:
    """A figure as people read it, or a dash."""
    if figure is None:
        return _NONE
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def machine(where: dict[str, Any]) -> str:
    """Date, machine and versions in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    cores = f"{where['cores']} cores of {where['processor']}"
    return f"{where['date'][:10]}, {cores}, Python {where['python']}, {versions}"


def show(result: dict[str, Any], verdicts: list[Verdict], console: Console) -> None:
    """Print a table for each workload, and what the bounds say."""
    for workload in WORKLOADS:
        rows = result["workloads"].get(workload.name)
        if not rows:
            continue
        table = Table(title=workload.title, title_justify="left", title_style="bold")
        table.add_column("", no_wrap=True)
        for column in workload.columns:
            table.add_column(column.heading, justify="right")
        for peer, row in rows.items():
            ours = "bold" if peer.startswith("snakekernel") else None
            table.add_row(peer, *(shown(row.get(column.key)) for column in workload.columns), style=ours)
        console.print(table)
    for peer, reason in result["left_out"].items():
        console.print(f"Left out: {peer}: {reason}", soft_wrap=True, highlight=False)
    table = Table(title="The bounds", title_justify="left", title_style="bold")
    for heading in ("", "measured", "bound", "it is"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=bool(heading))
    for verdict in verdicts:
        word = "within" if verdict.within else "[bold red]BEYOND[/]"
        table.add_row(verdict.what, shown(verdict.value), f"{verdict.sign} {shown(verdict.limit)}", word)
    if verdicts:
        console.print(table)
    console.print(f"{machine(result['where'])}. {result['seconds']:.0f} s.", soft_wrap=True, highlight=False)


def markdown(result: dict[str, Any]) -> str:
    """The README's table: peers down, workloads across, and where it was measured."""
    workloads = result["workloads"]
    peers = list(dict.fromkeys(peer for name, *_ in _keys() for peer in workloads.get(name, {})))
    lines = [
        "| | " + " | ".join(heading for heading, *_ in _SUMMARY) + " |",
        "| --- |" + " ---: |" * len(_SUMMARY),
    ]
    for peer in peers:
        cells = [_cell(workloads, peer, first, second, heading) for heading, first, second in _SUMMARY]
        if any(cell != _NONE for cell in cells):
            lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"{machine(result['where'])}."])


def of_workload(workload: Workload, result: dict[str, Any]) -> str | None:
    """One workload's table, peers down, and where it was measured; None where it was not."""
    rows = result["workloads"].get(workload.name)
    if not rows:
        return None
    lines = [
        "| | " + " | ".join(column.heading for column in workload.columns) + " |",
        "| --- |" + " ---: |" * len(workload.columns),
    ]
    for peer, row in rows.items():
        lines.append(f"| {peer} | " + " | ".join(shown(row.get(c.key)) for c in workload.columns) + " |")
    return "\n".join([*lines, "", f"{machine(result['where'])}."])


def _keys() -> list[tuple[str, str]]:
    return [key for _, first, second in _SUMMARY for key in (first, second) if key is not None]


def _cell(
    workloads: dict[str, Any],
    peer: str,
    first: tuple[str, str],
    second: tuple[str, str] | None,
    heading: str,
) -> str:
    def figure(key: tuple[str, str]) -> float | None:
        found: float | None = workloads.get(key[0], {}).get(peer, {}).get(key[1])
        return found

    value = figure(first)
    if second is None:
        return shown(value)
    other = figure(second)
    if value is None and other is None:
        return _NONE
    return f"{shown(value)} ({shown(other)})" if "(" in heading else f"{shown(value)} / {shown(other)}"
