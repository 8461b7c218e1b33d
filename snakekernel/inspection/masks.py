"""Which rows: masks (a truth value for each row) and positions (row numbers, in an order).

Rules: columns of Python objects give plain lists, typed columns numpy arrays, and what joins both is an
array; so that a list of records needs no numpy.
"""

from __future__ import annotations

import importlib
from typing import Any

from snakekernel.wire.errors import Unsupported

#: A list of bools or a numpy array of them.
Mask = Any

#: A list of integers or a numpy array of them.
Positions = Any


def numpy() -> Any:
    """The numpy module.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        return importlib.import_module("numpy")
    except ImportError:
        raise Unsupported(
            "sorting, filtering and summing up typed columns needs numpy in the kernel", at="$.target"
        ) from None


def _plain(*masks: Mask) -> bool:
    return all(type(mask) is list for mask in masks)


def both(one: Mask, other: Mask) -> Mask:
    if _plain(one, other):
        return [a and b for a, b in zip(one, other, strict=True)]
    return numpy().logical_and(one, other)


def either(one: Mask, other: Mask) -> Mask:
    if _plain(one, other):
        return [a or b for a, b in zip(one, other, strict=True)]
    return numpy().logical_or(one, other)


def flipped(mask: Mask) -> Mask:
    return [not a for a in mask] if _plain(mask) else numpy().logical_not(mask)


def count(mask: Mask) -> int:
    """In how many rows the mask holds."""
    return sum(map(bool, mask)) if _plain(mask) else int(numpy().count_nonzero(mask))


def positions(mask: Mask) -> Positions:
    """Where the mask holds, ascending."""
    return [n for n, a in enumerate(mask) if a] if _plain(mask) else numpy().flatnonzero(mask)


def pick(rows: Positions, chosen: Positions) -> Positions:
    """``rows[chosen]``."""
    if _plain(rows, chosen):
        return [rows[n] for n in chosen]
    return numpy().asarray(rows)[chosen]


def listed(rows: Positions) -> list[int]:
    """Positions as plain integers."""
    if type(rows) is list or type(rows) is range:
        return list(rows)
    plain: list[int] = rows.tolist()
    return plain
