"""Plain scalars and the numbers and strings that JSON loses: ``$int``, ``$float``, ``$str``, ``$complex``,
``$decimal``, ``$fraction``.

Rules: integers beyond 2**53 travel as text, decimal while short and hexadecimal when long (decimal conversion
is quadratic, and bounded by Python); -0.0 stays plain, JSON keeps it; a string with lone surrogates has no
UTF-8 form and travels as its code points.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any

from snakekernel.values.bounds import SAFE_INTEGER
from snakekernel.values.codec import Codec, Handler
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

_LONG_BITS = 2048
_SPECIAL_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def _itself(obj: Any, encoder: Encoder) -> Any:
    return obj


def _int(obj: int, encoder: Encoder) -> int | dict[str, str]:
    if -SAFE_INTEGER <= obj <= SAFE_INTEGER:
        return obj
    return {"$int": _encode_int(obj, encoder)}


def _encode_int(obj: int, encoder: Encoder) -> str:
    bits = obj.bit_length()
    encoder.charge(0, bits // 4)
    return str(obj) if bits <= _LONG_BITS else hex(obj)


def _decode_int(payload: Any, decoder: Decoder) -> int:
    text = decoder.expect(payload, str).strip()
    if text.lstrip("+-")[:2] in ("0x", "0X"):
        return int(text, 16)
    return int(text)


def _float(obj: float, encoder: Encoder) -> float | dict[str, str]:
    return obj if isfinite(obj) else {"$float": repr(obj)}


def _decode_float(payload: Any, decoder: Decoder) -> float:
    text = decoder.expect(payload, str)
    if text not in _SPECIAL_FLOATS:
        raise InvalidRequest(f'expected "nan", "inf" or "-inf", not {text[:40]!r}', at=decoder.at())
    return _SPECIAL_FLOATS[text]


def _str(obj: str, encoder: Encoder) -> str | dict[str, list[int]]:
    try:
        encoder.charge(0, len(obj) if obj.isascii() else len(obj.encode()))
    except UnicodeEncodeError:
        return {"$str": _encode_str(obj, encoder)}
    return obj


def _encode_str(obj: str, encoder: Encoder) -> list[int]:
    encoder.charge(0, len(obj) * 4)
    return list(map(ord, obj))


def _decode_str(payload: Any, decoder: Decoder) -> str:
    points = decoder.expect(payload, list)
    for index, point in enumerate(points):
        if type(point) is not int or not 0 <= point <= 0x10FFFF:
            raise InvalidRequest("expected a Unicode code point, 0 to 0x10FFFF", at=decoder.at(index))
    return "".join(map(chr, points))


def _encode_complex(obj: complex, encoder: Encoder) -> list[Any]:
    return [encoder.encode(obj.real), encoder.encode(obj.imag)]


def _decode_complex(payload: Any, decoder: Decoder) -> complex:
    parts = decoder.expect(payload, list)
    if len(parts) != 2:
        raise InvalidRequest("expected [real, imaginary]", at=decoder.at())
    numbers = [decoder.child(part, index) for index, part in enumerate(parts)]
    for index, number in enumerate(numbers):
        if type(number) not in (int, float):
            raise InvalidRequest("expected a number", at=decoder.at(index))
    return complex(*numbers)


def _encode_decimal(obj: Decimal, encoder: Encoder) -> str:
    text = str(obj)
    encoder.charge(0, len(text))
    return text


def _decode_decimal(payload: Any, decoder: Decoder) -> Decimal:
    text = decoder.expect(payload, str)
    try:
        return Decimal(text)
    except ArithmeticError:
        raise InvalidRequest(f"{text[:40]!r} is no decimal number", at=decoder.at()) from None


def _encode_fraction(obj: Fraction, encoder: Encoder) -> list[Any]:
    return [encoder.encode(obj.numerator), encoder.encode(obj.denominator)]


def _decode_fraction(payload: Any, decoder: Decoder) -> Fraction:
    parts = [decoder.child(part, index) for index, part in enumerate(decoder.expect(payload, list))]
    if len(parts) != 2 or any(type(part) is not int for part in parts) or parts[1] <= 0:
        raise InvalidRequest("expected [numerator, positive denominator]", at=decoder.at())
    return Fraction(*parts)


NATIVE: dict[type, Handler] = {
    type(None): _itself,
    bool: _itself,
    int: _int,
    float: _float,
    str: _str,
}

CODECS = (
    Codec("int", (), _encode_int, _decode_int),
    Codec("float", (), lambda obj, encoder: repr(obj), _decode_float),
    Codec("str", (), _encode_str, _decode_str),
    Codec("complex", (complex,), _encode_complex, _decode_complex),
    Codec("decimal", (Decimal,), _encode_decimal, _decode_decimal),
    Codec("fraction", (Fraction,), _encode_fraction, _decode_fraction),
)
