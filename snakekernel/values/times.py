"""Dates and times: ``$datetime``, ``$date``, ``$time``, ``$timedelta``, ``$timezone``; not ``$zoneinfo``.

Rules: what ISO 8601 text keeps (naive, UTC, unnamed offsets) is that text; a named zone, a named offset or
``fold=1`` is ``{"iso": naive text, "tz": zone, "fold": 0 or 1}``. Foreign tzinfo classes are refused: asking
them anything would run their code.
"""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any

from snakekernel.values.bounds import NotLossless, type_name
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder


def _unnamed(zone: tzinfo) -> bool:
    """Whether ISO text keeps the zone: a fixed offset without a name of its own."""
    # A timezone pickles as (offset,) or (offset, name): the one public way to tell whether it has a name.
    return type(zone) is timezone and len(zone.__getinitargs__()) == 1  # type: ignore[attr-defined]


def _is_zoneinfo(zone: tzinfo) -> bool:
    zoneinfo = sys.modules.get("zoneinfo")
    return zoneinfo is not None and type(zone) is zoneinfo.ZoneInfo


def _encode_moment(obj: datetime | time, encoder: Encoder) -> Any:
    zone = obj.tzinfo
    if not obj.fold and (zone is None or _unnamed(zone)):
        return obj.isoformat()
    if zone is not None and type(zone) is not timezone and not _is_zoneinfo(zone):
        raise NotLossless(f"its time zone is a {type_name(type(zone))}; use zoneinfo.ZoneInfo")
    return {"iso": obj.replace(tzinfo=None).isoformat(), "tz": encoder.encode(zone), "fold": obj.fold}


def _decode_datetime(payload: Any, decoder: Decoder) -> datetime:
    moment: datetime = _decode_moment(payload, decoder, datetime)
    return moment


def _decode_time(payload: Any, decoder: Decoder) -> time:
    moment: time = _decode_moment(payload, decoder, time)
    return moment


def _decode_moment(payload: Any, decoder: Decoder, kind: Any) -> Any:
    if type(payload) is str:
        return _iso(kind, payload, decoder)
    decoder.fields(payload, {"iso": str}, {"tz": object, "fold": int})
    moment = _iso(kind, payload["iso"], decoder, "iso")
    zone = decoder.child(payload.get("tz"), "tz")
    fold = payload.get("fold", 0)
    if zone is not None and not isinstance(zone, tzinfo):
        raise InvalidRequest("expected null, $zoneinfo or $timezone", at=decoder.at("tz"))
    if zone is not None and moment.tzinfo is not None:
        raise InvalidRequest("the text has an offset already", at=decoder.at("iso"))
    if fold not in (0, 1):
        raise InvalidRequest("expected 0 or 1", at=decoder.at("fold"))
    return moment.replace(tzinfo=zone if zone is not None else moment.tzinfo, fold=fold)


def _iso(kind: Any, text: Any, decoder: Decoder, *steps: str) -> Any:
    text = decoder.expect(text, str, *steps)
    try:
        return kind.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text[:40]!r} is no ISO 8601 {kind.__name__}", at=decoder.at(*steps)) from None


def _decode_date(payload: Any, decoder: Decoder) -> date:
    parsed: date = _iso(date, payload, decoder)
    return parsed


def _encode_timedelta(obj: timedelta, encoder: Encoder) -> list[int]:
    return [obj.days, obj.seconds, obj.microseconds]


def _decode_timedelta(payload: Any, decoder: Decoder) -> timedelta:
    parts = decoder.expect(payload, list)
    if len(parts) != 3 or any(type(part) is not int for part in parts):
        raise InvalidRequest("expected [days, seconds, microseconds], integers", at=decoder.at())
    try:
        return timedelta(*parts)
    except OverflowError:
        raise InvalidRequest("the duration is out of range", at=decoder.at()) from None


def _encode_timezone(obj: timezone, encoder: Encoder) -> dict[str, Any]:
    offset, *name = obj.__getinitargs__()  # type: ignore[attr-defined]
    return {"offset": _encode_timedelta(offset, encoder), "name": encoder.encode(name[0]) if name else None}


def _decode_timezone(payload: Any, decoder: Decoder) -> timezone:
    decoder.fields(payload, {"offset": list}, {"name": object})
    parts = payload["offset"]
    name = decoder.child(payload.get("name"), "name")
    if len(parts) != 3 or any(type(part) is not int for part in parts):
        raise InvalidRequest("expected [days, seconds, microseconds], integers", at=decoder.at("offset"))
    if name is not None and type(name) is not str:
        raise InvalidRequest("expected text or null", at=decoder.at("name"))
    try:
        offset = timedelta(*parts)
        return timezone(offset) if name is None else timezone(offset, name)
    except (ValueError, OverflowError):
        raise InvalidRequest("an offset is less than a day", at=decoder.at("offset")) from None


CODECS = (
    Codec("datetime", (datetime,), _encode_moment, _decode_datetime),
    Codec("date", (date,), lambda obj, encoder: obj.isoformat(), _decode_date),
    Codec("time", (time,), _encode_moment, _decode_time),
    Codec("timedelta", (timedelta,), _encode_timedelta, _decode_timedelta),
    Codec("timezone", (timezone,), _encode_timezone, _decode_timezone),
)
