"""The memory of a request's buffers that is sent later: nobody else's. What cannot change is not copied."""

from __future__ import annotations


def private(view: memoryview) -> memoryview:
    """Flat bytes that later changes by their owner do not reach."""
    return view if view.readonly else memoryview(bytes(view))
