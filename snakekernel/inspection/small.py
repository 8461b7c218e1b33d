"""What is said of small scalars, the form of most results; no describer need be loaded for it."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from snakekernel.values.bounds import SAFE_INTEGER, Limits

#: Characters of a string that is small whatever asks for it.
_SHORT: Final = 200


def of_small_scalar(obj: Any, limits: Limits) -> dict[str, Any] | None:
    """What every description says of a small built-in scalar, or None for any other object.

    ``limits`` are those of the value.
    """
    cls = type(obj)
    if cls is str:
        if len(obj) > _SHORT or len(obj) > limits.json_bytes or not obj.isascii():
            return None
    elif cls is int:
        if not -SAFE_INTEGER <= obj <= SAFE_INTEGER:
            return None
    elif cls is float:
        if not isfinite(obj):
            return None
    elif obj is not None and cls is not bool:
        return None
    return {"type": cls.__name__, "module": "builtins", "value": obj}
