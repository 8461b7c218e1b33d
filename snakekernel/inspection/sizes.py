"""Estimate of the memory an object holds, in bytes.

Rules: never runs user code (a class's own ``__sizeof__``, ``nbytes`` and properties are passed over), never
raises, and looks at a bounded number of objects however large the whole is: long containers are sampled
and the sample is scaled up, so the result is an estimate. Shared parts count once. Modules, classes and
functions are not followed: they are not the object's own.
"""

from __future__ import annotations

import array
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

from snakekernel.inspection import facts, genuine

#: Objects looked at for one estimate.
_VISITS: Final = 2_000

#: Elements sampled of one container.
_SAMPLE: Final = 100

#: Types without parts, most of what containers hold.
_ATOMS: Final = genuine.Table.of(type(None), bool, int, float, complex, str, bytes)

_NOT_FOLLOWED: Final = (
    range,  # makes its elements as they are asked for
    array.array,  # its own size includes its elements
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
    types.TracebackType,
)

#: ``__sizeof__`` written in C is a method descriptor; anything else is Python code of a class.
_C_METHOD: Final = type(object.__sizeof__)


def estimate(obj: Any, visits: int = _VISITS) -> int:
    """Bytes that ``obj`` and what it alone is made of occupy, roughly. Runs no user code.

    Args:
        visits: objects looked at, at most; fewer make it rougher.
    """
    seen: dict[int, Any] = {}  # holds what it saw: the id of a dead object may be another's
    total = 0.0
    # Each entry: an object and how many like it the sample stands for.
    todo: list[tuple[Any, float]] = [(obj, 1.0)]
    while todo and visits > 0:
        item, weight = todo.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item
        visits -= 1
        if type(item) in _ATOMS:
            total += weight * sys.getsizeof(item)
            continue
        try:
            known = _data_bytes(item)
            total += weight * (_shallow(item) if known is None else known)
            if known is None:
                todo.extend((part, weight * scale) for part, scale in _parts(item))
        except Exception:  # a half-built or concurrently changed object: it counts as nothing
            continue
    return int(total)


def _shallow(obj: Any) -> int:
    method = genuine.class_attribute(type(obj), "__sizeof__")
    read = method if type(method) is _C_METHOD else object.__sizeof__
    return int(read(obj)) + (16 if genuine.is_collected(type(obj)) else 0)


def _parts(obj: Any) -> Iterator[tuple[Any, float]]:
    if genuine.is_kind(obj, *_NOT_FOLLOWED):
        return
    if genuine.is_kind(obj, dict):
        pairs = genuine.dict_page(obj, 0, _SAMPLE)
        scale = dict.__len__(obj) / len(pairs) if pairs else 1.0
        for pair in pairs:
            yield pair[0], scale
            yield pair[1], scale
    else:
        sample = genuine.elements(obj, 0, _SAMPLE)
        length = facts.facts_of(obj).length or len(sample)
        for item in sample:
            yield item, length / len(sample)
    space = genuine.instance_dict(obj)
    if space is not None:
        yield space, 1.0
    for _, descriptor in genuine.slot_descriptors(type(obj)):
        try:
            yield descriptor.__get__(obj, type(obj)), 1.0
        except AttributeError:  # an empty slot
            continue


def _data_bytes(obj: Any) -> int | None:
    """Bytes of a data library's object, by the library's own count; ``None`` for other objects."""
    kind = facts.data_kind(obj)
    count = None if kind is None else _COUNT.get(kind)
    return None if count is None else count(obj)


def _array_bytes(obj: Any) -> int:
    return object.__sizeof__(obj) + _values_bytes(obj)


def _values_bytes(values: Any) -> int:
    """Bytes of a numpy array, with a sample of its objects, or of a pandas extension array."""
    ndarray = genuine.library("numpy")["ndarray"]
    if not genuine.is_kind(values, ndarray):
        return int(values.nbytes)
    plain = int(ndarray.nbytes.__get__(values))
    if not ndarray.dtype.__get__(values).hasobject:
        return plain
    sample = ndarray.view(values, ndarray).reshape(-1)[:_SAMPLE].tolist()
    if not sample:
        return plain
    each = sum(_shallow(item) for item in sample) / len(sample)
    return plain + int(each * int(ndarray.size.__get__(values)))


def _frame_bytes(obj: Any) -> int:
    blocks = facts.pandas_values(obj)
    return sum(_values_bytes(values) for values in blocks) + _index_bytes(obj.index)


def _index_bytes(obj: Any) -> int:
    held = facts.pandas_values(obj)
    return sum(_values_bytes(values) for values in held) if held else int(obj.nbytes)


def _nbytes(obj: Any) -> int:
    return int(obj.nbytes)


def _estimated_size(obj: Any) -> int:
    return int(obj.estimated_size())


_COUNT: Final[dict[str, Callable[[Any], int]]] = {
    "numpy.ndarray": _array_bytes,
    "numpy.generic": sys.getsizeof,
    "pandas.DataFrame": _frame_bytes,
    "pandas.Series": _frame_bytes,
    "pandas.Index": _index_bytes,
    "pyarrow.Table": _nbytes,
    "pyarrow.RecordBatch": _nbytes,
    "pyarrow.ChunkedArray": _nbytes,
    "pyarrow.Array": _nbytes,
    "polars.DataFrame": _estimated_size,
    "polars.Series": _estimated_size,
}
