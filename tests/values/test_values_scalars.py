"""Scalars and the standard library's value types come back as they were, through JSON bytes."""

from __future__ import annotations

import enum
import io
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakekernel.testing.codecs import round_trip, same
from snakekernel.values import Decoder, Encoder, NotLossless


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 (an alias is a member too)
    BLUE = "blue"


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    HELLO = "hello"


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


class Outer:
    class Inner(enum.Enum):
        DEEP = 0


SAMPLES = [
    None,
    True,
    0,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    10**400,
    -(10**6000),
    0.0,
    -0.0,
    1.0,
    5e-324,
    1.7976931348623157e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "naïve ☃ \x00 \U0001f600",
    "\ud800 alone",
    complex("nan"),
    complex(-0.0, float("inf")),
    Decimal("1.10"),
    Decimal("-0"),
    Decimal("1E+1000"),
    Decimal("-Infinity"),
    Fraction(-1, 3),
    Fraction(2**70, 3),
    b"",
    b"\x00\xff",
    bytearray(b"abc"),
    date(1, 1, 1),
    date.max,
    datetime.min,
    datetime.max,
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-5, minutes=30, seconds=7, microseconds=3))),
    time(1, 2, 3, 4),
    time(1, tzinfo=UTC),
    timedelta.min,
    timedelta.max,
    timedelta(microseconds=-1),
    UTC,
    timezone(timedelta(hours=1), "Somewhere"),
    ZoneInfo("Asia/Kathmandu"),
    uuid.UUID(int=0),
    uuid.uuid1(),
    Path("/a/b"),
    Path("."),
    Path("\udcff"),
    PurePosixPath("//host/x"),
    PureWindowsPath("C:\\x"),
    Colour.RED,
    Colour.BLUE,
    Number.ONE,
    Word.HELLO,
    Mode.READ,
    Mode.READ | Mode.WRITE,
    Mode(0),
    Outer.Inner.DEEP,
    range(0),
    range(5, 2**70, 3),
    slice(None, 3),
    slice((1, 2), None, "x"),
    ...,
]


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_a_scalar_comes_back_as_it_was(sample: object) -> None:
    assert same(sample, round_trip(sample))


def test_fold_and_zone_come_back() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for moment in (
        datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=berlin),
        datetime(2020, 10, 25, 2, 30, fold=1),
        datetime(2020, 1, 1, tzinfo=timezone(timedelta(0), "GMT")),
        time(2, 30, fold=1, tzinfo=berlin),
        time(2, 30, fold=1),
    ):
        back = round_trip(moment)
        assert (back, back.fold, repr(back.tzinfo)) == (moment, moment.fold, repr(moment.tzinfo))
        assert type(back.tzinfo) is type(moment.tzinfo)


def test_uuid_keeps_whether_it_is_safe() -> None:
    for safe in uuid.SafeUUID:
        assert round_trip(uuid.UUID(int=1, is_safe=safe)).is_safe is safe


def test_enum_members_are_the_same_objects() -> None:
    assert round_trip(Colour.CRIMSON) is Colour.RED
    assert round_trip([Mode.WRITE])[0] is Mode.WRITE


def test_an_enum_class_is_resolved_by_the_callers_rule() -> None:
    encoder = Encoder()
    data = encoder.encode(Colour.RED)
    asked = []

    def resolve(name: str) -> object:
        asked.append(name)
        return Colour

    assert Decoder(resolve_name=resolve).decode(data) is Colour.RED
    assert asked == [f"{__name__}:Colour"]


def test_an_enum_that_cannot_be_found_is_refused() -> None:
    class Local(enum.Enum):
        A = 1

    with pytest.raises(NotLossless, match="cannot be found"):
        Encoder().encode(Local.A)


def test_a_foreign_time_zone_is_refused_and_not_asked() -> None:
    class Zone(tzinfo):
        def utcoffset(self, moment: datetime | None) -> timedelta:
            raise AssertionError("user code ran")

        dst = tzname = utcoffset  # type: ignore[assignment]

    with pytest.raises(NotLossless, match="time zone"):
        Encoder().encode(datetime(2020, 1, 1, tzinfo=Zone()))


def test_a_zone_without_a_key_is_refused() -> None:
    # The smallest TZif file: a header, one type of local time, its name.
    header = b"TZif" + b"\x00" * 16 + b"".join(n.to_bytes(4, "big") for n in (0, 0, 0, 0, 1, 4))
    zone = ZoneInfo.from_file(io.BytesIO(header + b"\x00" * 6 + b"UTC\x00"))
    with pytest.raises(NotLossless, match="key"):
        Encoder().encode(zone)


@pytest.mark.parametrize("form", ["B", "b", "c", "i", "d", "?", "Q"])
def test_memoryviews_keep_format_and_shape(form: str) -> None:
    flat = memoryview(bytearray(48)).cast(form)
    for view in (flat, flat[::2], flat[:0], memoryview(flat.cast("B")).cast(form, [2, len(flat) // 2])):
        back = round_trip(view)
        assert type(back) is memoryview
        assert (back.format, back.shape, back.tobytes()) == (view.format, view.shape, view.tobytes())


def test_bytes_are_sent_without_a_copy() -> None:
    for data in (b"abc", bytearray(b"abc")):
        encoder = Encoder()
        encoder.encode(data)
        assert encoder.buffers[0].obj is data


def test_a_whole_bytes_buffer_is_received_without_a_copy() -> None:
    data = b"abc" * 100
    assert Decoder([memoryview(data)]).decode({"$bytes": 0}) is data


def test_bare_big_integers_stay_exact() -> None:
    assert Decoder().decode(msgspec.json.decode(b"[1180591620717411303424]")) == [2**70]


moments = st.one_of(
    st.datetimes(timezones=st.none() | st.timezones(no_cache=False) | st.just(UTC)),
    st.times(timezones=st.none() | st.just(UTC)),
    st.dates(),
    st.timedeltas(),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.binary(max_size=20),
    moments,
    st.sampled_from([Colour.BLUE, Number.ONE, Mode.READ | Mode.WRITE, Path("/x"), PureWindowsPath("x"), ...]),
)
keys = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(st.characters()), st.tuples(st.integers(), st.text())
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.sets(keys, max_size=4),
        st.frozensets(keys, max_size=4),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(values)
def test_whatever_the_grammar_holds_comes_back_as_it_was(value: object) -> None:
    assert same(value, round_trip(value))
