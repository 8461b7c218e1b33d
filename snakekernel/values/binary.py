"""Bytes: ``$bytes``, for ``bytes`` itself and, with ``"as"``, for ``bytearray`` and ``memoryview``.

Rules: the payload is a buffer's index, or ``{"buffer": index, "as": ...}``; memoryviews keep format and shape
and stay views of the received buffer. Mutable memory is not copied while encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakekernel.values.bounds import NotLossless
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

#: Formats that ``memoryview.cast`` can rebuild: one native type character.
_FORMATS = frozenset("cbB?hHiIlLqQnNfd")


def _encode_bytes(obj: bytes, encoder: Encoder) -> int:
    return encoder.buffer(obj)


def _encode_bytearray(obj: bytearray, encoder: Encoder) -> dict[str, Any]:
    return {"buffer": encoder.buffer(obj), "as": "bytearray"}


def _encode_memoryview(obj: memoryview, encoder: Encoder) -> dict[str, Any]:
    if obj.format not in _FORMATS:
        raise NotLossless(f"a memoryview of format {obj.format!r} cannot be rebuilt; send an array instead")
    return {
        "buffer": encoder.buffer(obj),
        "as": "memoryview",
        "format": obj.format,
        "shape": list(obj.shape or ()),
    }


def _decode(payload: Any, decoder: Decoder) -> bytes | bytearray | memoryview:
    if type(payload) is int:
        return _owned(decoder.buffer(payload))
    decoder.fields(payload, {"buffer": int, "as": str}, {"format": str, "shape": list})
    view = decoder.buffer(payload["buffer"], "buffer")
    kind = payload["as"]
    if kind in ("bytes", "bytearray"):
        if len(payload) > 2:
            raise InvalidRequest(f"{kind} has no format and no shape", at=decoder.at())
        return bytearray(view) if kind == "bytearray" else _owned(view)
    if kind != "memoryview":
        raise InvalidRequest('expected "bytes", "bytearray" or "memoryview"', at=decoder.at("as"))
    form = payload.get("format", "B")
    if form not in _FORMATS:
        raise InvalidRequest("expected one native type character, such as 'B'", at=decoder.at("format"))
    shape = decoder.shape(payload["shape"], "shape") if "shape" in payload else None
    if shape is not None and 0 in shape:
        if len(shape) > 1:
            raise InvalidRequest("an empty memoryview has one dimension", at=decoder.at("shape"))
        shape = None
    try:
        return view.cast(form) if shape is None else view.cast(form, shape)
    except (TypeError, ValueError) as exc:
        raise InvalidRequest(f"the buffer does not fit the shape: {exc}", at=decoder.at("shape")) from None


def _owned(view: memoryview) -> bytes:
    owner = view.obj
    # A buffer that is a whole bytes object already needs no copy.
    return owner if type(owner) is bytes and len(owner) == view.nbytes and view.contiguous else bytes(view)


CODECS = (
    Codec("bytes", (bytes,), _encode_bytes, _decode),
    Codec("bytes", (bytearray,), _encode_bytearray, _decode),
    Codec("bytes", (memoryview,), _encode_memoryview, _decode),
)
