"""The parameters of a callable one by one, for forms that call it.

Rules: as signatures are read: by the standard library in bounded time, or in the static mode from the code
object alone, where a default or annotation that only code of its own could write is None or ``…``.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Mapping
from typing import Any, Final, TypedDict

from snakekernel.inspection import callables, genuine, timed
from snakekernel.inspection.budget import Clock
from snakekernel.inspection.text import clip
from snakekernel.objects.secret_names import MASK, hides, scrubbed

#: Parameters told, and characters of a default or annotation.
_MOST: Final = 200
_LONGEST: Final = 200


class Parameter(TypedDict):
    """``kind`` is ``positional_only``, ``positional_or_keyword``, ``var_positional``, ``keyword_only`` or
    ``var_keyword``; ``default`` and ``annotation`` are texts, None where there is none or it is not told."""

    name: str
    kind: str
    required: bool
    default: str | None
    annotation: str | None


def parameters(obj: Any, clock: Clock | None) -> list[Parameter] | None:
    """The parameters of a callable, or None where it is none or does not tell.

    Args:
        clock: the answer's time, or ``None`` for the static mode.
    """
    if not callable(obj):
        return None
    asked = None if clock is None else callables.askable(obj)
    if asked is not None and clock is not None:
        outcome = timed.attempt(lambda: _of_signature(inspect.signature(asked)), clock.left())
        if outcome.ok and outcome.value is not None:
            return outcome.value
    written = callables.written(obj)
    return None if written is None else _of_function(*written)


def _of_signature(signature: inspect.Signature) -> list[Parameter]:
    return [_told(parameter) for parameter in list(signature.parameters.values())[:_MOST]]


def _told(parameter: inspect.Parameter) -> Parameter:
    empty = inspect.Parameter.empty
    has_default = parameter.default is not empty
    annotation = parameter.annotation
    if annotation is not empty:
        annotation = annotation if type(annotation) is str else inspect.formatannotation(annotation)
    return {
        "name": clip(parameter.name, _LONGEST)[0],
        "kind": parameter.kind.name.lower(),
        "required": not has_default and not parameter.kind.name.startswith("VAR"),
        "default": _default(parameter) if has_default else None,
        "annotation": None if annotation is empty else clip(annotation, _LONGEST)[0],
    }


def _default(parameter: inspect.Parameter) -> str:
    if hides(parameter.name, parameter.default):
        return repr(MASK)
    return scrubbed(clip(repr(parameter.default), _LONGEST)[0])


def _of_function(function: types.FunctionType, skip: int) -> list[Parameter]:
    code, found = function.__code__, list[Parameter]()
    names = code.co_varnames
    count, only = code.co_argcount, code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    keywords: Mapping[str, Any] = function.__kwdefaults__ or {}
    annotations = _annotations(function)

    def add(name: str, kind: str, *default: Any) -> None:
        found.append(
            {
                "name": clip(name, _LONGEST)[0],
                "kind": kind,
                "required": not default and not kind.startswith("var"),
                "default": callables.default_text(default[0], name) if default else None,
                "annotation": _annotation_text(annotations.get(name)) if name in annotations else None,
            }
        )

    for n, name in enumerate(names[:count]):
        at = n - (count - len(defaults))
        kind = "positional_only" if n < code.co_posonlyargcount else "positional_or_keyword"
        add(name, kind, *defaults[at : at + 1] if at >= 0 else ())
    del found[:skip]
    after = count + only
    if code.co_flags & inspect.CO_VARARGS:
        add(names[after], "var_positional")
        after += 1
    for name in names[count : count + only]:
        add(name, "keyword_only", *([keywords[name]] if name in keywords else ()))
    if code.co_flags & inspect.CO_VARKEYWORDS:
        add(names[after], "var_keyword")
    return found[:_MOST]


def _annotations(function: types.FunctionType) -> Mapping[str, Any]:
    # From 3.14 on reading them runs code of the function's module.
    return function.__annotations__ if sys.version_info < (3, 14) else {}


def _annotation_text(annotation: Any) -> str | None:
    if type(annotation) is str:
        return clip(annotation, _LONGEST)[0]
    if annotation is None or annotation is type(None):
        return "None"
    if genuine.is_kind(annotation, type):
        return genuine.type_name(annotation)
    if type(annotation) not in (types.GenericAlias, types.UnionType):
        return None
    parts = [_annotation_text(part) for part in annotation.__args__]
    if None in parts:
        return None
    words = [part for part in parts if part is not None]
    if type(annotation) is types.UnionType:
        return clip(" | ".join(words), _LONGEST)[0]
    return clip(f"{_annotation_text(annotation.__origin__)}[{', '.join(words)}]", _LONGEST)[0]
