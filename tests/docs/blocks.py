"""The examples of a Markdown page: its code blocks, and how each is to be run.

A block is run unless the line above its fence is ``<!-- not run: reason -->``. ``<!-- cell -->`` marks code
of a notebook, which runs in the kernel that the page started. An expression that ends in ``# -> text`` must
have that ``repr``; ``...`` in it stands for anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]

_MARK = re.compile(r"<!-- (?:(cell)|not run: (.+)) -->")
_FENCE = re.compile(r"(`{3,}|:{3,})\s*(\S*)\s*$")


@dataclass(frozen=True)
class Block:
    """One fenced block. ``line`` is that of its first line of code, counted from 1."""

    language: str
    code: str
    line: int
    how: Literal["run", "cell", "skip"]
    reason: str = ""


def pages() -> list[Path]:
    """Every page a reader sees."""
    found = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    return [ROOT / "README.md", *sorted(path for path in found if "node_modules" not in path.parts)]


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in those languages, in order."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    index = 0
    while index < len(lines):
        opening = _FENCE.match(lines[index])
        if opening is None:
            index += 1
            continue
        end = index + 1
        while not (lines[end].startswith(opening[1]) and not lines[end].strip("`: ")):
            end += 1
        if opening[2] in languages:
            mark = _MARK.fullmatch(lines[index - 1].strip()) if index else None
            how: Literal["run", "cell", "skip"] = "run" if mark is None else "cell" if mark[1] else "skip"
            code = "\n".join(lines[index + 1 : end]) + "\n"
            found.append(Block(opening[2], code, index + 2, how, (mark and mark[2]) or ""))
        index = end + 1
    return found
