"""What a list shows of an object: one line, made without running any code of the object.

Rules: static on every thread; costs are bounded by sampling, whatever the object's size.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

from snakekernel.inspection import facts, sizes
from snakekernel.inspection.text import Texts
from snakekernel.inspection.views import View, view_of

#: Characters of a preview.
PREVIEW: Final = 120

_TEXTS: Final = Texts(None, depth=2)


class Glance(TypedDict):
    """``size`` in bytes, estimated; ``length``, ``shape`` and ``dtype`` are None where unknown."""

    size: int
    length: int | None
    shape: list[int] | None
    dtype: str | None
    preview: str
    view: View


def glance(obj: Any, name: str | None = None) -> Glance:
    """The line of a list about ``obj``, which goes by this name; never raises."""
    known = facts.facts_of(obj)
    return {
        "size": sizes.estimate(obj),
        "length": known.length,
        "shape": known.shape,
        "dtype": known.dtype,
        "preview": _TEXTS.outline(obj, PREVIEW, name)[0],
        "view": view_of(obj),
    }
