"""Signature and docstring of an object.

Rules: docstrings are read from the namespaces of instance and classes, never through a property.
Signatures come from the standard library in bounded time, because annotations and defaults are written by
their own ``repr``; in the static mode, and where a metaclass answers attribute look-ups itself, from the
code object alone. Nothing here raises.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any, Final

from snakekernel.inspection import genuine, timed
from snakekernel.inspection.budget import Clock
from snakekernel.inspection.text import clip
from snakekernel.objects.secret_names import MASK, hides

#: Longest signature given, in characters.
_LONGEST: Final = 2_000

_VARARGS, _VARKEYWORDS = inspect.CO_VARARGS, inspect.CO_VARKEYWORDS

#: Callables made of another callable.
_WRAPPING: Final = genuine.Table.of(types.MethodType, functools.partial, staticmethod, classmethod)

#: Defaults whose ``repr`` is short and the language's own.
_PLAIN: Final = genuine.Table.of(type(None), bool, int, float, str)

#: C types whose ``__doc__`` is a descriptor of their own.
_DOCUMENTED: Final = genuine.Table.of(
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    property,
)


def docstring(obj: Any, limit: int) -> tuple[str | None, bool]:
    """The cleaned docstring, at most ``limit`` characters, and whether it was cut. Runs no user code."""
    text = _raw_docstring(obj)
    if text is None:
        return None, False
    return clip(inspect.cleandoc(text[: 2 * limit]), limit)


def _raw_docstring(obj: Any) -> str | None:
    if type(obj) in _WRAPPING:
        inner = obj.func if type(obj) is functools.partial else obj.__func__
        return _raw_docstring(inner) if _is_function(inner) else None
    if _is_function(obj):
        found: Any = obj.__doc__
        return found if type(found) is str else None
    if genuine.is_kind(obj, type):
        return _class_docstring(obj)
    own = genuine.own(obj, "__doc__")
    if type(own) is str:
        return own
    return None if genuine.is_kind(obj, types.ModuleType) else _class_docstring(type(obj))


def _class_docstring(cls: type) -> str | None:
    for base in genuine.mro(cls):
        found: Any = genuine.class_dict(base).get("__doc__")
        if type(found) is str and (base is not object or cls is object):
            return found
    return None


def _is_function(obj: Any) -> bool:
    return type(obj) in _DOCUMENTED


def signature(obj: Any, clock: Clock | None) -> str | None:
    """``"(a, b=1) -> int"`` of a callable, or ``None`` if it is none or does not tell.

    Args:
        clock: the answer's time, or ``None`` for the static mode.
    """
    if not callable(obj):
        return None
    asked = None if clock is None else askable(obj)
    if asked is not None and clock is not None:
        outcome = timed.attempt(lambda: str(_unsecret(inspect.signature(asked))), clock.left())
        if outcome.ok and outcome.value is not None:
            return clip(outcome.value, _LONGEST)[0]
    made_by = written(obj)
    return None if made_by is None else _function_signature(*made_by)


class _Masked:
    """Stands for a default that is a secret."""

    def __repr__(self) -> str:
        return repr(MASK)


def _unsecret(signature: inspect.Signature) -> inspect.Signature:
    parameters = signature.parameters.values()
    if not any(hides(one.name, one.default) for one in parameters):
        return signature
    masked = _Masked()
    kept = [one.replace(default=masked) if hides(one.name, one.default) else one for one in parameters]
    return signature.replace(parameters=kept)


def askable(obj: Any) -> Any:
    """What ``inspect.signature`` may be asked in place of a callable, or ``None``: it would run code."""
    if not _answers_for_itself(obj):
        return None
    if _is_standard(obj):
        return obj
    # An instance: its class's __call__, bound, so that nothing is looked up on the object itself.
    call = genuine.class_attribute(type(obj), "__call__")
    return types.MethodType(call, obj) if type(call) is types.FunctionType else None


def _is_standard(obj: Any) -> bool:
    return _is_function(obj) or genuine.is_kind(obj, type) or type(obj) in _WRAPPING


def _answers_for_itself(obj: Any) -> bool:
    """Whether look-ups on a class stay with ``type``: its metaclass has no ``__getattr__`` of its own."""
    if not genuine.is_kind(obj, type):
        return True
    metaclass = type(obj)
    plain = genuine.class_attribute(metaclass, "__getattribute__") is type.__getattribute__
    return plain and genuine.class_attribute(metaclass, "__getattr__") is None


def written(obj: Any) -> tuple[types.FunctionType, int] | None:
    """The Python function that a callable comes down to, and how many first parameters are bound."""
    if type(obj) is types.FunctionType:
        return obj, 0
    if type(obj) is types.MethodType:
        function = obj.__func__
        return (function, 1) if type(function) is types.FunctionType else None
    if genuine.is_kind(obj, type):
        for name in ("__init__", "__new__"):
            made_by = genuine.class_attribute(obj, name)
            made_by = made_by.__func__ if type(made_by) is staticmethod else made_by
            if type(made_by) is types.FunctionType:
                return made_by, 1
        return None
    call = genuine.class_attribute(type(obj), "__call__")
    return (call, 1) if type(call) is types.FunctionType else None


def _function_signature(function: types.FunctionType, skip: int) -> str:
    """The signature as the code object gives it: names, and defaults that are plain scalars."""
    code = function.__code__
    names = list(code.co_varnames)
    count, only = code.co_argcount, code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    parts: list[str] = []
    for n, name in enumerate(names[:count]):
        at = n - (count - len(defaults))
        parts.append(f"{name}={default_text(defaults[at], name)}" if at >= 0 else name)
        if n + 1 == code.co_posonlyargcount:
            parts.append("/")
    parts = _without_first(parts, skip)
    keywords: Mapping[str, Any] = function.__kwdefaults__ or {}
    after = count + only
    if code.co_flags & _VARARGS:
        parts.append(f"*{names[after]}")
        after += 1
    elif only:
        parts.append("*")
    for name in names[count : count + only]:
        parts.append(f"{name}={default_text(keywords[name], name)}" if name in keywords else name)
    if code.co_flags & _VARKEYWORDS:
        parts.append(f"**{names[after]}")
    return clip(f"({', '.join(parts)})", _LONGEST)[0]


def _without_first(parts: list[str], skip: int) -> list[str]:
    left = parts[skip:]
    return left[1:] if left[:1] == ["/"] else left


def default_text(value: Any, name: str) -> str:
    """A parameter's default that is a plain scalar, as Python writes it; ``…`` for others."""
    if hides(name, value):
        return repr(MASK)
    if type(value) not in _PLAIN or (type(value) is int and value.bit_length() > 256):
        return "…"
    return clip(repr(value[:60] if type(value) is str else value), 60)[0]
