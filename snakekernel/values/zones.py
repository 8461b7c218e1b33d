"""Time zones of the zone database: ``$zoneinfo``.

Rules: loaded when one is met, for importing ``zoneinfo`` reads what Python was built with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from snakekernel.values.bounds import NotLossless
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder


def _encode_zoneinfo(obj: ZoneInfo, encoder: Encoder) -> str:
    if obj.key is None:
        raise NotLossless("a ZoneInfo read from a file has no key; use ZoneInfo(key)")
    return obj.key


def _decode_zoneinfo(payload: Any, decoder: Decoder) -> ZoneInfo:
    key = decoder.expect(payload, str)
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a folder of the database
        raise InvalidRequest(f"there is no time zone {key[:40]!r} here", at=decoder.at()) from None


CODECS = (Codec("zoneinfo", (ZoneInfo,), _encode_zoneinfo, _decode_zoneinfo),)
