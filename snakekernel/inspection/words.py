"""Sizes, ages and shapes as a person reads them; the same words everywhere.

Rules: pure functions of plain numbers and texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def size_text(size: int) -> str:
    """Bytes as ``"12.3 kB"``."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def age_text(seconds: float) -> str:
    """A time ago, as ``"just now"`` (within a minute), ``"5 min ago"``, ``"2 d ago"``."""
    for step, unit in _STEPS:
        if seconds >= step:
            return f"{int(seconds // step)} {unit} ago"
    return "just now"


def extent_text(shape: Sequence[int] | None, length: int | None) -> str:
    """``"336776 × 19"`` of a shape, else the length, else nothing."""
    if shape:
        return " × ".join(str(n) for n in shape)
    return "" if length is None else str(length)


def one_line(text: str, most: int) -> str:
    """The text without line breaks, at most ``most`` characters long."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"


def counted(number: int, noun: str) -> str:
    """``"1 object"``, ``"2 objects"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
