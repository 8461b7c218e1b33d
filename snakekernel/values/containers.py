"""Containers: list and dict as JSON's own, and ``$tuple``, ``$set``, ``$frozenset``, ``$dict``.

Rules: a dict is a JSON object only if all its keys are text that does not begin with ``$``; otherwise it is
``{"$dict": [[key, value], ...]}`` in its own order. Duplicate keys or elements in a payload are refused,
because they would be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakekernel.values.bounds import NotLossless, member
from snakekernel.values.codec import Codec, Handler
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder


def _list(obj: list[Any], encoder: Encoder) -> Any:
    if not encoder._depth and (packed := encoder.packed(obj)) is not None:
        return packed
    encoder.enter(obj)
    out = encoder.elements(obj)
    encoder.leave(obj)
    return out


def _dict(obj: dict[Any, Any], encoder: Encoder) -> Any:
    if not encoder._depth and (packed := encoder.packed(obj)) is not None:
        return packed
    encoder.enter(obj)
    out = encoder.mapping(obj)
    if out is None:
        out = {"$dict": _encode_pairs(obj, encoder)}
    encoder.leave(obj)
    return out


def _encode_pairs(obj: dict[Any, Any], encoder: Encoder) -> list[list[Any]]:
    pairs = list(obj.items())
    encoder.charge(len(pairs))
    out = []
    for key, value in pairs:
        try:
            name = encoder.encode(key)
        except NotLossless as exc:
            raise NotLossless(f"its key{exc.path}: {exc.reason}", member(key)) from None
        try:
            out.append([name, encoder.encode(value)])
        except NotLossless as exc:
            exc.path = member(key) + exc.path
            raise
    return out


def _decode_pairs(payload: Any, decoder: Decoder) -> dict[Any, Any]:
    pairs = decoder.expect(payload, list)
    decoder.charge(len(pairs))
    out: dict[Any, Any] = {}
    for index, pair in enumerate(pairs):
        if type(pair) is not list or len(pair) != 2:
            raise InvalidRequest("expected a pair [key, value]", at=decoder.at(index))
        key = decoder.child(pair[0], index, 0)
        try:
            known = key in out
        except TypeError:
            raise InvalidRequest(
                f"a {type(key).__name__} cannot be a key: it is not hashable", at=decoder.at(index, 0)
            ) from None
        if known:
            raise InvalidRequest("this key occurs twice", at=decoder.at(index, 0))
        out[key] = decoder.child(pair[1], index, 1)
    return out


def _encode_elements(obj: Any, encoder: Encoder) -> list[Any]:
    return encoder.elements(tuple(obj))


def _decode_tuple(payload: Any, decoder: Decoder) -> tuple[Any, ...]:
    return tuple(decoder.elements(decoder.expect(payload, list)))


def _decode_set(payload: Any, decoder: Decoder) -> set[Any]:
    out: set[Any] = set()
    for index, element in enumerate(decoder.elements(decoder.expect(payload, list))):
        try:
            known = element in out
            out.add(element)
        except TypeError:
            raise InvalidRequest(
                f"a {type(element).__name__} cannot be in a set: it is not hashable", at=decoder.at(index)
            ) from None
        if known:
            raise InvalidRequest("this element occurs twice", at=decoder.at(index))
    return out


def _decode_frozenset(payload: Any, decoder: Decoder) -> frozenset[Any]:
    return frozenset(_decode_set(payload, decoder))


NATIVE: dict[type, Handler] = {list: _list, dict: _dict}

CODECS = (
    Codec("tuple", (tuple,), _encode_elements, _decode_tuple),
    Codec("set", (set,), _encode_elements, _decode_set),
    Codec("frozenset", (frozenset,), _encode_elements, _decode_frozenset),
    Codec("dict", (), _encode_pairs, _decode_pairs),
)
