"""Length, shape and dtype of an object, where they are known without running user code.

Rules: built-in containers are measured by their C slots, past any override. Objects of the data
libraries are asked only if their class is the library's own, by identity; nothing is imported. Subclasses,
whose hooks would be user code, count as such only with ``exact=False`` (numpy arrays always: they are read
by C code). User types' ``__len__`` is run by the describer, in bounded time, never here.
"""

from __future__ import annotations

import array
import collections
import ctypes
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from snakekernel.inspection import genuine

#: Built-in containers and the C function that measures them and their subclasses.
_LENGTH: Final[genuine.Table[Callable[[Any], int]]] = genuine.Table(
    (cls, cls.__len__)
    for cls in (
        *(str, bytes, bytearray, list, tuple, dict, set, frozenset, range),
        *(collections.deque, array.array, ctypes.Array),
    )
)

#: Library classes whose shape, dtype and children are understood.
DATA_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "numpy": ("ndarray", "generic"),
    "pandas": ("DataFrame", "Series", "Index"),
    "pyarrow": ("Table", "RecordBatch", "ChunkedArray", "Array"),
    "polars": ("DataFrame", "Series"),
}

#: Libraries whose classes are asked for their ``shape`` and ``dtype`` in bounded time.
SHAPED_LIBRARIES: Final = frozenset({"torch", "scipy", "jax", "tensorflow", "xarray", "cupy", "dask"})

#: What most objects are; looked up before their classes' modules are.
_OF_NO_LIBRARY: Final = genuine.Table.of(
    *(type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range),
    *(type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
)

#: Greatest integer that plain JSON carries exactly.
_GREATEST: Final = 2**53


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known; ``None`` means unknown or not applicable. ``shape`` counts elements per axis."""

    length: int | None = None
    shape: list[int] | None = None
    dtype: str | None = None


def data_kind(obj: Any, *, exact: bool = True) -> str | None:
    """``"numpy.ndarray"``, ``"pandas.DataFrame"``, … if the object is one of ``DATA_CLASSES``."""
    return kind_of(type(obj), exact=exact)


def kind_of(cls: type, *, exact: bool = True) -> str | None:
    """As ``data_kind``, for the instances of a class."""
    if cls in _OF_NO_LIBRARY:
        return None
    roots = {genuine.module_name(base).partition(".")[0] for base in genuine.mro(cls)}
    for root in roots & DATA_CLASSES.keys():
        found = genuine.library_class(cls, root, *DATA_CLASSES[root])
        if found is None:
            continue
        if exact and found != "ndarray" and not genuine.is_librarys_own(cls, root):
            return None
        return f"{root}.{found}"
    return None


def pandas_values(obj: Any) -> list[Any]:
    """The arrays that a pandas object keeps its data in, read without any of its properties.

    Raises:
        TypeError: one of them is of a class that is neither numpy's nor pandas' own.
    """
    manager, data = genuine.own(obj, "_mgr"), genuine.own(obj, "_data")
    held = [] if data is None else [data]
    if manager is not None:
        held = [block.values for block in manager.blocks]
    for values in held:
        if not any(genuine.is_librarys_own(type(values), root) for root in ("numpy", "pandas")):
            raise TypeError(f"holds a {genuine.qualified_name(type(values))}")
    return held


def facts_of(obj: Any, *, exact: bool = True) -> Facts:
    """The facts of any object; never raises, imports nothing."""
    measure = _LENGTH.along(type(obj))
    if measure is not None:
        return Facts(length=bounded_length(measure(obj)))
    kind = data_kind(obj, exact=exact)
    if kind is None:
        return Facts()
    try:
        return _READ[kind](obj)
    except Exception:  # a half-built or concurrently changed object of the library
        return Facts()


def asked(obj: Any) -> Facts:
    """As ``facts_of``, asking the object itself: user code, whose time and errors the caller bounds."""
    known = facts_of(obj, exact=False)
    if known != Facts():
        return known
    root = genuine.module_name(type(obj)).partition(".")[0]
    if root in SHAPED_LIBRARIES and genuine.library(root):
        shape = [int(n) for n in obj.shape]
        dtype = getattr(obj, "dtype", None)
        return Facts(shape[0] if shape else None, shape, None if dtype is None else genuine.clean(str(dtype)))
    if genuine.class_attribute(type(obj), "__len__") is None:
        return known
    return Facts(length=bounded_length(len(obj)))


def may_be_asked(obj: Any) -> bool:
    """Whether ``asked`` could know more of the object than ``facts_of``."""
    roots = {genuine.module_name(base).partition(".")[0] for base in genuine.mro(type(obj))}
    sized = genuine.class_attribute(type(obj), "__len__") is not None
    return sized or not roots.isdisjoint(SHAPED_LIBRARIES | DATA_CLASSES.keys())


def bounded_length(length: int) -> int | None:
    return length if 0 <= length <= _GREATEST else None


def _array(obj: Any) -> Facts:
    ndarray = genuine.library("numpy")["ndarray"]
    shape = [int(n) for n in ndarray.shape.__get__(obj)]
    return Facts(shape[0] if shape else None, shape, genuine.clean(str(ndarray.dtype.__get__(obj))))


def _numpy_scalar(obj: Any) -> Facts:
    return Facts(None, [], genuine.clean(str(obj.dtype)))


def _pandas_axes(obj: Any) -> list[int]:
    axes = list(obj.axes)
    if not all(genuine.is_librarys_own(type(axis), "pandas") for axis in axes):
        raise TypeError("an index of a user's own class")
    return [len(axis) for axis in axes]


def _frame(obj: Any) -> Facts:
    shape = _pandas_axes(obj)
    return Facts(shape[0], shape, None)


def _series(obj: Any) -> Facts:
    shape = _pandas_axes(obj)
    return Facts(shape[0], shape, _dtype_text(obj.dtype))


def _index(obj: Any) -> Facts:
    length = len(obj)
    return Facts(length, [length], _dtype_text(obj.dtype))


def _dtype_text(dtype: Any) -> str | None:
    own = any(genuine.is_librarys_own(type(dtype), root) for root in ("numpy", "pandas"))
    return genuine.clean(str(dtype)) if own else None


def _arrow_table(obj: Any) -> Facts:
    return Facts(obj.num_rows, [obj.num_rows, obj.num_columns], None)


def _arrow_array(obj: Any) -> Facts:
    return Facts(len(obj), [len(obj)], genuine.clean(str(obj.type)))


def _polars_frame(obj: Any) -> Facts:
    return Facts(obj.height, [obj.height, obj.width], None)


def _polars_series(obj: Any) -> Facts:
    return Facts(len(obj), [len(obj)], genuine.clean(str(obj.dtype)))


_READ: Final[dict[str, Callable[[Any], Facts]]] = {
    "numpy.ndarray": _array,
    "numpy.generic": _numpy_scalar,
    "pandas.DataFrame": _frame,
    "pandas.Series": _series,
    "pandas.Index": _index,
    "pyarrow.Table": _arrow_table,
    "pyarrow.RecordBatch": _arrow_table,
    "pyarrow.ChunkedArray": _arrow_array,
    "pyarrow.Array": _arrow_array,
    "polars.DataFrame": _polars_frame,
    "polars.Series": _polars_series,
}
