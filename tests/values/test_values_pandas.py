"""pandas and pyarrow objects: every dtype and kind of index comes back; what has no exact form is refused."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal

from snakekernel.testing.codecs import round_trip
from snakekernel.values import Decoder, Encoder, Limits, NotLossless
from snakekernel.wire.errors import InvalidRequest, LimitExceeded


def check(one: Any) -> None:
    back = round_trip(one)
    assert type(back) is type(one)
    if isinstance(one, pd.DataFrame):
        assert_frame_equal(one, back, check_exact=True, check_freq=True)
        assert type(back.index) is type(one.index)
        assert type(back.columns) is type(one.columns)
        assert list(back.dtypes) == list(one.dtypes)
    elif isinstance(one, pd.Series):
        assert_series_equal(one, back, check_exact=True, check_freq=True)
        assert type(back.index) is type(one.index)
        assert type(back.array) is type(one.array)
        assert back.dtype == one.dtype
    else:
        assert_index_equal(one, back, exact=True)
        assert getattr(back, "freq", None) == getattr(one, "freq", None)
        assert back.dtype == one.dtype
        assert back.names == one.names


S = pd.Series
COLUMNS = {
    "int64": S([1, -2]),
    "uint8": S(np.array([1, 255], "u1")),
    "float64": S([1.5, np.nan, -0.0, np.inf], name="n"),
    "float16": S(np.array([1, np.nan], "f2")),
    "bool": S([True, False]),
    "complex": S([1 + 2j, complex("nan")]),
    "complex64": S(np.array([1 + 2j], "c8")),
    "str": S(["a", None, "é"]),
    "str python": S(["a", None], dtype=pd.StringDtype("python", na_value=np.nan)),
    "string": S(["a", None], dtype="string"),
    "string python": S(["a", None], dtype=pd.StringDtype("python")),
    "object text": S(["a", None, ""], dtype=object),
    "object mixed": S(["a", 1, None, np.nan, dt.date(2020, 1, 1), decimal.Decimal("1.0")], dtype=object),
    "object pandas": S([pd.NA, pd.NaT, pd.Timestamp("2020", tz="UTC"), np.float32(1)], dtype=object),
    "object lists": S([(1, 2), [3], {"a": (1,)}], dtype=object),
    "object surrogate": S(["\ud800"], dtype=object),
    "object empty": S([], dtype=object),
    "Int64": S([1, None, 2**60], dtype="Int64"),
    "UInt8": S([1, None], dtype="UInt8"),
    "Float32": S([1.5, None], dtype="Float32"),
    "boolean": S([True, None], dtype="boolean"),
    "category": S(["a", "b", "a", None], dtype="category"),
    "ordered": S([3, 1], dtype=pd.CategoricalDtype([3, 2, 1], ordered=True)),
    "category of times": S(pd.Categorical(pd.date_range("2020", periods=2, freq="D"))),
    "category empty": S([], dtype="category"),
    "datetime us": S(pd.to_datetime(["2020-01-01 00:00:00.000001", None])),
    "datetime s": S(np.array(["2020", "NaT", "-9999"], "M8[s]")),
    "zoned": S(pd.date_range("2020-03-29", periods=5, freq="h", tz="Europe/Berlin", unit="s")),
    "zoned utc": S(pd.to_datetime(["2020", None], utc=True)),
    "zoned fixed": S(pd.date_range("2020", periods=2, tz=dt.timezone(dt.timedelta(hours=2)))),
    "timedelta": S(pd.to_timedelta([1, None, -5], unit="s")),
    "period M": S(pd.period_range("2020", periods=2, freq="M")),
    "period Y": S(pd.PeriodIndex(["2020", None], freq="Y-MAR")),
    "interval": S(pd.interval_range(0, 2, closed="both")),
    "interval times": S(pd.interval_range(pd.Timestamp("2020"), periods=2)),
    "interval missing": S(pd.IntervalIndex.from_tuples([(0, 1), np.nan])),
    "arrow int": S([1, None], dtype="int64[pyarrow]"),
    "arrow list": S([[1], [2, 3], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    "arrow decimal": S([decimal.Decimal("1.10")], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_columns_of_every_dtype_come_back(column: Any) -> None:
    for one in (column, column.iloc[1:], column.iloc[::-1], column.iloc[:0]):
        check(one)
        check(one.to_frame("c"))
        if one.dtype != "float16":
            check(pd.Index(one, name="i"))
            check(pd.Series(range(len(one)), index=pd.Index(one)))
    check(pd.DataFrame({"a": column, "b": column, 3: range(len(column))}))


INDEXES = [
    pd.RangeIndex(5),
    pd.RangeIndex(1, 10, 3, name=("a", 1)),
    pd.Index([], dtype="int64"),
    pd.Index(["x", "y", "x"]),
    pd.Index([1, "a", None, (1, 2)], dtype=object),
    pd.date_range("2020", periods=3, freq="D", name="when"),
    pd.date_range("2020", periods=3, freq="B", tz="America/New_York"),
    pd.DatetimeIndex(["2021", "2020"]),
    pd.timedelta_range("1h", periods=3, freq="30min"),
    pd.period_range("2020Q1", periods=2, freq="Q"),
    pd.CategoricalIndex(["a", "b"], ordered=True),
    pd.interval_range(0.0, 3),
    pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", None]),
    pd.MultiIndex.from_arrays([["a", None], pd.date_range("2020", periods=2), pd.Categorical([1, 2])]),
    pd.MultiIndex.from_tuples([], names=["x", "y"]),
]


@pytest.mark.parametrize("index", INDEXES, ids=range(len(INDEXES)))
def test_indexes_come_back_alone_as_rows_and_as_labels(index: Any) -> None:
    check(index)
    check(pd.Series(np.arange(len(index)), index=index))
    check(pd.DataFrame({"a": np.arange(len(index))}, index=index))
    check(pd.DataFrame(np.ones((2, len(index))), columns=index))


FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": pd.date_range("2020", periods=3)})
FRAMES = [
    FRAME,
    FRAME.set_index("b"),
    FRAME.set_index(["a", "b"]),
    FRAME.T,
    FRAME.describe(),
    FRAME[::2],
    FRAME.groupby("b").agg({"a": ["min", "max"]}),
    pd.DataFrame(),
    pd.DataFrame(index=[1, 2]),
    pd.DataFrame(columns=["a"]),
    pd.DataFrame([[1, 2]], columns=["a", "a"]),
    pd.DataFrame({1: [1], "1": [2], (1, 2): [3], None: [4]}),
    pd.DataFrame([[1]], columns=pd.Index(["a"], name="cols", dtype=object)),
    pd.DataFrame([[1]], index=pd.Index(["a"], name="rows")),
    pd.DataFrame(np.arange(6).reshape(2, 3), index=[7, 7]),
]


@pytest.mark.parametrize("frame", FRAMES, ids=range(len(FRAMES)))
def test_frames_come_back(frame: Any) -> None:
    check(frame)
    assert_frame_equal(round_trip({"x": (frame, 1)})["x"][0], frame)


def test_attrs_flags_and_names_come_back() -> None:
    for one in (FRAME.copy(), pd.Series([1], name=("a", 1))):
        one.attrs = {"unit": ("m", 1)}
        one.flags.allows_duplicate_labels = False
        back = round_trip(one)
        assert back.attrs == {"unit": ("m", 1)}
        assert not back.flags.allows_duplicate_labels
        assert getattr(back, "name", None) == getattr(one, "name", None)


def test_decoded_frames_can_be_changed() -> None:
    back = round_trip(FRAME)
    back.iloc[0, 0] = 10
    back.loc[1, "b"] = "new"
    back["d"] = 1
    assert back.iloc[0, 0] == 10
    series = round_trip(pd.Series([1.0, 2.0]))
    series.iloc[0] = 5
    assert series.sum() == 7


@pytest.mark.parametrize(
    "scalar",
    [
        pd.Timestamp("2020-01-01 12:00"),
        pd.Timestamp(1, unit="ns"),
        pd.Timestamp("2020-10-25 12:30", tz="Europe/Berlin"),
        pd.Timestamp("2020", tz="UTC"),
        pd.Timestamp.max,
        pd.Timedelta(-1, unit="ns"),
        pd.Timedelta("5 days"),
        pd.Period("2020-02", "M"),
        pd.Period("2020", "Y"),
        pd.Interval(0, 1.5, closed="neither"),
        pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021")),
    ],
    ids=repr,
)
def test_scalars_come_back(scalar: Any) -> None:
    back = round_trip(scalar)
    assert (type(back), back, repr(back)) == (type(scalar), scalar, repr(scalar))
    assert getattr(back, "unit", None) == getattr(scalar, "unit", None)


def test_missing_values_are_the_same_objects() -> None:
    assert round_trip(pd.NaT) is pd.NaT
    assert round_trip([pd.NA])[0] is pd.NA


def test_fold_of_timestamps_comes_back() -> None:
    for text, zone in (("2020-10-25 00:30", "Europe/Berlin"), ("2020-10-25 01:30", "Europe/Berlin")):
        stamp = pd.Timestamp(text, tz="UTC").tz_convert(zone)
        assert round_trip(stamp).fold == stamp.fold


class Frame(pd.DataFrame):
    pass


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (pd.Series(pd.arrays.SparseArray([1, 0])), "", "Sparse"),
        (pd.Series([1, object()]), "[1]", "object"),
        (pd.DataFrame({"ok": [1], "bad one": [{1: object()}]}), "['bad one'][0][1]", "object"),
        (pd.Series([1], name=object), "", "no codec"),
        (pd.Series(np.array([1], ">i4")), "", "byte order"),
        (Frame({"a": [1]}), "", "subclass of pandas"),
        (pd.DataFrame({"a": [1]}, index=pd.Index([object()])), "[0]", "object"),
        (pd.tseries.offsets.Day(1), "", "no codec"),
    ],
    ids=range(8),
)
def test_what_has_no_exact_form_is_refused(value: Any, path: str, reason: str) -> None:
    with pytest.raises(NotLossless, match=reason) as caught:
        Encoder().encode(value)
    assert caught.value.path == path


ARROW = [
    pa.table({"a": [1, None], "b": ["x", None], "c": [[1], []]}),
    pa.table({"a": pa.array(["x", "y", "x"]).dictionary_encode()}),
    pa.table({}),
    pa.table({"a": pa.array([], pa.int8())}),
    pa.table({"a": [1]}).replace_schema_metadata({"k": "v"}),
    pa.table([[1], [2]], names=["a", "a"]),
    pa.record_batch({"a": [1, 2]}),
    pa.record_batch({"a": pa.array([], pa.string())}),
    pa.array([1, None]),
    pa.array([1, 2, 3])[1:],
    pa.array([]),
    pa.array([{"a": [1]}]),
    pa.chunked_array([[1], [2, 3]]),
    pa.chunked_array([], pa.int8()),
]


@pytest.mark.parametrize("one", ARROW, ids=range(len(ARROW)))
def test_arrow_objects_come_back(one: Any) -> None:
    back = round_trip(one)
    assert type(back) is type(one)
    if hasattr(one, "schema"):
        assert back.schema.equals(one.schema, check_metadata=True)
    else:
        assert back.type == one.type
    assert back.equals(one)


class Odd(pa.ExtensionType):
    hostile = False

    def __init__(self) -> None:
        super().__init__(pa.int64(), "tests.odd")

    def __arrow_ext_serialize__(self) -> bytes:
        assert not self.hostile, "user code ran"
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> Any:
        return cls()


def test_extension_types_are_refused_and_run_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = pa.ExtensionArray.from_storage(Odd(), pa.array([1]))
    nested = pa.ListArray.from_arrays(pa.array([0, 1]), odd)
    samples = (odd, pa.table([odd], names=["a"]), pa.chunked_array([odd]), nested)
    monkeypatch.setattr(Odd, "hostile", True)
    for one in samples:
        with pytest.raises(NotLossless, match=r"tests\.odd"):
            Encoder().encode(one)


def stream(table: Any) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return memoryview(sink.getvalue())


def test_a_client_without_pandas_sends_a_frame_without_meta() -> None:
    view = stream(pa.table({"a": [1, 2], "b": ["x", "y"]}))
    frame = Decoder([view]).decode({"$arrow": {"buffer": 0, "as": "pandas.DataFrame"}})
    assert_frame_equal(frame, pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    series = Decoder([stream(pa.table({"a": [1]}))]).decode({"$arrow": {"buffer": 0, "as": "pandas.Series"}})
    assert series.tolist() == [1]
    index = Decoder([stream(pa.table({"a": [1]}))]).decode({"$arrow": {"buffer": 0, "as": "pandas.Index"}})
    assert index.tolist() == [1]


RANGE = {"value": {"$pandas": {"as": "RangeIndex", "start": 0, "stop": 2, "step": 1}}}
LABELS = {"spec": {"kind": "text", "items": ["a", "b"]}}
INT = {"kind": "numpy", "dtype": "<i8"}
COLUMN = ".meta.columns[1]"
META = {"columns": [INT, INT], "labels": LABELS, "rows": RANGE}


def second(spec: dict[str, Any]) -> dict[str, Any]:
    return {**META, "columns": [INT, spec]}


@pytest.mark.parametrize(
    ("kind", "meta", "at"),
    [
        ("pandas.DataFrame", {}, ".meta.columns"),
        ("pandas.DataFrame", {"columns": [INT, INT]}, ".meta.labels"),
        ("pandas.DataFrame", {**META, "columns": [INT]}, ".meta.columns"),
        ("pandas.DataFrame", second({"kind": "pickle"}), COLUMN + ".kind"),
        (
            "pandas.DataFrame",
            second({"kind": "numpy", "dtype": "O"}),
            COLUMN + ".dtype",
        ),
        (
            "pandas.DataFrame",
            second({"kind": "objects", "items": []}),
            COLUMN + ".items",
        ),
        ("pandas.DataFrame", second({"kind": "string"}), COLUMN + ".storage"),
        ("pandas.DataFrame", second({"kind": "masked"}), COLUMN + ".dtype"),
        ("pandas.DataFrame", second({"kind": "zoned"}), COLUMN + ".tz"),
        (
            "pandas.DataFrame",
            second({"kind": "categorical"}),
            COLUMN + ".categories",
        ),
        ("pandas.DataFrame", second({"kind": "period", "dtype": "os"}), ""),
        ("pandas.DataFrame", {**META, "labels": {"value": 1}}, ".meta.labels.value"),
        ("pandas.DataFrame", {**META, "labels": {"spec": {"kind": "text", "items": ["a"]}}}, ".meta.labels"),
        ("pandas.DataFrame", {**META, "rows": {"value": [0, 1]}}, ".meta.rows.value"),
        ("pandas.DataFrame", {**META, "rows": 5}, ".meta.rows"),
        ("pandas.DataFrame", {**META, "attrs": []}, ".meta.attrs"),
        ("pandas.DataFrame", {**META, "rows": {"value": {"$uuid": 1}}}, ".meta.rows.value['$uuid']"),
        ("pandas.Series", {"column": INT, "rows": RANGE}, ".buffer"),
        ("pandas.Index", {"spec": INT}, ".buffer"),
        ("pandas.MultiIndex", {"levels": [1]}, ".meta.levels"),
        ("pandas.read_pickle", None, ".as"),
        ("os.system", None, ".as"),
        ("pyarrow.Array", None, ".buffer"),
        ("pyarrow.Table", {}, ".meta"),
    ],
    ids=range(24),
)
def test_malformed_arrow_payloads_are_invalid_requests(kind: str, meta: Any, at: str) -> None:
    payload = {"buffer": 0, "as": kind, **({} if meta is None else {"meta": meta})}
    with pytest.raises(InvalidRequest) as caught:
        Decoder([stream(pa.table({"a": [1, 2], "b": [3, 4]}))]).decode([{"$arrow": payload}])
    assert caught.value.at == "$[0]['$arrow']" + at


def test_a_damaged_stream_is_an_invalid_request() -> None:
    good = bytes(stream(pa.table({"a": ["x" * 50, "y"], "b": [3, 4]})))
    for damaged in (b"", b"junk", good[:40], good[:-60], good[:100] + b"\xff" * 30 + good[130:]):
        with pytest.raises(InvalidRequest) as caught:
            Decoder([memoryview(damaged)]).decode({"$arrow": {"buffer": 0, "as": "pyarrow.Table"}})
        assert caught.value.at == "$['$arrow'].buffer"


def test_offsets_that_lead_astray_are_an_invalid_request() -> None:
    good = bytes(stream(pa.table({"a": ["seven__", "four"]})))
    before, after = (np.array(offsets, "i4").tobytes() for offsets in ([0, 7, 11], [0, 10**6, 11]))
    assert good.count(before) == 1
    decoder = Decoder([memoryview(good.replace(before, after))])
    with pytest.raises(InvalidRequest, match="malformed Arrow"):
        decoder.decode({"$arrow": {"buffer": 0, "as": "pyarrow.Table"}})


def test_the_limit_on_buffers_holds_for_tables() -> None:
    frame = pd.DataFrame({"a": np.zeros(1000)})
    with pytest.raises(LimitExceeded):
        Encoder(Limits(buffer_bytes=7000)).encode(frame)
