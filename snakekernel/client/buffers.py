"""The memory of a request's buffers: flat, and nobody else's where it is sent later.

Rules: what is flat is not copied, and what cannot change is not copied to be kept.
"""

from __future__ import annotations

from typing import Any

from ..wire.frame import flat


def flattened(data: Any) -> memoryview:
    """A bytes-like object as a flat view of its bytes; a copy where its memory is not contiguous."""
    view = memoryview(data)
    return flat(view) if view.c_contiguous and 0 not in (view.shape or ()) else memoryview(view.tobytes())


def private(view: memoryview) -> memoryview:
    """Flat bytes that later changes by their owner do not reach."""
    return view if view.readonly else memoryview(bytes(view))
