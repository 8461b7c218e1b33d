"""pandas: ``$pandas`` for its scalars and RangeIndex, ``$arrow`` for frames, series and other indexes.

Rules: imported only when a pandas object or tag is met. The scalars need no pyarrow; without it a frame is
refused with the hint that ``snakekernel[arrow]`` brings it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from snakekernel.values.bounds import NotLossless
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest, Unsupported

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

_HINT = "pandas data travels as Arrow, and pyarrow is not installed; install snakekernel[arrow]"
_UNITS = frozenset({"s", "ms", "us", "ns"})


def _encode_timestamp(obj: Any, encoder: Encoder) -> dict[str, Any]:
    out = {"value": int(obj.asm8.view("i8")), "unit": obj.unit, "tz": encoder.encode(obj.tzinfo)}
    return {**out, "fold": 1} if obj.fold and obj.tzinfo is None else out


def _decode_timestamp(payload: Any, decoder: Decoder) -> Any:
    decoder.fields(payload, {"as": str, "value": int, "unit": str}, {"tz": object, "fold": int})
    zone = decoder.child(payload.get("tz"), "tz")
    stamp = pd.Timestamp(_ticks("M8", payload, decoder))
    if payload.get("fold"):
        stamp = stamp.replace(fold=1)
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(zone)


def _encode_timedelta(obj: Any, encoder: Encoder) -> dict[str, Any]:
    return {"value": int(obj.asm8.view("i8")), "unit": obj.unit}


def _decode_timedelta(payload: Any, decoder: Decoder) -> Any:
    decoder.fields(payload, {"as": str, "value": int, "unit": str})
    return pd.Timedelta(_ticks("m8", payload, decoder))


def _ticks(kind: str, payload: Any, decoder: Decoder) -> Any:
    if payload["unit"] not in _UNITS:
        raise InvalidRequest(f"expected one of {', '.join(sorted(_UNITS))}", at=decoder.at("unit"))
    if not -(2**63) < payload["value"] < 2**63:
        raise InvalidRequest("the time is out of range", at=decoder.at("value"))
    return np.array(payload["value"], "i8").view(f"{kind}[{payload['unit']}]")[()]


def _encode_period(obj: Any, encoder: Encoder) -> dict[str, Any]:
    return {"ordinal": obj.ordinal, "dtype": pd.PeriodDtype(obj.freq).name}


def _decode_period(payload: Any, decoder: Decoder) -> Any:
    decoder.fields(payload, {"as": str, "ordinal": int, "dtype": str})
    freq: Any = pd.PeriodDtype(payload["dtype"]).freq
    return pd.Period(ordinal=payload["ordinal"], freq=freq)


def _encode_interval(obj: Any, encoder: Encoder) -> dict[str, Any]:
    return {"left": encoder.encode(obj.left), "right": encoder.encode(obj.right), "closed": obj.closed}


def _decode_interval(payload: Any, decoder: Decoder) -> Any:
    decoder.fields(payload, {"as": str, "left": object, "right": object, "closed": str})
    left, right = (decoder.child(payload[side], side) for side in ("left", "right"))
    return pd.Interval(left, right, closed=payload["closed"])


def _encode_range(obj: Any, encoder: Encoder) -> dict[str, Any]:
    return {"start": obj.start, "stop": obj.stop, "step": obj.step, "name": encoder.encode(obj.name)}


def _decode_range(payload: Any, decoder: Decoder) -> Any:
    decoder.fields(payload, {"as": str, "start": int, "stop": int, "step": int}, {"name": object})
    if payload["step"] == 0:
        raise InvalidRequest("the step must not be 0", at=decoder.at("step"))
    name = decoder.child(payload.get("name"), "name")
    return pd.RangeIndex(payload["start"], payload["stop"], payload["step"], name=name)


_Encode = Callable[[Any, "Encoder"], dict[str, Any]]
_Decode = Callable[[Any, "Decoder"], Any]


def _constant(value: Any) -> tuple[type, _Encode, _Decode]:
    def read(payload: Any, decoder: Decoder) -> Any:
        decoder.fields(payload, {"as": str})
        return value

    return type(value), lambda obj, encoder: {}, read


_SCALARS: dict[str, tuple[type, _Encode, _Decode]] = {
    "Timestamp": (pd.Timestamp, _encode_timestamp, _decode_timestamp),
    "Timedelta": (pd.Timedelta, _encode_timedelta, _decode_timedelta),
    "Period": (pd.Period, _encode_period, _decode_period),
    "Interval": (pd.Interval, _encode_interval, _decode_interval),
    "RangeIndex": (pd.RangeIndex, _encode_range, _decode_range),
    "NaT": _constant(pd.NaT),
    "NA": _constant(pd.NA),
}
_NAMES = {id(kind): name for name, (kind, _, _) in _SCALARS.items()}


def _encode_scalar(obj: Any, encoder: Encoder) -> dict[str, Any]:
    name = _NAMES[id(type(obj))]
    return {"as": name, **_SCALARS[name][1](obj, encoder)}


def _decode_scalar(payload: Any, decoder: Decoder) -> Any:
    name = decoder.expect(payload, dict).get("as")
    if type(name) is not str or name not in _SCALARS:
        raise InvalidRequest(f"expected one of {', '.join(_SCALARS)}", at=decoder.at("as"))
    return _SCALARS[name][2](payload, decoder)


def _refuse(obj: Any, encoder: Encoder) -> Any:
    raise NotLossless(_HINT)


def _is_index(kind: type) -> bool:
    return type.__subclasscheck__(pd.Index, kind)


def _refuse_payload(payload: Any, decoder: Decoder) -> Any:
    raise Unsupported(_HINT, at=decoder.at(), fault="kernel")


_SCALAR_CODEC = Codec(
    "pandas", tuple(kind for kind, _, _ in _SCALARS.values()), _encode_scalar, _decode_scalar
)
try:
    from snakekernel.values import arrow, frames
except ImportError:
    CODECS: tuple[Codec, ...] = (
        _SCALAR_CODEC,
        Codec("arrow", (pd.DataFrame, pd.Series), _refuse, _refuse_payload),
        Codec("arrow", (), _refuse, _refuse_payload, matches=_is_index),
    )
else:
    CODECS = (
        _SCALAR_CODEC,
        Codec("arrow", (pd.DataFrame,), frames.encode_frame, arrow.decode),
        Codec("arrow", (pd.Series,), frames.encode_series, arrow.decode),
        Codec("arrow", (pd.MultiIndex,), frames.encode_multi_index, arrow.decode),
        Codec("arrow", frames.FLAT_INDEXES, frames.encode_index, arrow.decode),
    )
