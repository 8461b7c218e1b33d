"""Every malformed payload is an InvalidRequest whose path leads to the offending part."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakekernel.values import Decoder, Limits, Ref
from snakekernel.wire.errors import InvalidRequest, NotFound, SnakeError


class Colour(enum.Enum):
    RED = 1


class Mode(enum.Flag):
    READ = 1


HERE = f"{__name__}:"
U = "['$uuid']"

CASES: list[tuple[Any, str]] = [
    ({"$nothing": 1}, "$"),
    ({"": {"$nothing.at.all": 1}}, "$['']"),
    ({"$": 1}, "$"),
    ({"$not a tag!": 1}, "$"),
    ({"x": [0, {"a b": {"$uuid": 3}}]}, "$.x[1]['a b']['$uuid']"),
    ({"x": {"$uuid": "zz"}}, "$.x['$uuid']"),
    ({"$uuid": {"uuid": "zz", "safe": True}}, "$['$uuid'].uuid"),
    ({"$uuid": {"uuid": "zz"}}, "$['$uuid']"),
    ({"a": 1, "$tuple": []}, "$"),
    ({"$tuple": [], "a": 1}, "$"),
    ({"$tuple": [], "$set": []}, "$"),
    ({"$tuple": 3}, "$['$tuple']"),
    ({"$tuple": [1, {"$int": 5}]}, "$['$tuple'][1]['$int']"),
    ({"$set": [[1]]}, "$['$set'][0]"),
    ({"$set": [1, 1]}, "$['$set'][1]"),
    ({"$frozenset": [{}]}, "$['$frozenset'][0]"),
    ({"$dict": {}}, "$['$dict']"),
    ({"$dict": [[1, 2], [3]]}, "$['$dict'][1]"),
    ({"$dict": [[[], 2]]}, "$['$dict'][0][0]"),
    ({"$dict": [[1, 2], [1, 3]]}, "$['$dict'][1][0]"),
    ({"$dict": [[1, {"$int": "x"}]]}, "$['$dict'][0][1]['$int']"),
    ({"$int": "1.5"}, "$['$int']"),
    ({"$int": "9" * 5000}, "$['$int']"),
    ({"$int": ""}, "$['$int']"),
    ({"$float": "NaN"}, "$['$float']"),
    ({"$float": 1.5}, "$['$float']"),
    ({"$str": "x"}, "$['$str']"),
    ({"$str": [65, 0x110000]}, "$['$str'][1]"),
    ({"$str": [True]}, "$['$str'][0]"),
    ({"$complex": [1]}, "$['$complex']"),
    ({"$complex": [1, "2"]}, "$['$complex'][1]"),
    ({"$complex": [{"$float": 1}, 1]}, "$['$complex'][0]['$float']"),
    ({"$decimal": "one"}, "$['$decimal']"),
    ({"$decimal": 1}, "$['$decimal']"),
    ({"$fraction": [1, 0]}, "$['$fraction']"),
    ({"$fraction": [1]}, "$['$fraction']"),
    ({"$datetime": "yesterday"}, "$['$datetime']"),
    ({"$datetime": 0}, "$['$datetime']"),
    ({"$datetime": {"iso": "x"}}, "$['$datetime'].iso"),
    ({"$datetime": {"tz": None}}, "$['$datetime']"),
    ({"$datetime": {"iso": "2020-01-01", "tz": "UTC"}}, "$['$datetime'].tz"),
    ({"$datetime": {"iso": "2020-01-01", "fold": 2}}, "$['$datetime'].fold"),
    ({"$datetime": {"iso": "2020-01-01", "zone": 2}}, "$['$datetime'].zone"),
    ({"$datetime": {"iso": "2020-01-01T00+01", "tz": {"$zoneinfo": "UTC"}}}, "$['$datetime'].iso"),
    ({"$datetime": {"iso": "2020-01-01", "tz": {"$zoneinfo": "Mars/X"}}}, "$['$datetime'].tz['$zoneinfo']"),
    ({"$zoneinfo": "../../etc/passwd"}, "$['$zoneinfo']"),
    ({"$zoneinfo": "/etc/passwd"}, "$['$zoneinfo']"),
    ({"$zoneinfo": ""}, "$['$zoneinfo']"),
    ({"$zoneinfo": "Europe"}, "$['$zoneinfo']"),
    ({"$zoneinfo": "a\x00b"}, "$['$zoneinfo']"),
    ({"$date": "2020-13-01"}, "$['$date']"),
    ({"$time": "25:00"}, "$['$time']"),
    ({"$timedelta": [1, 2]}, "$['$timedelta']"),
    ({"$timedelta": [10**10, 0, 0]}, "$['$timedelta']"),
    ({"$timedelta": [1.5, 0, 0]}, "$['$timedelta']"),
    ({"$timezone": {"offset": [1, 0, 0]}}, "$['$timezone'].offset"),
    ({"$timezone": {"offset": [0, 0, 0], "name": 5}}, "$['$timezone'].name"),
    ({"$path": 5}, "$['$path']"),
    ({"$path": {"path": "x", "as": "PosixPath"}}, "$['$path'].as"),
    ({"$enum": {"class": "no.such:Class", "name": "X"}}, "$['$enum'].class"),
    ({"$enum": {"class": "os:environ", "name": "X"}}, "$['$enum'].class"),
    ({"$enum": {"class": "builtins:int", "name": "X"}}, "$['$enum'].class"),
    ({"$enum": {"class": HERE + "Colour", "name": "GREEN"}}, "$['$enum'].name"),
    ({"$enum": {"class": HERE + "Colour", "name": "__class__"}}, "$['$enum'].name"),
    ({"$enum": {"class": HERE + "Colour"}}, "$['$enum']"),
    ({"$enum": {"class": HERE + "Mode", "value": 64}}, "$['$enum'].value"),
    ({"$range": [1, 2]}, "$['$range']"),
    ({"$range": [1, 2, 0]}, "$['$range']"),
    ({"$slice": [1, 2]}, "$['$slice']"),
    ({"$ellipsis": 1}, "$['$ellipsis']"),
    ({"$bytes": 2}, "$['$bytes']"),
    ({"$bytes": -1}, "$['$bytes']"),
    ({"$bytes": True}, "$['$bytes']"),
    ({"$bytes": "AAAA"}, "$['$bytes']"),
    ([{"$bytes": 0}, {"$bytes": 0}], "$[1]['$bytes']"),
    ({"$bytes": {"buffer": 9, "as": "bytearray"}}, "$['$bytes'].buffer"),
    ({"$bytes": {"buffer": 0, "as": "str"}}, "$['$bytes'].as"),
    ({"$bytes": {"buffer": 0, "as": "memoryview", "format": "w"}}, "$['$bytes'].format"),
    ({"$bytes": {"buffer": 0, "as": "memoryview", "format": "d"}}, "$['$bytes'].shape"),
    ({"$bytes": {"buffer": 0, "as": "memoryview", "shape": [-1]}}, "$['$bytes'].shape[0]"),
    ({"$bytes": {"buffer": 0, "as": "bytearray", "format": "B"}}, "$['$bytes']"),
    ({"$ref": 5}, "$['$ref']"),
    ({"$ref": []}, "$['$ref']"),
    ({"$ref": [5, "x"]}, "$['$ref'][0]"),
    ({"$ref": ["df", {"attr": 5}]}, "$['$ref'][1].attr"),
    ({"$ref": ["df", {"attr": "x", "item": 1}]}, "$['$ref'][1]"),
    ({"$ref": ["df", {"item": {"$int": "x"}}]}, "$['$ref'][1].item['$int']"),
    ({"$step": -1}, "$['$step']"),
    ({"$step": "0"}, "$['$step']"),
    ({"$step": [True]}, "$['$step'][0]"),
    (b"not json", "$"),
    ([...], "$[0]"),
]


@pytest.mark.parametrize(
    ("data", "at"), CASES, ids=[f"{n}-{str(data)[:40]}" for n, (data, _) in enumerate(CASES)]
)
def test_a_malformed_payload_is_an_invalid_request_with_its_path(data: object, at: str) -> None:
    decoder = Decoder([memoryview(b"abc")])
    with pytest.raises(InvalidRequest) as caught:
        decoder.decode(data)
    assert caught.value.at == at
    assert caught.value.fault == "caller"
    assert caught.value.message
    # The decoder is still of use.
    assert decoder.decode([1]) == [1]


def test_the_path_begins_where_the_caller_says() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Decoder(at="$.args").decode([{"$x": 1}])
    assert caught.value.at == "$.args[0]"
    with pytest.raises(InvalidRequest) as caught:
        Decoder(at="$.args").decode({"a": {"$x": 1}}, at="$.kwargs")
    assert caught.value.at == "$.kwargs.a"


def test_a_resolvers_error_gets_the_path_of_the_reference() -> None:
    def resolve(ref: Ref) -> object:
        raise NotFound("no such object")

    with pytest.raises(NotFound) as caught:
        Decoder(resolve_ref=resolve).decode({"a": [{"$tuple": [{"$ref": "x"}]}]})
    assert caught.value.at == "$.a[0]['$tuple'][0]"


@pytest.mark.parametrize(
    "error", [ValueError("theirs"), KeyError("x"), RecursionError("deep"), KeyboardInterrupt()]
)
def test_a_resolvers_own_exceptions_pass_through(error: BaseException) -> None:
    def resolve(ref: Ref) -> object:
        raise error

    with pytest.raises(type(error)) as caught:
        Decoder(resolve_ref=resolve).decode({"$tuple": [{"$complex": [{"$ref": "x"}, 1]}]})
    assert caught.value is error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
tags = st.sampled_from(
    [
        "ref",
        "step",
        "tuple",
        "set",
        "frozenset",
        "dict",
        "int",
        "float",
        "str",
        "complex",
        "decimal",
        "fraction",
        "datetime",
        "date",
        "time",
        "timedelta",
        "timezone",
        "zoneinfo",
        "uuid",
        "path",
        "enum",
        "range",
        "slice",
        "ellipsis",
        "bytes",
        "ndarray",
        "npscalar",
        "dtype",
        "arrow",
        "pandas",
        "callback",
    ]
)
fields = st.sampled_from(
    [
        "buffer",
        "as",
        "dtype",
        "shape",
        "order",
        "scalar",
        "value",
        "iso",
        "tz",
        "fold",
        "class",
        "name",
        "path",
        "format",
        "meta",
        "offset",
        "unit",
        "start",
        "stop",
        "step",
    ]
)
payloads = st.recursive(
    json_values | st.just(0) | st.just([0]) | st.just("<f8"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(fields, inner, max_size=4)
        | st.tuples(tags, inner).map(lambda pair: {"$" + pair[0]: pair[1]})
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(tags, payloads)
def test_any_payload_decodes_or_raises_a_protocol_error_with_a_path(tag: str, payload: object) -> None:
    data = json.loads(json.dumps([{"$" + tag: payload}]))
    at = "$[0]"
    try:
        Decoder([memoryview(b"\x01" * 16)], Limits(items=1000)).decode(data)
    except SnakeError as exc:
        at = exc.at or ""
    assert at.startswith("$[0]")
