"""Which viewer suits an object, told without running any of its code.

Rules: a hint, decided by true classes, shapes and a bounded look at a container's first elements; in doubt
a tree of parts. What suits best may still be refused by the operation behind it (a list of which only the
tail is no table), which a viewer shows as an error.
"""

from __future__ import annotations

import functools
import types
from typing import Any, Final, Literal

from snakekernel.inspection import facts, genuine
from snakekernel.inspection.steps import is_plain

View = Literal["table", "tree", "image", "figure", "text", "callable", "scalar", "object"]

_TEXTS: Final = (str, bytes, bytearray)
_NUMBERS: Final = (int, float, complex)
_CONTAINERS: Final = (dict, list, tuple, set, frozenset, *genuine.INDEXED)
_CALLABLES: Final = genuine.Table.of(
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    functools.partial,
    type(functools.lru_cache(len)),
)

#: Methods by which a class says that it shows itself as an image.
_SHOWN: Final = ("_repr_png_", "_repr_jpeg_", "_repr_svg_")

#: Elements of a container looked at.
_LOOKED_AT: Final = 20
#: Columns of a dict beyond which it is a tree.
_MOST_COLUMNS: Final = 1_000

_CHANNELS: Final = (3, 4)
#: Pixels from which on an array of three axes is an image rather than numbers.
_SMALLEST: Final = 8

#: Keys by which an entry of a DSPy history is known; its prompts and outputs read better one by one.
_HISTORY: Final = frozenset({"messages", "outputs"})


def view_of(obj: Any) -> View:
    """The viewer that suits ``obj`` best; never raises."""
    cls = type(obj)
    if genuine.is_kind(obj, *_TEXTS):
        return "text"
    if is_plain(obj, 0) or genuine.is_kind(obj, *_NUMBERS):
        return "scalar"
    if cls in _CALLABLES or genuine.is_kind(obj, type):
        return "callable"
    kind = facts.data_kind(obj)
    if kind is not None:
        return _of_data(obj, kind)
    if genuine.is_kind(obj, *_CONTAINERS):
        return "table" if _is_table(obj) else "tree"
    if genuine.library_kind(obj, "matplotlib.figure", "Figure") or genuine.library_kind(
        obj, "matplotlib.axes", "Axes"
    ):
        return "figure"
    if genuine.library_kind(obj, "PIL.Image", "Image"):
        return "image"
    if any(genuine.class_attribute(cls, name) is not None for name in _SHOWN):
        return "image"
    return "object"


def _of_data(obj: Any, kind: str) -> View:
    if kind == "numpy.generic":
        return "scalar"
    if kind != "numpy.ndarray":
        return "table"
    known = facts.facts_of(obj)
    shape = known.shape or []
    dtype = genuine.library("numpy")["ndarray"].dtype.__get__(obj)
    if len(shape) == 3 and shape[2] in _CHANNELS and min(shape[:2]) >= _SMALLEST and dtype.kind in "uf":
        return "image"
    if len(shape) == 2 and min(shape) >= _SMALLEST and str(dtype) == "uint8":
        return "image"
    if not shape:
        return "scalar"
    is_rows = len(shape) == 1 or (len(shape) == 2 and not dtype.names)
    return "table" if is_rows else "tree"


def _is_table(obj: Any) -> bool:
    if genuine.is_kind(obj, dict):
        return _is_columns(obj)
    if not genuine.is_kind(obj, list, tuple):
        return False
    head = genuine.elements(obj, 0, _LOOKED_AT)
    if not head or not all(genuine.is_kind(row, dict) and dict.__len__(row) for row in head):
        return False
    keys = [key for key, _ in genuine.dict_page(head[0], 0, _LOOKED_AT)]
    names = {key for key in keys if type(key) is str}
    return len(names) == len(keys) and not names >= _HISTORY


def _is_columns(obj: Any) -> bool:
    """Whether a dict is made of equally long columns, with names."""
    count = dict.__len__(obj)
    if not 0 < count <= _MOST_COLUMNS:
        return False
    lengths = set()
    for name, column in genuine.dict_page(obj, 0, _LOOKED_AT):
        if type(name) is not str:
            return False
        if genuine.is_kind(column, list, tuple):
            lengths.add(facts.facts_of(column).length)
            continue
        shape = facts.facts_of(column).shape
        if shape is None or len(shape) != 1:
            return False
        lengths.add(shape[0])
    return len(lengths) == 1 and lengths != {0}
