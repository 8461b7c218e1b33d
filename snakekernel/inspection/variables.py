"""The notebook's variables that are a person's own."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from snakekernel.inspection import genuine

#: Put there by this kernel.
_OURS: Final = frozenset({"stored"})


def variables(namespace: MutableMapping[str, Any], hidden: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that are a person's own: a copy, made without running code of any."""
    kept: dict[str, Any] = {}
    unread: list[tuple[Any, Any]] = []
    for name, value in genuine.settled(lambda: list(namespace.items()), unread):
        if type(name) is not str or name.startswith("_") or name in _OURS:
            continue
        # IPython's own names are the person's where they have another value now.
        if name in hidden and hidden[name] is value:
            continue
        kept[name] = value
    return kept
