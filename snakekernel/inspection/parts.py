"""What the children of an object are made of: parts, in groups that know their number and read a page.

Rules: reading a group's number costs nothing per part; a page reads only its own parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """One child: the step that leads to it (``None``: no step can), what to call it, and the object.

    ``by_key``: it is a mapping's item, and ``label`` its key.
    """

    key: Any
    label: Any
    value: Any
    by_key: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Children of one sort: their number, and ``read(start, stop)`` for a page of them."""

    total: int
    read: Callable[[int, int], list[Part]]
