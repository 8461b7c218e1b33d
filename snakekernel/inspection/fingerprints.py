"""Small numbers that tell whether an object was changed in place, without running any code of its class.

Rules: microseconds for any object, however large: long ones are sampled, so a change in the middle of a big
array or dict may go unseen until another one is. What did not change always gives the same number within
one process, as long as the object lives.
"""

from __future__ import annotations

import types
import weakref
import zlib
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, NamedTuple

from snakekernel.inspection import facts, genuine

#: Elements of a container looked at in full; of longer ones as many are sampled.
_MOST: Final = 500
#: Parts of which the length is looked at as well.
_NESTED: Final = 64
#: Characters and bytes looked at, at either end.
_ENDS: Final = 256
#: Bytes of an array looked at in full; elements sampled of a longer one.
_BYTES: Final = 4_096
_ELEMENTS: Final = 256
#: Blocks and columns of a frame looked at.
_BLOCKS: Final = 32

#: Values that cannot change; what they are says it all. ``bool`` and ``None`` are known by their identity.
_NUMBERS: Final = genuine.Table.of(int, float, complex)
_LENGTHS: Final[genuine.Table[Callable[[Any], int]]] = genuine.Table(
    (cls, cls.__len__) for cls in (list, dict, set, bytearray)
)


def fingerprint(obj: Any) -> int:
    """The number; never raises."""
    cls = type(obj)
    if cls is str or cls is bytes:
        return hash((obj[:_ENDS], obj[-_ENDS:], len(obj)))
    if cls in _NUMBERS:
        return hash(obj)
    plan = _plans.get(id(cls))
    if plan is None or plan.cls() is not cls:
        plan = _planned(cls)
    try:
        return hash((id(obj), 0 if plan.read is None else plan.read(obj), _state(obj, plan)))
    except Exception:  # a half-built object, or one that another thread changes meanwhile
        return id(obj)


class _Plan(NamedTuple):
    """How objects of one class are looked at: by what is in them, their ``__dict__``, their slots."""

    cls: weakref.ref[type]
    read: Callable[[Any], int] | None
    space: Callable[[Any], Any] | None
    slots: tuple[Callable[[Any], Any], ...]


#: By the class's identity, which another may have after its end; asking a class for its hash may run code.
_plans: Final[dict[int, _Plan]] = {}
_MOST_PLANS: Final = 1_000


def _planned(cls: type) -> _Plan:
    read = _READ.along(cls)
    kind = facts.kind_of(cls, exact=False) if read is None else None
    if kind is not None:
        # Of polars' subclasses the methods may be overridden.
        is_safe = not kind.startswith("polars.") or facts.kind_of(cls) is not None
        read = _LIBRARY.get(kind) if is_safe else None
        space, slots = None, ()
    else:
        space = next(
            (
                found.__get__
                for base in genuine.mro(cls)
                if type(found := genuine.class_dict(base).get("__dict__")) is types.GetSetDescriptorType
            ),
            None,
        )
        slots = tuple(slot.__get__ for _, slot in genuine.slot_descriptors(cls))
    if len(_plans) >= _MOST_PLANS:
        _plans.clear()
    plan = _plans[id(cls)] = _Plan(weakref.ref(cls), read, space, slots)
    return plan


def _state(obj: Any, plan: _Plan) -> int:
    """Of the instance's own attributes, one level deep."""
    space = None if plan.space is None else plan.space(obj)
    own = _mapping(space) if genuine.is_kind(space, dict) else 0
    return hash((own, *(_slot(obj, read) for read in plan.slots))) if plan.slots else own


def _slot(obj: Any, read: Callable[[Any], Any]) -> int:
    try:
        return _mark(read(obj))
    except AttributeError:  # empty
        return 0


def _mark(value: Any) -> int:
    """Of a part: what it is, and how long where that may change."""
    cls = type(value)
    if cls in _NUMBERS:
        return hash(value)
    measure = _LENGTHS.get(cls)
    return id(value) if measure is None else hash((id(value), measure(value)))


def _mapping(obj: Any) -> int:
    size = dict.__len__(obj)
    if size <= _MOST:
        keys, values = list(dict.keys(obj)), list(dict.values(obj))
    else:
        pairs = [*islice(dict.items(obj), _MOST // 2), *islice(reversed(dict.items(obj)), _MOST // 2)]
        keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    return hash((size, tuple(map(id, keys)), _parts(values)))


def _sequence(obj: Any) -> int:
    if type(obj) is list and len(obj) <= _MOST:
        return hash((len(obj), _parts(obj.copy())))
    size = facts.facts_of(obj).length or 0
    if not genuine.is_kind(obj, list):
        # Others are walked through from their beginning.
        return hash((size, _parts(genuine.elements(obj, 0, _MOST))))
    step = size // _MOST + 1
    tail = list.__getitem__(obj, slice(size - _NESTED, size))
    return hash((size, _parts([*list.__getitem__(obj, slice(0, size, step)), *tail])))


def _parts(values: list[Any]) -> int:
    if len(values) <= _NESTED:
        return hash(tuple(map(_mark, values)))
    return hash((tuple(map(id, values)), tuple(map(_mark, values[:_NESTED]))))


def _bytes(obj: Any) -> int:
    with memoryview(obj) as view:
        return hash((view.nbytes, bytes(view[:_BYTES]), bytes(view[-_BYTES:])))


_READ: Final[genuine.Table[Callable[[Any], int]]] = genuine.Table(
    (
        (dict, _mapping),
        (bytearray, _bytes),
        *((cls, _sequence) for cls in (list, set, *genuine.INDEXED[2:])),
        *((cls, id) for cls in (str, bytes, int, float, complex, tuple, frozenset, range)),
    )
)


def _array(obj: Any) -> int:
    ndarray = genuine.library("numpy")["ndarray"]
    plain = obj if type(obj) is ndarray else ndarray.view(obj, ndarray)
    place = (plain.shape, plain.dtype.num, plain.__array_interface__["data"][0])
    if plain.nbytes <= _BYTES:
        return hash((place, plain.tobytes()))
    flat = plain.reshape(-1) if plain.flags.c_contiguous else plain.flat
    step = plain.size // _ELEMENTS + 1
    # Copies of the sampled elements alone; of objects these are their addresses.
    return hash((place, zlib.crc32(flat[::step].tobytes()), flat[-8:].tobytes()))


def _frame(obj: Any) -> int:
    manager = genuine.own(obj, "_mgr")
    blocks = manager.blocks[:_BLOCKS]
    axes = tuple(map(id, manager.axes))
    return hash((id(manager), axes, len(manager.blocks), tuple(_values(block.values) for block in blocks)))


def _values(values: Any) -> int:
    """Of an array of pandas': numpy's, or an extension's with the arrays that it holds."""
    ndarray = genuine.library("numpy")["ndarray"]
    if type(values) is ndarray:
        return _array(values)
    if not genuine.is_librarys_own(type(values), "pandas"):
        return id(values)
    held = [getattr(values, name, None) for name in ("_ndarray", "_data", "_mask", "_pa_array")]
    return hash((id(values), *(_array(part) if type(part) is ndarray else id(part) for part in held)))


def _polars_frame(obj: Any) -> int:
    columns = obj.get_columns()[:_BLOCKS]
    return hash((obj.height, obj.width, tuple(map(_polars_series, columns))))


def _polars_series(obj: Any) -> int:
    place: tuple[Any, ...] = ()
    try:
        place = obj._get_buffer_info()
    except Exception:  # a type of several buffers
        pass
    length = len(obj)
    ends = [_mark(obj[n]) for n in (0, length // 2, length - 1)] if length else []
    return hash((length, obj.name, place, tuple(ends)))


_LIBRARY: Final[dict[str, Callable[[Any], int]]] = {
    "numpy.ndarray": _array,
    "pandas.DataFrame": _frame,
    "pandas.Series": _frame,
    "polars.DataFrame": _polars_frame,
    "polars.Series": _polars_series,
}
