"""The frame that user code is called from, which some code looks at."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final


def caller(namespace: Any) -> Callable[..., Any]:
    """What calls a function with ``(function, args, kwargs)``, with the notebook's variables as its globals:
    ``exec``, ``eval`` and ``globals`` look at their caller's."""
    return types.FunctionType(_AS_NOTEBOOK, namespace) if type(namespace) is dict else _call


def _call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return function(*args, **kwargs)


_AS_NOTEBOOK: Final = _call.__code__
