"""What Python itself knows of an object, read past everything a class can override.

Rules: nothing here runs user code. Only C descriptors of ``type``, ``object`` and the built-in
containers are called, never a look-up that a metaclass, ``__getattribute__``, ``__class__``, a property
or an overridden container method could answer. Every name handed out is an exact ``str`` without lone
surrogates, fit for JSON.
"""

from __future__ import annotations

import array
import collections
import itertools
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")


class Table(Generic[T]):
    """Values by class (or slot wrapper), looked up by identity.

    Hashing or comparing a class, as a dict or ``in`` does, may run its metaclass.
    """

    def __init__(self, entries: Iterable[tuple[Any, T]]) -> None:
        self._entries = tuple(entries)  # keeps the classes alive, so that no id is used again
        self._by_id = {id(key): value for key, value in self._entries}

    @classmethod
    def of(cls, *keys: Any) -> Table[bool]:
        """A table that only tells which classes are in it."""
        return Table((key, True) for key in keys)

    def __contains__(self, key: Any) -> bool:
        return id(key) in self._by_id

    def get(self, key: Any) -> T | None:
        return self._by_id.get(id(key))

    def along(self, cls: type) -> T | None:
        """The value of the first class along the true MRO that has one."""
        return next((self._by_id[id(base)] for base in mro(cls) if id(base) in self._by_id), None)


_NAME: Final = type.__dict__["__name__"].__get__
_QUALNAME: Final = type.__dict__["__qualname__"].__get__
_MODULE: Final = type.__dict__["__module__"].__get__
_MRO: Final = type.__dict__["__mro__"].__get__
_FLAGS: Final = type.__dict__["__flags__"].__get__
_CLASS_DICT: Final = type.__dict__["__dict__"].__get__

#: Descriptors written in C: reading through them runs no Python code of a class.
_C_DESCRIPTORS: Final = Table.of(types.GetSetDescriptorType, types.MemberDescriptorType)

#: Built-in sequences and sets and how C code iterates over them and their subclasses.
_ITERATE: Final[Table[Callable[[Any], Iterator[Any]]]] = Table(
    (cls, cls.__iter__) for cls in (list, tuple, set, frozenset, range, collections.deque, array.array)
)

#: Those of them whose elements have positions.
INDEXED: Final = (list, range, collections.deque, array.array)

#: Names of classes and modules are cut at this length: they too can be hostile.
_LONGEST_NAME: Final = 500

#: Members that C types keep for the interpreter.
_HIDDEN_MEMBERS: Final = frozenset(
    {"__dict__", "__weakref__", "__dictoffset__", "__weaklistoffset__", "__vectorcalloffset__"}
)


def clean(text: str) -> str:
    """The text as an exact ``str`` that UTF-8 can carry; lone surrogates become ``\\udXXX`` escapes."""
    exact = str.__str__(text)
    try:
        exact.encode("utf-8")
    except UnicodeEncodeError:
        return exact.encode("utf-8", "backslashreplace").decode("utf-8")
    return exact


def mro(cls: type) -> tuple[type, ...]:
    """The true method resolution order."""
    found: tuple[type, ...] = _MRO(cls)
    return found


def is_kind(obj: Any, *kinds: type) -> bool:
    """``isinstance`` that neither believes ``__class__`` nor runs ``__instancecheck__``."""
    for base in _MRO(type(obj)):
        for kind in kinds:
            if base is kind:
                return True
    return False


def type_name(cls: type) -> str:
    return clean(_NAME(cls))[:_LONGEST_NAME]


def qualified_name(cls: type) -> str:
    """``module.Qual.name``, without the module for built-ins."""
    module, name = module_name(cls), clean(_QUALNAME(cls))
    return name[:_LONGEST_NAME] if module == "builtins" else f"{module}.{name}"[:_LONGEST_NAME]


def module_name(cls: type) -> str:
    try:
        module = _MODULE(cls)
    except AttributeError:  # deleted from the class
        return "?"
    return clean(module)[:_LONGEST_NAME] if is_kind(module, str) else "?"


def class_dict(cls: type) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _CLASS_DICT(cls)
    return found


def settled(read: Callable[[], T], default: T) -> T:
    """Call ``read``, again if another thread resized what it iterates over."""
    for _ in range(5):
        try:
            return read()
        except RuntimeError:  # "dictionary changed size during iteration"
            continue
    return default


def class_items(cls: type) -> list[tuple[str, Any]]:
    """A copy of the class's own namespace, in its order."""
    nothing: list[tuple[str, Any]] = []
    return settled(lambda: list(class_dict(cls).items()), nothing)


def class_attribute(cls: type, name: str, default: Any = None) -> Any:
    """The raw attribute found along the true MRO, descriptors unevaluated."""
    for base in mro(cls):
        space = class_dict(base)
        if name in space:
            return space[name]
    return default


def instance_dict(obj: Any) -> dict[str, Any] | None:
    """The true instance ``__dict__``, or ``None``. For a class: a copy of its own namespace."""
    if is_kind(obj, type):
        return dict(class_items(obj))
    for base in mro(type(obj)):
        descriptor: Any = class_dict(base).get("__dict__")
        if type(descriptor) in _C_DESCRIPTORS:  # a Python property named __dict__ is passed over
            try:
                found = descriptor.__get__(obj, type(obj))
            except Exception:  # a C type without a dict of its own at this level
                continue
            return found if is_kind(found, dict) else None
    return None


def own(obj: Any, name: str) -> Any:
    """The entry ``name`` of the true instance ``__dict__``, or ``None``."""
    space = instance_dict(obj)
    return None if space is None else dict.get(space, name)


def dict_page(obj: dict[Any, Any], start: int = 0, stop: int | None = None) -> list[tuple[Any, Any]]:
    """Items ``start`` to ``stop`` of a dict or dict subclass, by the built-in iteration."""
    # An OrderedDict keeps its own order; both views are C code whatever the subclass overrides.
    ordered = is_kind(obj, collections.OrderedDict)
    view = collections.OrderedDict.items if ordered else dict.items
    return settled(lambda: list(itertools.islice(view(obj), start, stop)), [])  # type: ignore[arg-type]


def elements(obj: Any, start: int = 0, stop: int | None = None) -> list[Any]:
    """Elements ``start`` to ``stop`` of a built-in sequence or set, or a subclass; else an empty list.

    Iterates by the built-in type's own C code, whatever the subclass overrides.
    """
    nothing: list[Any] = []
    iterate = _ITERATE.along(type(obj))
    if iterate is None:
        return nothing
    return settled(lambda: list(itertools.islice(iterate(obj), start, stop)), nothing)


def slot_descriptors(cls: type) -> Iterator[tuple[str, Any]]:
    """Name and C descriptor of every ``__slots__`` entry along the MRO."""
    seen: set[str] = set()
    for base in mro(cls):
        if not is_heap_type(base):
            continue  # member descriptors of C types are their own business, not the instance's state
        for name, value in class_items(base):
            if type(value) is types.MemberDescriptorType and name not in seen:
                seen.add(name)
                if name not in _HIDDEN_MEMBERS:
                    yield name, value


def is_heap_type(cls: type) -> bool:
    """Whether the class was made at run time (by a ``class`` statement, mostly)."""
    return bool(_FLAGS(cls) & (1 << 9))


def is_collected(cls: type) -> bool:
    """Whether instances carry the garbage collector's header."""
    return bool(_FLAGS(cls) & (1 << 14))


def own_attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of the instance's own state: ``__dict__`` in its order, then filled slots.

    Properties, ``__getattr__`` and ``__dir__`` play no part. Values are references, not copies.
    """
    space = instance_dict(obj)
    if space is not None:
        for name, value in dict_page(space):
            if is_kind(name, str):
                yield str.__str__(name), value
    if is_kind(obj, type):
        return
    for name, descriptor in slot_descriptors(type(obj)):
        if space is not None and dict.__contains__(space, name):
            continue
        try:
            yield name, descriptor.__get__(obj, type(obj))
        except AttributeError:  # an empty slot
            continue


def attribute_names(obj: Any) -> Iterator[str]:
    """Own attribute names first, then the public names of the classes, each once.

    Of a class or module the names with two leading underscores are left out.
    """
    seen: set[str] = set()
    spared = is_kind(obj, type, types.ModuleType)
    for name, _ in own_attributes(obj):
        if name not in seen and not (spared and name.startswith("__")):
            seen.add(name)
            yield clean(name)
    bases = mro(obj) if is_kind(obj, type) else mro(type(obj))
    for base in bases:
        for name, _ in class_items(base):
            if is_kind(name, str) and not str.startswith(name, "_") and name not in seen:
                seen.add(name)
                yield clean(name)


def library(name: str) -> Mapping[str, Any]:
    """The namespace of an already imported module; empty if it is not imported."""
    module = sys.modules.get(name)
    space = instance_dict(module) if is_kind(module, types.ModuleType) else None
    return space if space is not None else {}


def library_kind(obj: Any, root: str, *names: str) -> str | None:
    """Which of ``root``'s classes ``names`` the object is an instance of, or ``None``.

    Compared by identity with the imported library's own classes: a class that only calls itself
    ``numpy.ndarray`` is none. Imports nothing.
    """
    return library_class(type(obj), root, *names)


def library_class(cls: type, root: str, *names: str) -> str | None:
    """As ``library_kind``, for the instances of a class."""
    space = library(root)
    if not space:
        return None
    ancestry = mro(cls)
    for name in names:
        known = space.get(name)
        if known is not None and any(base is known for base in ancestry):
            return name
    return None


def is_librarys_own(cls: type, root: str) -> bool:
    """Whether the class is what the imported library holds under the class's module and name."""
    module = module_name(cls)
    if module.partition(".")[0] != root:
        return False
    return library(module).get(type_name(cls)) is cls


def first(items: Iterable[T], count: int) -> tuple[list[T], int]:
    """The first ``count`` of the items, and how many there are in all."""
    iterator = iter(items)
    head = list(itertools.islice(iterator, count))
    return head, len(head) + sum(1 for _ in iterator)


def one_of_each_type(objects: Sequence[T]) -> list[T]:
    """One of the objects for each of their types."""
    return list(dict(zip(map(id, map(type, objects)), objects, strict=True)).values())
