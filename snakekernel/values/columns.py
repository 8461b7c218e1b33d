"""One pandas column as an Arrow array and a small spec that says what it was, and back.

Rules: the spec's ``kind`` comes from the table below; what Arrow holds exactly is Arrow data that any client
can read, the rest (categories, intervals, mixed objects) travels in the spec by the data grammar. A dtype
that no row serves is refused. Decoded columns own writable memory, because pandas changes frames in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from snakekernel.values.bounds import NotLossless
from snakekernel.values.encoder import is_text
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

#: (Arrow array, spec)
Column = tuple[Any, dict[str, Any]]

_MASKED: dict[str, Any] = {
    dtype.name: dtype
    for dtype in (
        pd.Int8Dtype(),
        pd.Int16Dtype(),
        pd.Int32Dtype(),
        pd.Int64Dtype(),
        pd.UInt8Dtype(),
        pd.UInt16Dtype(),
        pd.UInt32Dtype(),
        pd.UInt64Dtype(),
        pd.Float32Dtype(),
        pd.Float64Dtype(),
        pd.BooleanDtype(),
    )
}
_NUMPY = frozenset("?bhilBHILefd")
_UNITS = frozenset({"s", "ms", "us", "ns"})


def to_arrow(values: Any, encoder: Encoder) -> Column:
    """The column of a Series' or Index' ``array``. Raises NotLossless for dtypes without an exact form."""
    dtype = values.dtype
    if type(values) is pd.arrays.NumpyExtensionArray or isinstance(dtype, np.dtype):
        return _numpy_to_arrow(values.to_numpy(), encoder)
    for kind, write in _WRITERS.items():
        if type(dtype) is kind:
            return write(values, encoder)
    if _MASKED.get(dtype.name) == dtype:
        return pa.array(values), {"kind": "masked", "dtype": dtype.name}
    raise NotLossless(f"pandas dtype {dtype} has no exact Arrow form; convert the column with astype")


def from_arrow(column: Any, spec: Any, decoder: Decoder, *steps: str | int) -> Any:
    """The array of a column. ``spec`` may be None: then pandas' own conversion decides."""
    if spec is None:
        return column.to_pandas().array
    if type(spec) is not dict or type(spec.get("kind")) is not str or spec["kind"] not in _READERS:
        raise InvalidRequest(f"expected a kind, one of {', '.join(_READERS)}", at=decoder.at(*steps, "kind"))
    return _READERS[spec["kind"]](column, spec, decoder, steps)


# numpy dtypes -----------------------------------------------------------------------------------------------


def _numpy_to_arrow(values: Any, encoder: Encoder) -> Column:
    dtype = values.dtype
    if dtype.kind == "O":
        return _objects_to_arrow(values, encoder)
    if not dtype.isnative:
        raise NotLossless(f"dtype {dtype.str} has foreign byte order; convert the column with astype")
    if dtype.char in _NUMPY or (dtype.kind in "mM" and np.datetime_data(dtype) in {(u, 1) for u in _UNITS}):
        # from_pandas is off, so that NaN stays NaN; NaT becomes null and back.
        return pa.array(values, from_pandas=False), {"kind": "numpy", "dtype": dtype.str}
    if dtype.char in "FD":
        raw = pa.py_buffer(np.ascontiguousarray(values))
        data = pa.Array.from_buffers(pa.binary(dtype.itemsize), len(values), [None, raw])
        return data, {"kind": "complex", "dtype": dtype.str}
    raise NotLossless(f"a column of dtype {dtype} has no exact Arrow form; convert it with astype")


def _numpy_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    dtype = _dtype(spec, decoder, steps)
    values = column.to_numpy()
    if values.dtype != dtype:
        raise InvalidRequest(f"the column holds {values.dtype}, not {dtype}", at=decoder.at(*steps, "dtype"))
    return values if values.flags.writeable else values.copy()


def _complex_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    dtype = _dtype(spec, decoder, steps)
    if dtype.kind != "c" or column.type != pa.binary(dtype.itemsize) or column.null_count:
        raise InvalidRequest("the column does not hold complex numbers", at=decoder.at(*steps, "dtype"))
    return np.frombuffer(b"".join(column.to_pylist()), dtype).copy()


def _dtype(spec: Any, decoder: Decoder, steps: Any) -> np.dtype[Any]:
    text = spec.get("dtype")
    if type(text) is not str:
        raise InvalidRequest("expected the text of a dtype", at=decoder.at(*steps, "dtype"))
    try:
        return np.dtype(text)
    except TypeError:
        raise InvalidRequest(f"{text[:40]!r} is no dtype", at=decoder.at(*steps, "dtype")) from None


# objects and text -------------------------------------------------------------------------------------------


def _objects_to_arrow(values: Any, encoder: Encoder) -> Column:
    items = values.tolist()
    if all(item is None or (type(item) is str and is_text(item)) for item in items):
        return pa.array(items, pa.large_string()), {"kind": "text"}
    return pa.nulls(len(items)), {"kind": "objects", "items": encoder.encode(items)}


def _text_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    return object_array(column.to_pylist())


def _objects_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    items = decoder.child(spec.get("items"), *steps, "items")
    if type(items) is not list or len(items) != len(column):
        raise InvalidRequest("expected one item for each row", at=decoder.at(*steps, "items"))
    return object_array(items)


def object_array(items: list[Any]) -> Any:
    """A numpy array of exactly these objects."""
    out = np.empty(len(items), object)
    # Element by element: numpy would take lists apart.
    for index, item in enumerate(items):
        out[index] = item
    return out


def _string_to_arrow(values: Any, encoder: Encoder) -> Column:
    dtype = values.dtype
    spec = {"kind": "string", "storage": dtype.storage, "na": "NA" if dtype.na_value is pd.NA else "nan"}
    return pa.array(values), spec


def _string_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    dtype = string_dtype(spec, decoder, steps)
    if not (pa.types.is_large_string(column.type) or pa.types.is_string(column.type)):
        raise InvalidRequest("the column does not hold text", at=decoder.at(*steps, "kind"))
    if dtype.storage == "pyarrow":
        return dtype.__from_arrow__(column)
    return pd.array(column.to_pylist(), dtype=dtype)


def string_dtype(spec: Any, decoder: Decoder, steps: Any) -> Any:
    """The StringDtype of a spec of kind ``string``."""
    if spec.get("storage") not in ("python", "pyarrow"):
        raise InvalidRequest('expected "python" or "pyarrow"', at=decoder.at(*steps, "storage"))
    if spec.get("na") == "NA":
        return pd.StringDtype(spec["storage"])
    return pd.StringDtype(spec["storage"], na_value=np.nan)


# extension dtypes -------------------------------------------------------------------------------------------


def _masked_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    if spec.get("dtype") not in _MASKED:
        raise InvalidRequest(f"expected one of {', '.join(_MASKED)}", at=decoder.at(*steps, "dtype"))
    return _MASKED[spec["dtype"]].__from_arrow__(column)


def _categorical_to_arrow(values: Any, encoder: Encoder) -> Column:
    categories = encoder.encode(values.categories)
    return pa.array(values.codes), {
        "kind": "categorical",
        "ordered": values.ordered,
        "categories": categories,
    }


def _categorical_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    categories = decoder.child(spec.get("categories"), *steps, "categories")
    if not isinstance(categories, pd.Index):
        raise InvalidRequest("expected an Index", at=decoder.at(*steps, "categories"))
    return pd.Categorical.from_codes(column.to_numpy(), categories, ordered=bool(spec.get("ordered")))


def _zoned_to_arrow(values: Any, encoder: Encoder) -> Column:
    data = pa.array(values.tz_convert("UTC").tz_localize(None).to_numpy())
    spec = {"kind": "zoned", "tz": encoder.encode(values.dtype.tz)}
    return data.cast(pa.timestamp(values.dtype.unit, "UTC")), spec


def _zoned_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    zone = decoder.child(spec.get("tz"), *steps, "tz")
    if not pa.types.is_timestamp(column.type) or zone is None:
        raise InvalidRequest("expected a time zone and a column of timestamps", at=decoder.at(*steps, "tz"))
    naive = column.cast(pa.timestamp(column.type.unit)).to_numpy()
    return pd.DatetimeIndex(naive.copy()).tz_localize("UTC").tz_convert(zone).array


def _period_to_arrow(values: Any, encoder: Encoder) -> Column:
    return pa.array(values.asi8), {"kind": "period", "dtype": values.dtype.name}


def _period_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    dtype = pd.PeriodDtype(str(spec.get("dtype")))
    index: Any = pd.PeriodIndex
    return index.from_ordinals(column.to_numpy().copy(), freq=dtype.freq).array


def _interval_to_arrow(values: Any, encoder: Encoder) -> Column:
    spec = {
        "kind": "interval",
        "closed": values.closed,
        "left": encoder.encode(values.left),
        "right": encoder.encode(values.right),
    }
    return pa.nulls(len(values)), spec


def _interval_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    left, right = (decoder.child(spec.get(side), *steps, side) for side in ("left", "right"))
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=spec.get("closed"))


def _arrow_to_arrow(values: Any, encoder: Encoder) -> Column:
    if isinstance(values.dtype.pyarrow_dtype, pa.ExtensionType):
        raise NotLossless("an Arrow extension type may be unknown to the receiver")
    return values.__arrow_array__(), {"kind": "arrow"}


def _arrow_from_arrow(column: Any, spec: Any, decoder: Decoder, steps: Any) -> Any:
    return pd.arrays.ArrowExtensionArray(column)


_WRITERS: dict[type, Callable[[Any, Encoder], Column]] = {
    pd.StringDtype: _string_to_arrow,
    pd.CategoricalDtype: _categorical_to_arrow,
    pd.DatetimeTZDtype: _zoned_to_arrow,
    pd.PeriodDtype: _period_to_arrow,
    pd.IntervalDtype: _interval_to_arrow,
    pd.ArrowDtype: _arrow_to_arrow,
}
_READERS: dict[str, Callable[[Any, Any, Decoder, Any], Any]] = {
    "numpy": _numpy_from_arrow,
    "complex": _complex_from_arrow,
    "text": _text_from_arrow,
    "objects": _objects_from_arrow,
    "string": _string_from_arrow,
    "masked": _masked_from_arrow,
    "categorical": _categorical_from_arrow,
    "zoned": _zoned_from_arrow,
    "period": _period_from_arrow,
    "interval": _interval_from_arrow,
    "arrow": _arrow_from_arrow,
}
