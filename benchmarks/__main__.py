"""``python -m benchmarks [--quick] [--check]``: run them, print a table, keep the figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import small_call

_RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run all benchmarks; with ``--check`` a missed bound is the exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the calls: a smoke test, not a figure"
    )
    parser.add_argument("--check", action="store_true", help="fail where a figure is beyond its bound")
    arguments = parser.parse_args()

    rounds, calls = (4, 50) if arguments.quick else (20, 200)
    result: dict[str, Any] = {"where": _machine(), "rounds": rounds, "calls": calls}
    result["small_call"] = small_call.measure(rounds=rounds, calls=calls)
    _show(result)
    _RESULTS.mkdir(exist_ok=True)
    kept = _RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    kept.write_text(json.dumps(result, indent=1) + "\n")
    print(f"Kept in {os.path.relpath(kept)}.")
    return int(arguments.check and result["small_call"]["worst_ratio"] > small_call.BOUND)


def _machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("snakekernel", "ipykernel", "jupyter_client", "pyzmq")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _show(result: dict[str, Any]) -> None:
    where, small = result["where"], result["small_call"]
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    table = Table(title="A small call: operator.add(2, 3)", title_justify="left")
    table.add_column("peer")
    for column in ("median µs", "90 % below µs", "× echo"):
        table.add_column(column, justify="right")
    for name, row in small["peers"].items():
        table.add_row(name, f"{row['median_us']:.0f}", f"{row['p90_us']:.0f}", f"{row['ratio']:.2f}")
    console = Console()
    console.print(table)
    verdict = "within" if small["worst_ratio"] <= small["bound"] else "BEYOND"
    console.print(
        f"Our call: {small['worst_ratio']:.2f} × echo at most, {verdict} the bound of {small['bound']:.0f} ×."
    )
    machine = f"{where['processor']} with {where['cores']} cores, Python {where['python']}"
    console.print(f"{where['date']}, {machine}, {versions}.", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
