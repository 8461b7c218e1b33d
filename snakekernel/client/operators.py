"""Python's operators on what is an object of the kernel: each becomes a call of the function it stands for.

Rules: every operator gives what the kernel gives, ``==`` too. Those whose result Python itself wants at once
(``len``, ``bool``, ``int`` and the like) are the blocking client's alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final

_BINARY: Final = (
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "or",
    "xor",
)
_COMPARISONS: Final = ("lt", "le", "eq", "ne", "gt", "ge")
#: By the special method's name, without underscores: the function called with the object alone.
_UNARY: Final = {
    "neg": "operator.neg",
    "pos": "operator.pos",
    "invert": "operator.invert",
    "abs": "builtins.abs",
    "trunc": "math.trunc",
    "floor": "math.floor",
    "ceil": "math.ceil",
    "reversed": "builtins.reversed",
}
#: The same, of those whose value is needed here and now.
_AT_ONCE: Final = {
    "len": "builtins.len",
    "bool": "operator.truth",
    "int": "builtins.int",
    "float": "builtins.float",
    "complex": "builtins.complex",
    "index": "operator.index",
    "bytes": "builtins.bytes",
}


class Operators(ABC):
    """The operators; how a function is called with their operands is the subclass's own."""

    __slots__ = ()

    #: numpy leaves an operator with one of these on its other side to it.
    __array_ufunc__: ClassVar[None] = None

    @abstractmethod
    def _apply(self, function: str, *args: Any) -> Any:
        """What a function of the kernel gives; operands that are objects there are among ``args``."""

    @abstractmethod
    def _now(self, function: str, *args: Any) -> Any:
        """The same as a value, here and now; raises TypeError where it cannot be had."""

    @abstractmethod
    def _in_place(self, function: str, other: Any) -> Any:
        """What stands for this object after ``obj += other``."""

    def __divmod__(self, other: Any) -> Any:
        return self._apply("builtins.divmod", self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return self._apply("builtins.divmod", other, self)

    def __round__(self, digits: int | None = None) -> Any:
        return self._apply("builtins.round", self, digits)

    def __format__(self, spec: str) -> str:
        return str(self._now("builtins.format", self, spec)) if spec else str(self)

    def __contains__(self, item: Any) -> bool:
        return bool(self._now("operator.contains", self, item))


def _binary(function: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._apply(function, self, other)


def _reflected(function: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._apply(function, other, self)


def _in_place(function: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._in_place(function, other)


def _unary(function: str) -> Callable[[Any], Any]:
    return lambda self: self._apply(function, self)


def _at_once(function: str) -> Callable[[Any], Any]:
    return lambda self: self._now(function, self)


def _define(name: str, method: Callable[..., Any]) -> None:
    method.__name__ = f"__{name}__"
    method.__qualname__ = f"{Operators.__qualname__}.__{name}__"
    setattr(Operators, method.__name__, method)


for _name in _BINARY:
    # Two of them are keywords, which the module spells with an underscore.
    _function = f"operator.{_name}_" if _name in ("and", "or") else f"operator.{_name}"
    _define(_name, _binary(_function))
    _define(f"r{_name}", _reflected(_function))
    _define(f"i{_name}", _in_place(f"operator.i{_name}"))
for _name in _COMPARISONS:
    _define(_name, _binary(f"operator.{_name}"))
for _name, _function in _UNARY.items():
    _define(_name, _unary(_function))
for _name, _function in _AT_ONCE.items():
    _define(_name, _at_once(_function))
