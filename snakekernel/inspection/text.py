"""The text of any object: a ladder of representations that cannot fail.

Rules
- First rung: scalars and containers of the built-in types are written here, by our own code, as far as
  the limit reaches: a list of ten million items costs what its first few cost, and cycles end.
- Second rung: ``repr`` of anything else, in bounded time. Data libraries shorten their own.
- Last rung: a text made of the type's name that says why (raised, no string, out of time).
- ``static`` leaves the second rung out: nothing then runs user code, on any thread.
- Texts under a name that means a secret, and what has the looks of one, are written as ``[secret]``.
- What comes out is an exact ``str`` that JSON can carry, at most ``limit`` characters long.
"""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import pathlib
import re
import types
import uuid
from collections.abc import Callable
from typing import Any, Final

from snakekernel.inspection import facts, genuine, records, timed
from snakekernel.inspection.budget import Clock
from snakekernel.inspection.secret_columns import secret_columns
from snakekernel.objects.secret_names import MASK, hides, meaning_of, scrubbed

_CUT: Final = "…"

#: More digits than this are not worth the quadratic time that decimal conversion takes.
_INT_BITS: Final = 4_096

#: Exact types whose ``repr`` is short and the standard library's own code.
_PLAIN: Final = genuine.Table.of(
    *(
        type(None),
        bool,
        float,
        complex,
        type(Ellipsis),
        type(NotImplemented),
        decimal.Decimal,
        fractions.Fraction,
        datetime.date,
        datetime.timedelta,
        datetime.timezone,
        uuid.UUID,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        type(pathlib.Path()),
        re.Pattern,
    )
)

_CLOCKS: Final = genuine.Table.of(datetime.datetime, datetime.time)
_OWN_ZONES: Final = genuine.Table.of(type(None), datetime.timezone)  # another tzinfo may be a user's class
_STRINGS: Final = genuine.Table.of(str, bytes, bytearray)

#: Opening and closing text of a container, by the ``__repr__`` that its class really has.
_BRACKETS: Final[genuine.Table[tuple[str, str]]] = genuine.Table(
    {
        list.__repr__: ("[", "]"),
        tuple.__repr__: ("(", ")"),
        dict.__repr__: ("{", "}"),
        set.__repr__: ("{", "}"),
        frozenset.__repr__: ("frozenset({", "})"),
        collections.deque.__repr__: ("deque([", "])"),
        collections.OrderedDict.__repr__: ("OrderedDict({", "})"),
        collections.defaultdict.__repr__: ("defaultdict({", "})"),
        array.array.__repr__: ("array([", "])"),
    }.items()
)


def clip(text: str, limit: int) -> tuple[str, bool]:
    """The text, cleaned and at most ``limit`` characters long, and whether anything was cut."""
    if str.__len__(text) <= limit:
        safe = genuine.clean(text)
        if len(safe) <= limit:
            return safe, False
        text = safe
    head = genuine.clean(str.__getitem__(text, slice(0, max(limit - 1, 0))))
    return head[: max(limit - 1, 0)] + _CUT[:limit], True


def nearest(label: Any, above: Any) -> Any:
    """The name that a part goes by: its own where that may mean a secret, else that of what it is part of."""
    return label if type(label) is str and meaning_of(label) != "harmless" else above


def object_text(obj: Any) -> str:
    """``<Model object>``: all that may be said without asking the object."""
    return f"<{genuine.type_name(type(obj))} object>"


class _Writer:
    """Collects the text of nested containers until ``limit`` characters are reached."""

    def __init__(self, limit: int, depth: int, leaf: Callable[[Any, int], tuple[str, bool]]) -> None:
        self.parts: list[str] = []
        self.room = limit
        self.depth = depth
        self.leaf = leaf
        self.truncated = self.masked = False
        self.open: set[int] = set()  # containers being written, by id: a cycle meets itself here

    def put(self, text: str) -> None:
        self.parts.append(text)
        self.room -= len(text)

    def write(self, obj: Any, depth: int, name: Any = None) -> None:
        if hides(name, obj):
            self.truncated = self.masked = True
            self.put(repr(MASK))
            return
        kind = genuine.class_attribute(type(obj), "__repr__")
        brackets = _BRACKETS.get(kind)
        if brackets is None:
            text, cut = self.leaf(obj, max(self.room, 1))
            self.truncated |= cut
            self.put(text)
            return
        opening, closing = self._brackets(obj, brackets)
        length = facts.facts_of(obj).length
        if length and (depth <= 0 or id(obj) in self.open):
            self.truncated |= id(obj) not in self.open
            self.put(f"{opening}{_CUT}{closing}")
            return
        self.put(opening)
        self.open.add(id(obj))
        try:
            self._items(obj, depth - 1, name)
        finally:
            self.open.discard(id(obj))
        self.put(",)" if length == 1 and kind is tuple.__repr__ else closing)

    def _brackets(self, obj: Any, brackets: tuple[str, str]) -> tuple[str, str]:
        if facts.facts_of(obj).length == 0 and genuine.is_kind(obj, set, frozenset):
            return f"{genuine.type_name(type(obj))}(", ")"
        if genuine.is_kind(obj, set) and type(obj) is not set:
            return f"{genuine.type_name(type(obj))}({{", "})"
        return brackets

    def _items(self, obj: Any, depth: int, name: Any) -> None:
        mapping = genuine.is_kind(obj, dict)
        # An item takes at least two characters, so no more than this many can fit.
        most = max(self.room, 2) // 2 + 1
        items: list[Any] = genuine.dict_page(obj, 0, most) if mapping else genuine.elements(obj, 0, most)
        for number, item in enumerate(items):
            if number:
                self.put(", ")
            if self.room <= 0:
                self.truncated = True
                self.put(_CUT)
                return
            if mapping:
                self.write(item[0], depth)
                self.put(": ")
                self.write(item[1], depth, nearest(item[0], name))
            else:
                self.write(item, depth, name)


def _static_scalar(obj: Any, limit: int) -> tuple[str, bool] | None:
    """The text of scalars, classes, functions and modules that needs no user code, or ``None``."""
    cls = type(obj)
    if cls in _PLAIN or (cls in _CLOCKS and type(obj.tzinfo) in _OWN_ZONES):
        return clip(repr(obj), limit)
    if facts.data_kind(obj) == "numpy.generic" and not genuine.library_kind(obj, "numpy", "void"):
        return clip(repr(obj), limit)
    if cls is int:
        bits = int.bit_length(obj)
        return clip(repr(obj) if bits <= _INT_BITS else f"<int of {bits} bits>", limit)
    if cls in _STRINGS:
        text, cut = clip(repr(obj[: limit + 1]), limit)
        return text, cut or len(obj) > limit
    if cls is range or (cls is slice and all(v is None or type(v) is int for v in _ends(obj))):
        return clip(repr(obj), limit)
    if genuine.is_kind(obj, type):
        return clip(f"<class '{genuine.qualified_name(obj)}'>", limit)
    if genuine.is_kind(obj, types.ModuleType):
        name = genuine.own(obj, "__name__")
        return clip(f"<module '{name}'>" if type(name) is str else object_text(obj), limit)
    if cls is types.FunctionType:
        return clip(f"<function {obj.__qualname__}>", limit)
    if cls is types.BuiltinFunctionType:
        return clip(f"<built-in function {obj.__name__}>", limit)
    if cls is types.MethodType:
        function = obj.__func__
        name = function.__qualname__ if type(function) is types.FunctionType else object_text(function)
        return clip(f"<bound method {name} of {object_text(obj.__self__)}>", limit)
    return None


def _ends(obj: Any) -> tuple[Any, Any, Any]:
    return obj.start, obj.stop, obj.step


def _static_record(obj: Any, limit: int) -> tuple[str, bool] | None:
    """``Prediction(answer='42')`` of what has named fields, ``<Predict question -> answer>`` of a program."""
    name = genuine.type_name(type(obj))
    fields = records.fields_of(obj)
    if fields is None:
        words = records.words_about(obj)
        return None if words is None else clip(f"<{name} {words}>", limit)
    writer = _Writer(limit, 1, lambda part, room: _static_scalar(part, room) or clip(object_text(part), room))
    writer.put(f"{name}(")
    for number, (field, value) in enumerate(genuine.dict_page(fields, 0, max(limit, 3) // 3)):
        writer.put(f"{', ' if number else ''}{field}=")
        writer.write(value, 1, field)
    writer.put(")")
    text, cut = clip("".join(writer.parts), limit)
    return text, cut or writer.truncated


def _static_other(obj: Any, limit: int) -> tuple[str, bool]:
    known = facts.facts_of(obj)
    if known.shape is None:
        return _static_record(obj, limit) or clip(object_text(obj), limit)
    shape = "x".join(str(n) for n in known.shape)
    words = [genuine.type_name(type(obj)), known.dtype or "", shape]
    return clip(f"<{' '.join(word for word in words if word)}>", limit)


class Texts:
    """Makes texts for one answer.

    Args:
        clock: the answer's time; ``None`` for the static mode.
        depth: levels of nested containers written out.
    """

    def __init__(self, clock: Clock | None, depth: int) -> None:
        self.clock = clock
        self.depth = depth
        #: Whether a secret was left out of one of them.
        self.masked = False

    def text(self, obj: Any, limit: int, name: Any = None) -> tuple[str, bool]:
        """The text of ``obj``, at most ``limit`` characters, and whether it was cut short.

        Args:
            name: what it goes by, which may mean that it is a secret.

        Raises:
            KeyboardInterrupt: a real interrupt while user code ran; nothing else.
        """
        return self._write(obj, limit, self._leaf, name)

    def outline(self, obj: Any, limit: int, name: Any = None) -> tuple[str, bool]:
        """As ``text``, but arrays and frames by dtype and shape only: for parts listed many at a time."""
        if facts.data_kind(obj) not in (None, "numpy.generic"):
            return _static_other(obj, limit)
        return self._write(obj, limit, self._leaf, name)

    def _write(
        self, obj: Any, limit: int, leaf: Callable[[Any, int], tuple[str, bool]], name: Any
    ) -> tuple[str, bool]:
        writer = _Writer(limit, self.depth, leaf)
        writer.write(obj, self.depth, name)
        text, cut = clip("".join(writer.parts), limit)
        if writer.masked:
            self.masked = True
        return text, cut or writer.truncated

    def without_secrets(self, text: str, cut: bool = False) -> tuple[str, bool]:
        """The text less what has the looks of a secret, and whether it is now not all there was."""
        clean = scrubbed(text)
        if clean is text:
            return text, cut
        self.masked = True
        return clean, True

    def _leaf(self, obj: Any, limit: int) -> tuple[str, bool]:
        plain = _static_scalar(obj, limit)
        if plain is not None:
            return self.without_secrets(*plain) if type(obj) in _STRINGS else plain
        if self.clock is None:
            return self.without_secrets(*_static_other(obj, limit))
        if secret_columns(obj):
            self.masked = True
            return _static_other(obj, limit)[0], True
        return self.without_secrets(*self._repr(obj, limit))

    def _repr(self, obj: Any, limit: int) -> tuple[str, bool]:
        assert self.clock is not None
        outcome = timed.attempt(lambda: repr(obj), self.clock.left())
        if outcome.ok and outcome.value is not None:
            return clip(outcome.value, limit)
        reason = "took too long" if outcome.timed_out else f"raised {outcome.error}"
        text, _ = clip(f"{object_text(obj)[:-1]}; its repr {reason}>", limit)
        return text, True
