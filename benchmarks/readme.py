"""Put a result's tables into a Markdown file, between markers that it has.

``<!-- benchmarks: NAME -->`` begins a part, ``<!-- benchmarks: end -->`` ends it; what stands between them
is replaced. Names are ``table``, ``bounds``, ``pool_bounds``, and those of workloads, whose own tables they
hold. A result that says nothing of a workload, or of bounds, leaves them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from .bounds import Part, judge
from .report import markdown, of_workload, shown
from .workloads import WORKLOADS

_PART: Final = re.compile(r"(<!-- benchmarks: (\w+) -->\n).*?(<!-- benchmarks: end -->)", re.DOTALL)


def rewrite(path: Path, result: dict[str, Any]) -> None:
    """Replace the marked parts.

    Raises:
        ValueError: the file has no such part, or one of another name.
    """
    text = path.read_text()
    parts: dict[str, Callable[[dict[str, Any]], str | None]] = {
        "table": markdown,
        "bounds": partial(_bounds, "bounds"),
        "pool_bounds": partial(_bounds, "pool_bounds"),
    }
    workloads = {workload.name: workload for workload in WORKLOADS}

    def part(match: re.Match[str]) -> str:
        name = match[2]
        if name in workloads:
            found = of_workload(workloads[name], result)
        elif name in parts:
            found = parts[name](result)
        else:
            known = ", ".join([*parts, *workloads])
            raise ValueError(f"{path} has a part {name!r}; there are {known}.")
        return match[0] if found is None else f"{match[1]}{found}\n{match[3]}"

    changed, count = _PART.subn(part, text)
    if not count:
        raise ValueError(f"{path} has no part between <!-- benchmarks: … --> and <!-- benchmarks: end -->.")
    path.write_text(changed)


def _bounds(part: Part, result: dict[str, Any]) -> str | None:
    verdicts = judge(result, part)
    if not verdicts:
        return None
    lines = ["| | measured | bound | |", "| --- | ---: | ---: | --- |"]
    for verdict in verdicts:
        word = "within" if verdict.within else "**beyond**"
        cells = (verdict.what, shown(verdict.value), f"{verdict.sign} {shown(verdict.limit)}", word)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
