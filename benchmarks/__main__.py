"""``python -m benchmarks``: measure the peers side by side, print tables, keep figures and plot.

With ``--readme FILE`` or ``--show`` nothing is measured: a kept result is put into a file, or shown.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from .bounds import judge
from .plot import plot
from .readme import rewrite
from .report import show
from .workloads import WORKLOADS

_RESULTS: Final = Path(__file__).parent / "results"
#: The one that is committed, and shown in the README.
REFERENCE: Final = _RESULTS / "reference.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; with ``--check`` a missed bound is the exit code 1, Ctrl-C is 130."""
    options = _parser().parse_args(arguments)
    try:
        if options.readme or options.show:
            result = json.loads(options.result.read_text())
            for path in options.readme:
                rewrite(path, result)
        else:
            result = _measure(options)
    except KeyboardInterrupt:
        print("Stopped; all peers are closed.", file=sys.stderr)
        return 130
    verdicts = judge(result)
    if not options.readme:
        # The tables need some room, which a pipe has.
        show(result, verdicts, Console(width=None if sys.stdout.isatty() else 110))
    return int(options.check and not all(verdict.within for verdict in verdicts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and smaller: a smoke test, not a figure")
    add("--check", action="store_true", help="fail where a figure is beyond its bound")
    add("--peer", action="append", default=[], metavar="NAME", help="only peers whose names begin so")
    names = [workload.name for workload in WORKLOADS]
    add("--workload", action="append", default=[], choices=names, help="only this workload")
    add("--reference", action="store_true", help=f"keep it as {os.path.relpath(REFERENCE)}, too")
    add("--keep", type=Path, default=_RESULTS, metavar="FOLDER", help="where the figures and the plot go")
    add("--show", action="store_true", help="show a kept result")
    add("--readme", action="append", default=[], type=Path, metavar="FILE", help="put a kept result there")
    add(
        "--result",
        type=Path,
        default=REFERENCE,
        metavar="JSON",
        help="the kept result, if not the reference",
    )
    return parser


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    # Not needed, and peers not loaded, where a kept result is shown.
    from .measure import FULL, QUICK
    from .run import run

    # As Ctrl-C does: everything that was started is ended on the way out.
    signal.signal(signal.SIGTERM, _stop)
    console = Console(stderr=True, highlight=False)
    scale = QUICK if options.quick else FULL
    began = time.monotonic()

    def tell(what: str) -> None:
        console.print(f"{time.monotonic() - began:4.0f} s  {what}", soft_wrap=True)

    found = run(scale, tell=tell, only=options.peer, workloads=options.workload)
    result = {"quick": options.quick, **asdict(found)}
    options.keep.mkdir(parents=True, exist_ok=True)
    kept = options.keep / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    for path in [kept, *([REFERENCE] if options.reference else [])]:
        path.write_text(json.dumps(result, indent=1) + "\n")
        try:
            plot(result, path.with_suffix(".png"))
        except ImportError:
            console.print("No plot: matplotlib is not installed.")
    console.print(f"Kept in {os.path.relpath(kept)}.")
    return result


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
