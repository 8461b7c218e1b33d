"""Which objects are functions to be lent, where they have no lossless form."""

from __future__ import annotations


def lendable(kind: type) -> bool:
    """Whether objects of a type can be called, and are no classes."""
    mro = type.__dict__["__mro__"].__get__(kind)
    return type not in mro and any("__call__" in type.__dict__["__dict__"].__get__(cls) for cls in mro)
