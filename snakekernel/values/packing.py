"""Plain containers packed at once: dicts with names for keys and lists, of text, numbers, booleans and None.

Rules: most values are plain and are their own data, so they are looked through in one loop, without a call
for each part, and packed as JSON there and then. Nothing here tells why something is not plain, or beyond a
limit: that is left to the codecs. No code of a user's class runs.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec

from snakekernel.values.bounds import SAFE_INTEGER
from snakekernel.values.encoder import Encoder

_LEAST = -SAFE_INTEGER
#: Characters up to which a text is looked through at once.
_SHORT = 1_000


def is_own_data(obj: Any) -> bool:
    """Whether an object is a scalar that is its own data; for a few long or rare ones it is not told."""
    kind = type(obj)
    if kind is int:
        return bool(_LEAST <= obj <= SAFE_INTEGER)
    if kind is float:
        return isfinite(obj)
    if kind is str:
        return len(obj) <= _SHORT and obj.isascii()
    return obj is None or kind is bool


_encode = msgspec.json.Encoder().encode


class PackingEncoder(Encoder):
    """An Encoder for data that is packed next: plain containers that it is given come as ``msgspec.Raw``.

    Those within other objects come as data, as codecs expect it.
    """

    __slots__ = ()

    def packed(self, obj: dict[Any, Any] | list[Any]) -> msgspec.Raw | None:
        """An exact dict or list as JSON; None where a part is not plain, or a limit is reached."""
        limits = self.limits
        # Copies: what is packed is what was looked at, whatever another thread does to the original.
        level: list[Any] = [top := obj.copy()]
        names: list[Any] = []
        items, size = self._items + len(top), self._json
        for _ in range(limits.depth):
            below: list[Any] = []
            for container in level:
                if type(container) is dict:
                    names += container
                    parts: Any = container.items()
                else:
                    parts = enumerate(container)
                for key, value in parts:
                    kind = type(value)
                    if kind is str:
                        size += len(value)
                    elif kind is int:
                        if not _LEAST <= value <= SAFE_INTEGER:
                            return None
                    elif kind is float:
                        if not isfinite(value):
                            return None
                    elif kind is dict or kind is list:
                        # Counted before it is copied: one list may stand in another a million times.
                        items += len(value)
                        if items > limits.items:
                            return None
                        container[key] = value = value.copy()
                        below.append(value)
                    elif kind is not bool and value is not None:
                        return None
            # Looked at before it is packed: what is too large is not to be held twice.
            if items > limits.items or size > limits.json_bytes:
                return None
            if not below:
                break
            level = below
        else:
            return None
        for name in names:
            if type(name) is not str:
                return None
        if "$" in "".join(names):
            return None
        try:
            raw = _encode(top)
        except UnicodeEncodeError:
            return None
        if self._json + len(raw) > limits.json_bytes:
            return None
        self._items = items
        self._json += len(raw)
        return msgspec.Raw(raw)
