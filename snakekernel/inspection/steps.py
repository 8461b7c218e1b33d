"""Small values and path steps in the data grammar, for descriptions.

Rules: only exact scalar types, and tuples of them, are encoded; no binary buffers, because a description
has none. ``None`` as a step means that no step can name the part.
"""

from __future__ import annotations

import datetime
import decimal
import math
import pathlib
import uuid
from typing import Any, Final

from snakekernel.inspection import facts, genuine
from snakekernel.values import Encoder, Limits, NotLossless
from snakekernel.wire.errors import SnakeError

#: Returned for what is no scalar; ``None`` is one.
NO_VALUE: Final = object()

_SAFE: Final = 2**53

_ENCODED: Final = genuine.Table.of(
    *(
        type(None),
        bool,
        float,
        complex,
        decimal.Decimal,
        datetime.date,
        datetime.timedelta,
        uuid.UUID,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        type(pathlib.Path()),
    )
)

_CLOCKS: Final = genuine.Table.of(datetime.datetime, datetime.time)
_OWN_ZONES: Final = genuine.Table.of(type(None), datetime.timezone)  # another tzinfo may be a user's class

#: Greatest integer worth its decimal digits in a description.
_INT_BITS: Final = 4_096

_LONGEST_TUPLE: Final = 16


def scalar(obj: Any, text: int) -> Any:
    """The data of a small scalar, or ``NO_VALUE``. Runs no user code.

    Args:
        text: the most characters of a string given as a value.
    """
    if is_plain(obj, text):
        cls = type(obj)
        if obj is None or cls is bool or (cls is int and -_SAFE <= obj <= _SAFE):
            return obj
        return obj if cls is float and math.isfinite(obj) else _encoded(obj, text)
    return _encoded(obj, text) if facts.data_kind(obj) == "numpy.generic" else NO_VALUE


def is_plain(obj: Any, text: int) -> bool:
    """Whether ``obj`` is a scalar of the standard library that the encoder keeps exactly and shortly."""
    cls = type(obj)
    if cls is str:
        return len(obj) <= text
    if cls is int:
        return bool(obj.bit_length() <= _INT_BITS)
    return cls in _ENCODED or _is_clock(obj)


def _is_clock(obj: Any) -> bool:
    return type(obj) in _CLOCKS and type(obj.tzinfo) in _OWN_ZONES


def _encoded(obj: Any, text: int) -> Any:
    encoder = Encoder(Limits(depth=8, items=64, json_bytes=16 * text + 4_096, buffer_bytes=0))
    try:
        data = encoder.encode(obj)
    except (NotLossless, SnakeError):
        return NO_VALUE
    return NO_VALUE if encoder.buffers else data


def attribute_step(name: str) -> Any:
    data = scalar(name, len(name))
    return {"attr": data} if type(data) is str else None  # a step's name is plain text


def item_step(key: Any, *, mapping: bool = False) -> Any:
    """The step that means ``obj[key]``; ``mapping``: the object is a Mapping that has the key."""
    if type(key) is str and genuine.clean(key) == key:
        return key if mapping else {"item": key}
    if type(key) is int and -_SAFE <= key <= _SAFE:
        return key
    data = _key_data(key)
    return None if data is NO_VALUE else {"item": data}


def _key_data(key: Any) -> Any:
    if type(key) is not tuple:
        return scalar(key, 1_000)
    if len(key) > _LONGEST_TUPLE or any(scalar(part, 1_000) is NO_VALUE for part in key):
        return NO_VALUE
    return _encoded(key, 1_000 * _LONGEST_TUPLE)
