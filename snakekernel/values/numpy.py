"""numpy: ``$ndarray``, ``$npscalar``, ``$dtype``. Imported only when a numpy object or such a tag is met.

Rules: the bytes of a contiguous array (C or Fortran order) are sent as they are, without a copy; other arrays
are copied to C order. A decoded array is a view of its buffer, writable if the buffer is. Scalars that a
plain value keeps exactly travel as that value; the others as arrays of no dimension, ``"scalar": true``.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from snakekernel.values.codec import Codec
from snakekernel.values.dtypes import decode_dtype, encode_dtype, has_longdouble
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

Array = np.ndarray[Any, np.dtype[Any]]

#: Kinds whose scalars have a plain value, with the greatest item size that the value keeps exactly.
_PLAIN = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16, "U": math.inf, "S": math.inf}
_VALUE_TYPES: dict[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (float, int),
    "c": (complex, float, int),
    "U": (str,),
    "S": (bytes,),
}
#: Bits of a long double's mantissa: the same item size means other numbers on other processors.
_MANTISSA = int(np.finfo(np.longdouble).nmant)


def _encode_array(array: Array, encoder: Encoder) -> dict[str, Any]:
    form = encode_dtype(array.dtype)
    encoder.reserve(array.nbytes)
    order = "C"
    if array.flags.c_contiguous:
        flat = array
    elif array.flags.f_contiguous:
        flat, order = array.T, "F"
    else:
        flat = _packed(array)
    # Through uint8, because datetimes and structures do not export their memory themselves.
    data = flat.reshape(-1).view(np.uint8) if array.nbytes else b""
    out = {"buffer": encoder.buffer(data), "dtype": form, "shape": list(array.shape), "order": order}
    if has_longdouble(array.dtype):
        out["mantissa"] = _MANTISSA
    return out


def _packed(array: Any) -> Array:
    # Zeros, so that padding carries no bytes of whatever lay in this memory before.
    out: Array = np.zeros(array.shape, array.dtype)
    out[...] = array
    return out


def _check_text(array: Array) -> None:
    """Raises ValueError for code points beyond Unicode, which would make corrupt Python strings."""
    if array.dtype.names is not None:
        for name in array.dtype.names:
            _check_text(array[name])
    elif array.dtype.kind == "U" and array.nbytes:
        points = np.ascontiguousarray(array).view(array.dtype.byteorder.replace("|", "=") + "u4")
        if points.max() > sys.maxunicode:
            raise ValueError("its text has code points beyond Unicode")


def _decode_array(payload: Any, decoder: Decoder) -> Any:
    decoder.fields(
        payload,
        {"buffer": int, "dtype": object, "shape": list},
        {"order": str, "scalar": bool, "mantissa": int},
    )
    dtype = decode_dtype(payload["dtype"], decoder, "dtype")
    shape = decoder.shape(payload["shape"], "shape")
    order = payload.get("order", "C")
    scalar = payload.get("scalar", False)
    if order not in ("C", "F"):
        raise InvalidRequest('expected "C" or "F"', at=decoder.at("order"))
    if scalar and shape:
        raise InvalidRequest("a scalar has no dimensions", at=decoder.at("shape"))
    if payload.get("mantissa", _MANTISSA) != _MANTISSA and has_longdouble(dtype):
        raise InvalidRequest("long doubles of another processor's format", at=decoder.at("mantissa"))
    view = decoder.buffer(payload["buffer"], "buffer")
    need = math.prod(shape) * dtype.itemsize
    if need != view.nbytes:
        raise InvalidRequest(f"the array needs {need} bytes, not {view.nbytes}", at=decoder.at("buffer"))
    try:
        array: Array = np.ndarray(shape, dtype, view, order=order)
    except ValueError as exc:
        raise InvalidRequest(f"numpy refuses this shape: {exc}", at=decoder.at("shape")) from None
    try:
        _check_text(array)
    except ValueError as exc:
        raise InvalidRequest(str(exc), at=decoder.at("buffer")) from None
    return array.copy()[()] if scalar else array


def _encode_scalar(scalar: Any, encoder: Encoder) -> dict[str, Any]:
    kind = scalar.dtype.kind
    # str() and item() would drop trailing NULs.
    value = str.__str__(scalar) if kind == "U" else bytes(scalar) if kind == "S" else scalar.item()
    return {"dtype": encode_dtype(scalar.dtype), "value": encoder.encode(value)}


def _encode_wide_scalar(scalar: np.generic, encoder: Encoder) -> dict[str, Any]:
    return {**_encode_array(_packed(scalar), encoder), "scalar": True}


def _decode_scalar(payload: Any, decoder: Decoder) -> Any:
    decoder.fields(payload, {"dtype": object, "value": object})
    dtype = decode_dtype(payload["dtype"], decoder, "dtype")
    value = decoder.child(payload["value"], "value")
    if dtype.names is not None or dtype.itemsize > _PLAIN.get(dtype.kind, -1):
        raise InvalidRequest(f"a scalar of dtype {dtype} is sent as $ndarray", at=decoder.at("dtype"))
    if type(value) not in _VALUE_TYPES[dtype.kind]:
        raise InvalidRequest(f"a scalar of dtype {dtype} has another type of value", at=decoder.at("value"))
    try:
        with np.errstate(over="ignore"):
            scalar = dtype.type(value)
    except OverflowError:
        scalar = None
    if scalar is None or (dtype.kind in "fc" and np.isinf(scalar) and not np.isinf(value)):
        raise InvalidRequest(f"the value does not fit the dtype {dtype}", at=decoder.at("value"))
    return scalar


def _is_plain(kind: type[np.generic]) -> bool:
    dtype = np.dtype(kind)
    return dtype.itemsize <= _PLAIN.get(dtype.kind, -1)


def _is_dtype(kind: type) -> bool:
    return type.__subclasscheck__(np.dtype, kind)


def _decode_dtype(payload: Any, decoder: Decoder) -> np.dtype[Any]:
    return decode_dtype(payload, decoder)


_SCALARS = {kind for kind in np.sctypeDict.values() if kind is not np.object_}
_PLAIN_SCALARS = tuple(kind for kind in _SCALARS if _is_plain(kind))
_WIDE_SCALARS = tuple(kind for kind in _SCALARS if not _is_plain(kind))

CODECS = (
    Codec("ndarray", (np.ndarray,), _encode_array, _decode_array),
    Codec("npscalar", _PLAIN_SCALARS, _encode_scalar, _decode_scalar),
    Codec("ndarray", _WIDE_SCALARS, _encode_wide_scalar, _decode_array),
    Codec("dtype", (), lambda obj, encoder: encode_dtype(obj), _decode_dtype, matches=_is_dtype),
)
