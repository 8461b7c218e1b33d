"""What stops an encoding or a decoding: the limits, and the error of a value that has no lossless form.

Rules: paths are JSONPath pieces such as ``.x``, ``[0]`` or ``['a b']``; they are built only while an error
unwinds, so that values without errors pay nothing for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Integers within this range survive every JSON implementation (IEEE doubles).
SAFE_INTEGER = 2**53

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_KEY = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one message's values.

    Attributes:
        depth: greatest nesting of containers and tagged objects.
        items: greatest number of elements in all containers together.
        json_bytes: greatest size of the JSON; estimated while encoding (text by its UTF-8 length, eight bytes
            for every element), so that nothing is serialised twice.
        buffer_bytes: greatest size of all binary buffers together, in bytes.
    """

    depth: int = 200
    items: int = 1_000_000
    json_bytes: int = 64 << 20
    buffer_bytes: int = 4 << 30


DEFAULT_LIMITS = Limits()


class NotLossless(ValueError):
    """The object, or a part of it, has no lossless form.

    Attributes:
        reason: why, in words that tell the reader what to do.
        path: where in the object, such as ``[0].x``; empty for the object itself.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


def member(key: object) -> str:
    """The path step of a mapping's key; never runs code of the key's class."""
    if type(key) is int and abs(key) <= SAFE_INTEGER:
        return f"[{key}]"
    if type(key) is not str:
        return f"[<{type_name(type(key))}>]"
    if len(key) > _LONGEST_KEY:
        key = key[: _LONGEST_KEY - 3] + "..."
    if _IDENTIFIER.fullmatch(key):
        return "." + key
    if not key.isprintable() or "\\" in key:
        key = key.encode("unicode_escape").decode("ascii")
    return "['" + key.replace("'", "\\'") + "']"


def type_module(kind: type) -> str:
    """``kind.__module__`` read past any metaclass, so that no user code runs; ``""`` if it is not text."""
    try:
        module = type.__dict__["__module__"].__get__(kind)
    except AttributeError:
        return ""
    return module if type(module) is str else ""


def type_name(kind: type) -> str:
    """``module.Qualified.name`` of a class, without the module for built-ins; runs no user code."""
    name: str = type.__dict__["__qualname__"].__get__(kind)
    module = type_module(kind)
    return name if module in ("", "builtins") else f"{module}.{name}"
