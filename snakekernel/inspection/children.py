"""The parts an object is made of, as pages of labelled steps that a tree view or a path can follow.

Rules
- A child's ``key`` is a step of the data grammar that leads from the object to the child (``"a"``, ``0``,
  ``{"attr": "x"}``, ``{"item": "x"}``), or ``None`` where no step can name it (elements of a set, ambiguous
  labels).
- Parts are read past every override and only for the page asked for; no property, ``__getitem__``,
  ``__iter__`` or ``__getattr__`` of a user's class runs, and no iterator is consumed.
- With ``exact`` data libraries are asked only through their own classes; without, subclasses too, which may
  run their hooks: the caller bounds the time then.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
import types
from collections.abc import Callable, Sequence
from typing import Any, Final

from snakekernel.inspection import facts, genuine, library_children, records
from snakekernel.inspection.parts import Group, Part
from snakekernel.inspection.steps import attribute_step, item_step

#: Elements whose reading follows a foreign pointer, which may lead nowhere.
_POINTED: Final = (ctypes.c_char_p, ctypes.c_wchar_p, ctypes.py_object)


class _Probe(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int)]


#: The descriptor type of a ctypes field, which has no public name.
_FIELD: Final = type(_Probe.__dict__["x"])


def page(obj: Any, start: int, stop: int, *, exact: bool) -> tuple[list[Part], int]:
    """Parts ``start`` to ``stop`` of the object, and how many it has in all."""
    found: list[Part] = []
    total = 0
    for group in _groups(obj, exact):
        low, high = max(start - total, 0), min(stop - total, group.total)
        if low < high:
            found.extend(group.read(low, high))
        total += group.total
    return found, total


def items(obj: Any, count: int) -> tuple[list[Part], int]:
    """The first ``count`` elements of a built-in container or a subclass, and how many it has."""
    group = _sequence(obj)
    return ([], 0) if group is None else (group.read(0, min(count, group.total)), group.total)


def has_children(obj: Any) -> bool:
    """Whether the object has parts to show; runs no user code."""
    if type(obj) in _CHILDLESS:
        return False
    return any(group.total for group in _groups(obj, True))


_CHILDLESS: Final = genuine.Table.of(
    *(type(None), bool, int, float, complex, str, bytes, bytearray, types.BuiltinFunctionType)
)


def _groups(obj: Any, exact: bool) -> list[Group]:
    if type(obj) in _CHILDLESS:
        return []
    data = library_children.group(obj, exact=exact)
    if data is not None:
        return [data]
    return [group for make in _MAKERS if (group := make(obj)) is not None]


def _sequence(obj: Any) -> Group | None:
    make = _BY_TYPE.along(type(obj))
    return None if make is None else make(obj)


def _mapping_items(obj: Any) -> Group:
    def read(start: int, stop: int) -> list[Part]:
        return [Part(item_step(k, mapping=True), k, v, True) for k, v in genuine.dict_page(obj, start, stop)]

    return Group(dict.__len__(obj), read)


def _tuple_elements(obj: Any) -> Group:
    fields = genuine.class_attribute(type(obj), "_fields")
    named = type(fields) is tuple and all(type(name) is str for name in fields)
    if not (named and len(fields) == tuple.__len__(obj)):
        return _elements(obj)

    def read(start: int, stop: int) -> list[Part]:
        pairs = zip(fields[start:stop], genuine.elements(obj, start, stop), strict=False)
        return [Part(attribute_step(name), name, value) for name, value in pairs]

    return Group(len(fields), read)


def _elements(obj: Any) -> Group:
    def read(start: int, stop: int) -> list[Part]:
        found = genuine.elements(obj, start, stop)
        return [Part(n, n, value) for n, value in enumerate(found, start)]

    return Group(facts.facts_of(obj).length or 0, read)


def _members(obj: Any) -> Group:
    def read(start: int, stop: int) -> list[Part]:
        found = genuine.elements(obj, start, stop)
        return [Part(None, n, value) for n, value in enumerate(found, start)]

    return Group(facts.facts_of(obj).length or 0, read)


def _c_array(obj: Any) -> Group | None:
    kind = genuine.class_attribute(type(obj), "_type_")
    if any(kind is pointed for pointed in _POINTED):
        return None

    def read(start: int, stop: int) -> list[Part]:
        return [Part(n, n, ctypes.Array.__getitem__(obj, n)) for n in range(start, stop)]

    return Group(ctypes.Array.__len__(obj), read)


def _c_fields(obj: Any) -> Group:
    names: dict[str, Any] = {}
    for base in reversed(genuine.mro(type(obj))):
        declared: Any = genuine.class_dict(base).get("_fields_")
        for entry in declared if type(declared) is list or type(declared) is tuple else ():
            if _is_readable(entry):
                field = genuine.class_dict(base).get(entry[0])
                if type(field) is _FIELD:
                    names[entry[0]] = field
    pairs = list(names.items())

    def read(start: int, stop: int) -> list[Part]:
        return [Part(attribute_step(n), n, f.__get__(obj, type(obj))) for n, f in pairs[start:stop]]

    return Group(len(pairs), read)


def _is_readable(entry: Any) -> bool:
    if type(entry) is not tuple or len(entry) < 2 or type(entry[0]) is not str:
        return False
    return not any(entry[1] is pointed for pointed in _POINTED)


_BY_TYPE: Final[genuine.Table[Callable[[Any], Group | None]]] = genuine.Table(
    (
        (dict, _mapping_items),
        (tuple, _tuple_elements),
        (set, _members),
        (frozenset, _members),
        (ctypes.Array, _c_array),
        (ctypes.Structure, _c_fields),
        (ctypes.Union, _c_fields),
        *((cls, _elements) for cls in genuine.INDEXED),
    )
)


def _fields(obj: Any) -> Group | None:
    fields = records.fields_of(obj)
    if fields is None:
        return None

    def read(start: int, stop: int) -> list[Part]:
        return [Part(item_step(name), name, value) for name, value in genuine.dict_page(fields, start, stop)]

    return Group(len(fields), read)


def _attributes(obj: Any) -> Group | None:
    if genuine.is_kind(obj, types.MethodType):
        return None
    if genuine.is_kind(obj, enum.EnumMeta):
        members = genuine.own(obj, "_member_map_")
        pairs = genuine.dict_page(members) if type(members) is dict else []
        return _named([(name, value) for name, value in pairs if type(name) is str])
    hidden = genuine.is_kind(obj, type, types.ModuleType)
    listed = records.STORE if records.fields_of(obj) is not None else None
    own = genuine.own_attributes(obj)
    return _named([(n, v) for n, v in own if not (hidden and n.startswith("__")) and n != listed])


def _named(pairs: Sequence[tuple[str, Any]]) -> Group:
    def read(start: int, stop: int) -> list[Part]:
        chosen = itertools.islice(pairs, start, stop)
        return [Part(attribute_step(name), name, value) for name, value in chosen]

    return Group(len(pairs), read)


_MAKERS: Final = (_sequence, _fields, _attributes)
