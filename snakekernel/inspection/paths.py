"""Following a path without running user code, by the parts that ``children`` lists.

Rules: where plain reading ends (subclasses of containers, named tuples, data libraries) a step
still leads to the part that was listed under it; labels are compared by exact type and value, never by code
of a class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from snakekernel.inspection import facts, genuine, records
from snakekernel.inspection.steps import is_plain
from snakekernel.objects.static import MISSING
from snakekernel.wire.path import Attr, Item

#: Longest key that is compared, in characters, and in parts of a tuple.
_LONGEST: Final = 10_000
_LONGEST_TUPLE: Final = 16

#: Longer indexes are not searched for a label.
_SEARCHED: Final = 100_000


def part_of(obj: Any, step: Any) -> Any:
    """The part of ``obj`` that a step leads to, or MISSING where code of its class would have to say."""
    if not isinstance(step, Attr):
        found = _item(obj, step.key if isinstance(step, Item) else step)
        if found is not MISSING:
            return found
    name = step.name if isinstance(step, Attr) else step
    if isinstance(step, Item) or type(name) is not str:
        return MISSING
    fields = genuine.class_attribute(type(obj), "_fields")
    if genuine.is_kind(obj, tuple) and type(fields) is tuple and len(fields) == tuple.__len__(obj):
        return next((tuple.__getitem__(obj, n) for n, f in enumerate(fields) if _same(f, name)), MISSING)
    return MISSING


def _item(obj: Any, key: Any) -> Any:
    kind = facts.data_kind(obj)
    if kind is not None:
        try:
            return _READ.get(kind, _nothing)(obj, key)
        except Exception:  # a half-built object, or a number that is out of range
            return MISSING
    if genuine.is_kind(obj, dict):
        return next((value for other, value in genuine.dict_page(obj) if _same(other, key)), MISSING)
    fields = records.fields_of(obj)
    if fields is not None:
        return fields.get(key, MISSING) if type(key) is str else MISSING
    if type(key) is int and key >= 0:
        return next(iter(genuine.elements(obj, key, key + 1)), MISSING) if _is_indexed(obj) else MISSING
    return MISSING


def _is_indexed(obj: Any) -> bool:
    return genuine.is_kind(obj, tuple, *genuine.INDEXED)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if type(one) is tuple:
        return len(one) == len(other) <= _LONGEST_TUPLE and all(map(_same, one, other))
    return is_plain(one, _LONGEST) and bool(one == other)


def _nothing(obj: Any, key: Any) -> Any:
    return MISSING


def _position(labels: Any, key: Any) -> int:
    """Where the one label is; raises LookupError where there is none, or more than one."""
    if genuine.library_kind(labels, "pandas", "RangeIndex") and type(key) is int:
        return int(labels.get_loc(key))
    if len(labels) > _SEARCHED:
        raise LookupError(key)
    listed = labels if type(labels) is list else labels.tolist()
    places = [n for n, label in enumerate(listed) if _same(label, key)]
    if len(places) != 1:
        raise LookupError(key)
    return places[0]


def _array(obj: Any, key: Any) -> Any:
    ndarray = genuine.library("numpy")["ndarray"]
    plain = ndarray.view(obj, ndarray)
    is_field = type(key) is str and plain.dtype.names and key in plain.dtype.names
    return plain[key] if is_field or (type(key) is int and plain.ndim) else MISSING


def _frame(obj: Any, key: Any) -> Any:
    facts.pandas_values(obj)
    return obj.iloc[:, _position(obj.columns, key)]


def _series(obj: Any, key: Any) -> Any:
    facts.pandas_values(obj)
    return obj.iloc[_position(obj.index, key)]


def _element(obj: Any, key: Any) -> Any:
    return obj[key] if type(key) is int else MISSING


def _column(obj: Any, key: Any) -> Any:
    return obj.column(_position(list(obj.schema.names), key))


def _polars_column(obj: Any, key: Any) -> Any:
    return obj.get_column(key) if type(key) is str else MISSING


_READ: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "numpy.ndarray": _array,
    "pandas.DataFrame": _frame,
    "pandas.Series": _series,
    "pandas.Index": _element,
    "pyarrow.Table": _column,
    "pyarrow.RecordBatch": _column,
    "pyarrow.ChunkedArray": _element,
    "pyarrow.Array": _element,
    "polars.DataFrame": _polars_column,
    "polars.Series": _element,
}
