"""What Python itself knows of an object, read without running any code of its class or metaclass.

Rules: only C descriptors of ``type`` are called; what would need a property, ``__getattr__`` or other code
of the object is :data:`NEEDS_CODE`, never guessed.
"""

from __future__ import annotations

import types
from typing import Any, Final

MISSING: Final = object()
NEEDS_CODE: Final = object()

_NAME: Final = type.__dict__["__name__"].__get__
_MODULE: Final = type.__dict__["__module__"].__get__
_MRO: Final = type.__dict__["__mro__"].__get__
_DICT: Final = type.__dict__["__dict__"].__get__

_C_DESCRIPTORS: Final = (types.GetSetDescriptorType, types.MemberDescriptorType)
#: Found in a class they are the methods that an instance has; to bind them runs C code only.
_FUNCTIONS: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


def is_exactly(obj: Any, *kinds: type) -> bool:
    """Whether the object's class is one of these; ``in`` would compare by the metaclass's own ``__eq__``."""
    return any(type(obj) is kind for kind in kinds)


def is_instance(obj: Any, kind: type) -> bool:
    """``isinstance`` that believes neither ``__class__`` nor ``__instancecheck__``."""
    return any(base is kind for base in _MRO(type(obj)))


def type_name(obj: Any) -> str:
    """Name of the object's class."""
    name: str = _NAME(type(obj))
    return name


def module_name(obj: Any) -> str:
    """Module of the object's class, ``"?"`` where it has none."""
    try:
        module = _MODULE(type(obj))
    except AttributeError:  # deleted from the class
        return "?"
    return module if is_exactly(module, str) else "?"


def attribute(obj: Any, name: str) -> Any:
    """The attribute as far as it can be read without running code; MISSING or NEEDS_CODE where it cannot."""
    cls = type(obj)
    found = _along(cls, name)
    if found is not MISSING and (_has(found, "__set__") or _has(found, "__delete__")):
        if not is_exactly(found, types.MemberDescriptorType):
            return NEEDS_CODE
        try:
            return found.__get__(obj, cls)
        except AttributeError:  # an empty slot
            return MISSING
    own = _own(obj, name)
    if own is not MISSING:
        return own
    if is_exactly(found, staticmethod):
        return found.__func__
    if is_exactly(found, classmethod):
        return _bound(found.__func__, cls)
    if is_exactly(found, *_FUNCTIONS):
        return _bound(found, obj)
    return found if found is MISSING or not _has(found, "__get__") else NEEDS_CODE


def _bound(function: Any, obj: Any) -> Any:
    """The method of ``obj`` that a function of its class is."""
    if is_exactly(function, types.FunctionType):
        return types.MethodType(function, obj)
    if is_exactly(function, types.MethodDescriptorType, types.WrapperDescriptorType):
        try:
            return function.__get__(obj, type(obj))
        except TypeError:  # taken from another class
            return function
    return function


def _along(cls: type, name: str) -> Any:
    for base in _MRO(cls):
        value = _DICT(base).get(name, MISSING)
        if value is not MISSING:
            return value
    return MISSING


def _has(value: Any, name: str) -> bool:
    return _along(type(value), name) is not MISSING


def _own(obj: Any, name: str) -> Any:
    """An entry of the instance's true ``__dict__``; of a class, what its instances would find."""
    if is_instance(obj, type):
        found = _along(obj, name)
        if is_exactly(found, staticmethod, classmethod):
            return found.__func__
        # A descriptor read through its class runs its code.
        return NEEDS_CODE if _has(found, "__get__") and not is_exactly(found, *_FUNCTIONS) else found
    descriptor = _along(type(obj), "__dict__")
    if not is_exactly(descriptor, *_C_DESCRIPTORS):
        return MISSING
    space = descriptor.__get__(obj, type(obj))
    return dict.get(space, name, MISSING) if is_instance(space, dict) else MISSING
