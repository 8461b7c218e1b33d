"""Put a result's tables into a Markdown file, between markers that it has.

``<!-- benchmarks: table -->`` or ``<!-- benchmarks: bounds -->`` begins a part, ``<!-- benchmarks: end -->``
ends it; what stands between them is replaced. A part named after a workload holds that one's table; a result
that has none leaves it as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from .bounds import judge
from .report import markdown, of_workload, shown
from .workloads import WORKLOADS

_PART: Final = re.compile(r"(<!-- benchmarks: (\w+) -->\n).*?(<!-- benchmarks: end -->)", re.DOTALL)


def rewrite(path: Path, result: dict[str, Any]) -> None:
    """Replace the marked parts.

    Raises:
        ValueError: the file has no such part, or one of another name.
    """
    text = path.read_text()
    parts = {"table": markdown, "bounds": _bounds}
    workloads = {workload.name: workload for workload in WORKLOADS}

    def part(match: re.Match[str]) -> str:
        name = match[2]
        if name in workloads:
            found = of_workload(workloads[name], result)
            return match[0] if found is None else f"{match[1]}{found}\n{match[3]}"
        if name not in parts:
            known = ", ".join([*parts, *workloads])
            raise ValueError(f"{path} has a part {name!r}; there are {known}.")
        return f"{match[1]}{parts[name](result)}\n{match[3]}"

    changed, count = _PART.subn(part, text)
    if not count:
        raise ValueError(f"{path} has no part between <!-- benchmarks: … --> and <!-- benchmarks: end -->.")
    path.write_text(changed)


def _bounds(result: dict[str, Any]) -> str:
    lines = ["| | measured | bound | |", "| --- | ---: | ---: | --- |"]
    for verdict in judge(result):
        word = "within" if verdict.within else "**beyond**"
        cells = (verdict.what, shown(verdict.value), f"{verdict.sign} {shown(verdict.limit)}", word)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
