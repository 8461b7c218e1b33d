"""References and the steps that lead from a stored object to a part of it.

Rules: a step is an attribute (:class:`Attr`), an item (:class:`Item`), or a bare value, which is left to the
object: a bare string is an item if the object is a Mapping that has that key, else an attribute, else an
item; anything else bare is an item.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Attr(msgspec.Struct, frozen=True):
    """A step that is an attribute whatever the object is: ``{"attr": name}``."""

    name: str


class Item(msgspec.Struct, frozen=True):
    """A step that is an item whatever the object is: ``{"item": key}``."""

    key: Any


class Ref(msgspec.Struct, frozen=True):
    """A stored object, or a part of it: ``{"$ref": "df"}``, ``{"$ref": ["df", "columns", 0]}``."""

    id: str
    steps: tuple[Any, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """The result of an earlier step of a pipeline: ``{"$step": 0}``, ``{"$step": [0, "x"]}``."""

    index: int
    steps: tuple[Any, ...] = ()


def path_text(steps: tuple[Any, ...]) -> str:
    """Steps as a person would write them: ``.columns[0]``."""
    parts = []
    for step in steps:
        if isinstance(step, Attr):
            parts.append(f".{step.name}")
        elif isinstance(step, Item):
            parts.append(f"[{step.key!r}]")
        elif isinstance(step, str):
            parts.append(f".{step}")
        else:
            parts.append(f"[{step!r}]")
    return "".join(parts)
