"""Put a result's tables into a Markdown file, between markers that it has.

``<!-- benchmarks: table -->`` or ``<!-- benchmarks: bounds -->`` begins a part, ``<!-- benchmarks: end -->``
ends it; what stands between them is replaced.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from .bounds import judge
from .report import markdown, shown

_PART: Final = re.compile(r"(<!-- benchmarks: (\w+) -->\n).*?(<!-- benchmarks: end -->)", re.DOTALL)


def rewrite(path: Path, result: dict[str, Any]) -> None:
    """Replace the marked parts.

    Raises:
        ValueError: the file has no such part, or one of another name.
    """
    text = path.read_text()
    parts = {"table": markdown, "bounds": _bounds}

    def part(match: re.Match[str]) -> str:
        if match[2] not in parts:
            raise ValueError(f"{path} has a part {match[2]!r}; there are {', '.join(parts)}.")
        return f"{match[1]}{parts[match[2]](result)}\n{match[3]}"

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
