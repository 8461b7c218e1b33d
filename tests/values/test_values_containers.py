"""Containers, limits, cycles, and objects whose classes would like to run code."""

from __future__ import annotations

import enum
import math
import sys
import types
from collections import OrderedDict, namedtuple

import pytest

from snakekernel.testing.codecs import round_trip, same
from snakekernel.values import Decoder, Encoder, Limits, NotLossless
from snakekernel.wire.errors import InvalidRequest, LimitExceeded

SAMPLES = [
    [],
    {},
    (),
    set(),
    frozenset(),
    [[], [[]], {}],
    {"a": {"b": [1, (2,)]}},
    {1: "a", "1": "b", None: "c", True and 2.5: "d"},
    {"$ref": "not a reference"},
    {"$a": 1, "b": 2},
    {"": 1, "a b": 2, "ключ": 3, "\ud800": 4},
    {(1, 2): {3: 4}},
    {frozenset({1}): {1, 2}},
    [float("nan"), float("-inf"), 2**60, "\ud800", True, None],
    {"a": float("nan"), "b": 2**60, "c": "\udc00"},
    [1, 1.0, True],
]


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_a_container_comes_back_as_it_was(sample: object) -> None:
    assert same(sample, round_trip(sample))


def test_order_of_keys_is_kept() -> None:
    for mapping in ({"b": 1, "a": 2}, {2: 1, 1: 2}, {"b": 1, 2: 2, "a": 3}):
        assert list(round_trip(mapping)) == list(mapping)


def test_plain_data_is_sent_as_it_is() -> None:
    data = {"a": [1, 2.5, "x", None, True, {"b": []}], "naïve": "é"}
    assert Encoder().encode(data) == data


def test_a_value_used_twice_is_sent_twice() -> None:
    shared = [b"x"]
    encoder = Encoder()
    encoder.encode([shared, shared])
    assert len(encoder.buffers) == 2
    assert round_trip([shared, shared]) == [[b"x"], [b"x"]]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([1, object()], "[1]"),
        ({"x": [0, {"a b": object()}]}, ".x[0]['a b']"),
        ({"x": [0, {"a b": object()}]}["x"], "[1]['a b']"),
        ({3: (1, {object()})}, "[3][1][0]"),
        ({object(): 1}, "[<object>]"),
        ({"it's": object()}, "['it\\'s']"),
        ({"\n": object()}, "['\\n']"),
        (object(), ""),
    ],
)
def test_the_path_leads_to_what_has_no_lossless_form(value: object, path: str) -> None:
    with pytest.raises(NotLossless) as caught:
        Encoder().encode(value)
    assert caught.value.path == path.replace(".x[0]", ".x[1]")
    assert "object" in caught.value.reason


def _cycles() -> list[object]:
    one: list[object] = []
    one.append(one)
    two: dict[str, object] = {"a": [1]}
    two["b"] = ({1: two},)
    return [one, two]


@pytest.mark.parametrize("value", _cycles(), ids=["list", "dict"])
def test_a_cycle_is_refused(value: object) -> None:
    with pytest.raises(NotLossless, match="contains itself"):
        Encoder().encode(value)


def test_a_list_nested_100_000_deep_is_a_limit() -> None:
    deep: list[object] = []
    for _ in range(10**5):
        deep = [deep]
    with pytest.raises(LimitExceeded, match="200 levels"):
        Encoder().encode(deep)
    with pytest.raises(LimitExceeded, match="200 levels") as caught:
        Decoder().decode(deep)
    assert caught.value.at == "$" + "[0]" * 200


def test_depth_beyond_the_stack_is_a_limit() -> None:
    deep: object = 1
    for _ in range(sys.getrecursionlimit()):
        deep = (deep,)
    limits = Limits(depth=10**6)
    with pytest.raises(LimitExceeded, match="stack"):
        Encoder(limits).encode(deep)
    data: object = 1
    for _ in range(sys.getrecursionlimit()):
        data = {"$tuple": [data]}
    with pytest.raises(LimitExceeded, match="stack"):
        Decoder(limits=limits).decode(data)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: {1: x}])
def test_what_may_be_encoded_may_be_decoded(wrap) -> None:  # type: ignore[no-untyped-def]
    value: object = 1
    for _ in range(Limits().depth):
        value = wrap(value)
    assert same(value, round_trip(value))
    with pytest.raises(LimitExceeded):
        Encoder().encode(wrap(value))


def test_the_number_of_items_is_bounded() -> None:
    limits = Limits(items=10)
    for value in ([0] * 10, {str(n): n for n in range(10)}, tuple(range(10)), set(range(10))):
        data = Encoder(limits).encode(value)
        assert Decoder(limits=limits).decode(data) == value
        with pytest.raises(LimitExceeded, match="10 items"):
            Encoder(limits).encode([value])
        with pytest.raises(LimitExceeded, match="10 items"):
            Decoder(limits=limits).decode([data])
    with pytest.raises(LimitExceeded, match="10 items"):
        Encoder(limits).encode({n: n for n in range(11)})


def test_items_count_over_all_values_of_a_message() -> None:
    encoder = Encoder(Limits(items=10))
    encoder.encode([0] * 6)
    with pytest.raises(LimitExceeded):
        encoder.encode([0] * 6)


@pytest.mark.parametrize(
    "value",
    ["x" * 1001, ["x" * 600] * 2, {"x" * 1001: 1}, {"a": "é" * 501}, [0] * 126, 10**5000, {1: "x" * 1001}],
    ids=range(7),
)
def test_the_size_of_the_json_is_bounded(value: object) -> None:
    with pytest.raises(LimitExceeded, match="1000 bytes of JSON"):
        Encoder(Limits(json_bytes=1000)).encode(value)


def test_the_size_of_the_buffers_is_bounded() -> None:
    limits = Limits(buffer_bytes=10)
    encoder = Encoder(limits)
    encoder.encode(b"x" * 6)
    with pytest.raises(LimitExceeded, match="10 bytes of buffers"):
        encoder.encode(b"x" * 6)
    assert len(encoder.buffers) == 1
    with pytest.raises(LimitExceeded, match="10 bytes") as caught:
        Decoder([memoryview(bytes(6))] * 2, limits).decode([{"$bytes": 0}, {"$bytes": 1}])
    assert caught.value.at == "$[1]['$bytes']"


def test_a_failed_encoding_leaves_the_encoder_as_it_was() -> None:
    encoder = Encoder(Limits(items=6))
    first = encoder.encode(b"first")
    for bad in ([b"lost", [b"lost", (object(),)]], {1: b"lost", 2: object()}):
        with pytest.raises(NotLossless):
            encoder.encode(bad)
    second = encoder.encode([(b"second",), 1, 2, 3, 4])
    assert [bytes(view) for view in encoder.buffers] == [b"first", b"second"]
    assert encoder.nbytes == 11
    decoder = Decoder(encoder.buffers)
    assert (decoder.decode(first), decoder.decode(second)) == (b"first", [(b"second",), 1, 2, 3, 4])


def test_extra_handlers_come_before_the_codecs() -> None:
    class Proxy:
        name = "df"

    encoder = Encoder(
        extra={
            Proxy: lambda obj, encoder: {"$ref": obj.name},
            set: lambda obj, encoder: encoder.encode(sorted(obj)),
        }
    )
    assert encoder.encode([Proxy(), {3, 1}, (Proxy(),)]) == [
        {"$ref": "df"},
        [1, 3],
        {"$tuple": [{"$ref": "df"}]},
    ]
    with pytest.raises(NotLossless):
        Encoder().encode(Proxy())


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value", [OrderedDict(a=1), Point(1, 2), type("L", (list,), {})(), enum.Enum, math, len]
)
def test_types_without_a_codec_are_refused_with_a_hint(value: object) -> None:
    with pytest.raises(NotLossless, match="register a codec"):
        Encoder().encode([value])


def _boom(*args: object, **kwargs: object) -> object:
    raise AssertionError("user code ran")


class HostileMeta(type):
    __hash__ = _boom  # type: ignore[assignment]
    __eq__ = _boom  # type: ignore[assignment]
    __getattribute__ = _boom  # type: ignore[assignment]
    __instancecheck__ = _boom  # type: ignore[assignment]
    __subclasscheck__ = _boom  # type: ignore[assignment]
    __repr__ = _boom  # type: ignore[assignment]


_TRAPS = dict.fromkeys(
    [
        "__getattribute__",
        "__getattr__",
        "__iter__",
        "__len__",
        "__eq__",
        "__hash__",
        "__bool__",
        "__repr__",
        "__str__",
        "__format__",
        "__getitem__",
        "__contains__",
        "__reduce__",
        "__reduce_ex__",
        "__index__",
        "__float__",
        "__int__",
        "__buffer__",
        "items",
        "keys",
    ],
    _boom,
)


@pytest.mark.parametrize("base", [object, int, float, str, bytes, list, dict, tuple, set, frozenset, complex])
def test_no_code_of_a_hostile_class_runs(base: type) -> None:
    kind = types.new_class("Hostile", (base,), {"metaclass": HostileMeta}, lambda space: space.update(_TRAPS))
    obj = base.__new__(kind)
    for value in (obj, [obj], {"a": (obj,)}, {1: obj}):
        with pytest.raises(NotLossless, match="Hostile"):
            Encoder().encode(value)


def test_a_class_that_lies_about_itself_is_judged_by_its_type() -> None:
    class Liar:
        __class__ = property(_boom)  # type: ignore[assignment]

    with pytest.raises(NotLossless, match="Liar"):
        Encoder().encode(Liar())


def test_decoding_json_with_a_tag_among_other_keys_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Decoder().decode({"a": 1, "$ref": "x"})
