"""numpy arrays, scalars and dtypes: every kind, layout and byte order, and no needless copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from snakekernel.testing.codecs import round_trip
from snakekernel.values import Decoder, Encoder, Limits, NotLossless
from snakekernel.wire.errors import InvalidRequest, LimitExceeded

DTYPES: list[Any] = [
    *np.typecodes["AllInteger"],
    *"efdg",
    *"FDG",
    "?",
    ">i4",
    ">f8",
    ">c16",
    ">M8[s]",
    "U0",
    "U3",
    ">U3",
    "S0",
    "S3",
    "V0",
    "V5",
    "M8",
    "M8[ns]",
    "M8[25s]",
    "M8[Y]",
    "m8[us]",
    [("a", ">i4"), ("b", "f8", (2, 3)), ("c", "U2")],
    [("a", [("b", "i1"), ("c", "M8[D]")]), ("d", "g")],
    [],
    np.dtype([("a", "i1"), ("b", "f8")], align=True),
    {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [8, 0], "itemsize": 20},
    {"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]},
    {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 12], "itemsize": 20},
    [(("title", "a"), "i4"), ("b", "S2")],
    [("ключ", "i4")],
]


def array(dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """An array of arbitrary bytes; of zeros where not all bytes are valid."""
    if "U" in str(dtype):
        return np.zeros(shape, dtype)
    count = int(np.prod(shape)) * dtype.itemsize
    return np.ndarray(shape, dtype, np.arange(count, dtype=np.uint8) % 2 if count else b"")


def check(one: Any, other: Any) -> None:
    assert type(other) is type(one)
    assert other.dtype == one.dtype
    assert other.dtype.type is one.dtype.type
    assert other.dtype.fields == one.dtype.fields
    assert other.dtype.isalignedstruct == one.dtype.isalignedstruct
    assert other.shape == one.shape
    check_contents(one, other)


def check_contents(one: Any, other: Any) -> None:
    """By value, where bytes are padded; else by bytes, so that NaN and NaT count as well."""
    if one.dtype.names is not None:
        for name in one.dtype.names:
            check_contents(one[name], other[name])
    elif one.dtype.char in "gG":
        np.testing.assert_array_equal(one, other)
    else:
        assert other.tobytes() == one.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[:30])
def test_arrays_of_every_dtype_come_back(dtype: Any) -> None:
    dtype = np.dtype(dtype)
    base = array(dtype, (3, 4))
    zero_dimensional = array(dtype, ())
    for one in (base, base.T, base[::2, 1:], base[::-1], base[:0], base[0, 0:1], zero_dimensional):
        check(one, round_trip(one))
        check(one, round_trip({"x": [one]})["x"][0])


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[:30])
def test_scalars_of_every_dtype_come_back(dtype: Any) -> None:
    scalar = array(np.dtype(dtype), (2,))[1]
    check(scalar, round_trip(scalar))


def test_dtypes_come_back() -> None:
    for dtype in map(np.dtype, DTYPES):
        back = round_trip(dtype)
        assert back == dtype
        assert back.type is dtype.type


@pytest.mark.parametrize(
    "scalar",
    [
        np.float64("nan"),
        np.float64(-0.0),
        np.float32(0.1),
        np.float16("inf"),
        np.uint64(2**64 - 1),
        np.int8(-128),
        np.longlong(7),
        np.bool_(True),
        np.complex64(1 + 2j),
        np.str_("a\x00b\x00"),
        np.str_("\ud800"),
        np.bytes_(b"a\x00"),
    ],
    ids=repr,
)
def test_scalars_with_a_plain_value_are_sent_as_that_value(scalar: Any) -> None:
    data = Encoder().encode(scalar)
    assert set(data["$npscalar"]) == {"dtype", "value"}
    back = round_trip(scalar)
    assert type(back) is type(scalar)
    assert repr(back) == repr(scalar)


def test_a_scalar_is_no_array_of_no_dimension() -> None:
    for value in (np.datetime64("2020-01-01"), np.longdouble(1) / 3, np.timedelta64("NaT"), np.void(b"ab")):
        assert isinstance(round_trip(value), np.generic)
        assert isinstance(round_trip(np.array(value)), np.ndarray)


@pytest.mark.parametrize("make", [lambda a: a, lambda a: a.T, lambda a: a[2:], lambda a: a.view("M8[s]")])
def test_contiguous_arrays_are_not_copied(make: Any) -> None:
    one = make(np.arange(12).reshape(4, 3))
    encoder = Encoder()
    data = encoder.encode(one)
    assert np.shares_memory(np.frombuffer(encoder.buffers[0], np.uint8), one.view("i8"))
    back = Decoder(encoder.buffers).decode(data)
    assert np.shares_memory(back.view("i8"), one.view("i8"))
    check(one, back)


def test_fortran_order_is_kept() -> None:
    assert round_trip(np.zeros((3, 4), order="F")).flags.f_contiguous
    assert round_trip(np.zeros((3, 4))).flags.c_contiguous


def test_a_decoded_array_is_writable_if_its_buffer_is() -> None:
    data = Encoder().encode(np.zeros(3))
    assert Decoder([memoryview(bytearray(24))]).decode(data).flags.writeable
    assert not Decoder([memoryview(bytes(24))]).decode(data).flags.writeable


def test_copies_do_not_disclose_old_memory() -> None:
    dtype = np.dtype({"names": ["a"], "formats": ["i1"], "itemsize": 4096})
    for _ in range(20):
        np.full(8 * 4096, 0xAA, np.uint8)
        for one in (np.zeros(8, dtype)[::2], np.zeros(1, dtype)[0], np.longdouble(1)):
            encoder = Encoder()
            encoder.encode(one)
            assert b"\xaa\xaa" not in bytes(encoder.buffers[0])


@pytest.mark.parametrize("dtype", ["<U1", ">U1", [["a", "<U1"]], [["a", [["b", "<U1"]]]]], ids=str)
def test_text_beyond_unicode_is_an_invalid_request(dtype: Any) -> None:
    with pytest.raises(InvalidRequest, match="Unicode") as caught:
        Decoder([memoryview(b"\x7f" * 8)]).decode({"$ndarray": {"buffer": 0, "dtype": dtype, "shape": [2]}})
    assert caught.value.at == "$['$ndarray'].buffer"


def test_the_limit_is_checked_before_a_copy_is_made() -> None:
    vast = np.broadcast_to(np.zeros(1), (10**6, 10**6))
    with pytest.raises(LimitExceeded):
        Encoder(Limits()).encode(vast)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([None]), "Python objects"),
        (np.zeros(1, [("a", "O")]), "Python objects"),
        (np.array(["a"], np.dtypes.StringDType()), "variable-width"),
        (np.zeros(1, np.dtype("f8", metadata={"a": 1})), "metadata"),
        (np.ma.array([1]), "subclass of numpy.ndarray"),
        (np.rec.array([(1,)], dtype=[("a", "i4")]), "subclass of numpy.ndarray"),
        (np.rec.array([(1,)], dtype=[("a", "i4")])[0], "subclass of numpy.void"),
        (np.zeros(1, np.dtype((np.record, [("a", "i4")]))), "layout"),
        (np.random.default_rng(0), "no codec"),
        (np.float64, "no codec"),
    ],
    ids=range(10),
)
def test_what_numpy_cannot_give_exactly_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(NotLossless, match=reason) as caught:
        Encoder().encode([value])
    assert caught.value.path == "[0]"


GOOD = {"buffer": 0, "dtype": "<i4", "shape": [2], "order": "C"}


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"buffer": 1}, ".buffer"),
        ({"buffer": None}, ".buffer"),
        ({"dtype": "O"}, ".dtype"),
        ({"dtype": "|O8"}, ".dtype"),
        ({"dtype": "i4,i4"}, ".dtype"),
        ({"dtype": "<q9"}, ".dtype"),
        ({"dtype": "<f3"}, ".dtype"),
        ({"dtype": "float64"}, ".dtype"),
        ({"dtype": {"names": ["a"], "formats": ["O"]}}, ".dtype"),
        ({"dtype": [["a", "<i4"], ["a", "<i4"]]}, ".dtype"),
        ({"dtype": [["a", "<i4", [-1]]]}, ".dtype"),
        ({"dtype": [["a"]]}, ".dtype"),
        ({"dtype": [[1, "<i4"]]}, ".dtype"),
        ({"dtype": None}, ".dtype"),
        ({"shape": [3]}, ".buffer"),
        ({"shape": [-2]}, ".shape[0]"),
        ({"shape": [2.0]}, ".shape[0]"),
        ({"shape": [True, 2]}, ".shape[0]"),
        ({"shape": [1] * 70 + [2]}, ".shape"),
        ({"shape": "2"}, ".shape"),
        ({"shape": [0, 10**30]}, ".buffer"),
        ({"order": "K"}, ".order"),
        ({"order": 1}, ".order"),
        ({"scalar": True}, ".shape"),
        ({"scalar": 1}, ".scalar"),
        ({"strides": [4]}, ".strides"),
        ({"dtype": "<f16", "mantissa": 1, "shape": []}, ".mantissa"),
    ],
    ids=str,
)
def test_a_malformed_array_is_an_invalid_request(change: dict[str, Any], at: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Decoder([memoryview(bytes(8))]).decode([{"$ndarray": {**GOOD, **change}}])
    assert caught.value.at == "$[0]['$ndarray']" + at


def test_a_deeply_nested_dtype_is_an_invalid_request() -> None:
    dtype: Any = "<i4"
    for _ in range(1000):
        dtype = [["a", dtype]]
    with pytest.raises(InvalidRequest, match="nested"):
        Decoder([memoryview(bytes(4))]).decode({"$ndarray": {**GOOD, "dtype": dtype}})


@pytest.mark.parametrize(
    ("payload", "at"),
    [
        ({"dtype": "<i8", "value": 1.5}, ".value"),
        ({"dtype": "|i1", "value": 200}, ".value"),
        ({"dtype": "|u1", "value": -1}, ".value"),
        ({"dtype": "<f4", "value": 1e300}, ".value"),
        ({"dtype": "<f8", "value": "1"}, ".value"),
        ({"dtype": "|b1", "value": 1}, ".value"),
        ({"dtype": "<M8[s]", "value": 1}, ".dtype"),
        ({"dtype": [["a", "<i4"]], "value": 1}, ".dtype"),
        ({"dtype": "<i8"}, ""),
        ({"dtype": "<i8", "value": {"$int": 1}}, ".value['$int']"),
    ],
    ids=str,
)
def test_a_malformed_scalar_is_an_invalid_request(payload: dict[str, Any], at: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Decoder().decode([{"$npscalar": payload}])
    assert caught.value.at == "$[0]['$npscalar']" + at


def test_a_client_may_round_to_a_narrow_float() -> None:
    assert Decoder().decode({"$npscalar": {"dtype": "<f4", "value": 0.1}}) == np.float32(0.1)
    assert Decoder().decode({"$npscalar": {"dtype": "<f4", "value": 1}}) == np.float32(1)


@settings(deadline=None)
@given(
    hnp.arrays(
        hnp.scalar_dtypes() | hnp.array_dtypes(allow_subarrays=True) | hnp.nested_dtypes(),
        hnp.array_shapes(min_dims=0, min_side=0),
    )
)
def test_any_array_comes_back(one: np.ndarray[Any, Any]) -> None:
    check(one, round_trip(one))
    check(one.T, round_trip(one.T))
