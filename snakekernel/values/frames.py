"""pandas frames, series and indexes as ``$arrow``: one Arrow table, and ``meta`` for what its schema lacks.

Rules: every column is a field of the table, and so is a flat row index (the last field); a RangeIndex or
MultiIndex, and column labels that are not text, travel in ``meta`` as values of their own. ``meta`` may be
left out by other clients: then fields become columns by pandas' own conversion. Names, labels, frequencies,
attrs and flags come back as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from snakekernel.values import arrow
from snakekernel.values.bounds import NotLossless, member
from snakekernel.values.columns import from_arrow, object_array, string_dtype, to_arrow
from snakekernel.values.encoder import is_text
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

#: Index classes that are one column of an Arrow table.
FLAT_INDEXES = (
    pd.Index,
    pd.DatetimeIndex,
    pd.TimedeltaIndex,
    pd.PeriodIndex,
    pd.CategoricalIndex,
    pd.IntervalIndex,
)


def _table(columns: list[tuple[Any, Any]]) -> Any:
    """A table of (label, Arrow array) pairs; labels that are not text are named by their position."""
    names = [
        label if type(label) is str and is_text(label) else str(position)
        for position, (label, _) in enumerate(columns)
    ]
    return pa.table([column for _, column in columns], names=names)


# Indexes ----------------------------------------------------------------------------------------------------


def _describe_index(index: Any, encoder: Encoder) -> tuple[Any, dict[str, Any]]:
    column, spec = to_arrow(index.array, encoder)
    meta: dict[str, Any] = {"spec": spec, "name": encoder.encode(index.name)}
    freq = getattr(index, "freq", None) if type(index) in (pd.DatetimeIndex, pd.TimedeltaIndex) else None
    if freq is not None:
        if pd.tseries.frequencies.to_offset(freq.freqstr) != freq:
            raise NotLossless(f"its frequency {freq.freqstr} is a custom one")
        meta["freq"] = freq.freqstr
    return column, meta


def _build_index(column: Any, meta: Any, decoder: Decoder, *steps: str | int) -> Any:
    values = from_arrow(column, meta.get("spec"), decoder, *steps, "spec")
    name = decoder.child(meta.get("name"), *steps, "name")
    index = pd.Index(values, dtype=values.dtype, name=name, copy=False)
    freq = meta.get("freq")
    if freq is not None:
        if type(freq) is not str or type(index) not in (pd.DatetimeIndex, pd.TimedeltaIndex):
            raise InvalidRequest(
                "only an index of times has a frequency, text", at=decoder.at(*steps, "freq")
            )
        try:
            index.freq = freq
        except ValueError as exc:
            raise InvalidRequest(f"not its frequency: {exc}", at=decoder.at(*steps, "freq")) from None
    return index


def encode_index(index: Any, encoder: Encoder) -> dict[str, Any]:
    """A flat Index as a table of one column."""
    column, meta = _describe_index(index, encoder)
    buffer = arrow.write(_table([(index.name, column)]), encoder)
    return {"buffer": buffer, "as": f"pandas.{type(index).__name__}", "meta": meta}


def _decode_index(table: Any, meta: Any, decoder: Decoder) -> Any:
    _width(table, 1, decoder)
    return _build_index(table.column(0), meta or {}, decoder, "meta")


def encode_multi_index(index: Any, encoder: Encoder) -> dict[str, Any]:
    """A MultiIndex as its codes (a table) and its levels (values in ``meta``)."""
    meta = {
        "levels": encoder.encode(list(index.levels)),
        "names": encoder.encode(list(index.names)),
    }
    table = _table([(name, pa.array(codes)) for name, codes in zip(index.names, index.codes, strict=True)])
    return {"buffer": arrow.write(table, encoder), "as": "pandas.MultiIndex", "meta": meta}


def _decode_multi_index(table: Any, meta: Any, decoder: Decoder) -> Any:
    if meta is None:
        return pd.MultiIndex.from_arrays([column.to_pandas() for column in table.columns])
    levels = decoder.child(meta.get("levels"), "meta", "levels")
    names = decoder.child(meta.get("names"), "meta", "names")
    if type(levels) is not list or not all(isinstance(level, pd.Index) for level in levels):
        raise InvalidRequest("expected an array of Indexes", at=decoder.at("meta", "levels"))
    _width(table, len(levels), decoder)
    codes = [column.to_numpy() for column in table.columns]
    return pd.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=True)


# Row index and labels ---------------------------------------------------------------------------------------


def _encode_rows(index: Any, columns: list[tuple[Any, Any]], encoder: Encoder) -> dict[str, Any]:
    if type(index) in FLAT_INDEXES:
        column, meta = _describe_index(index, encoder)
        columns.append((index.name, column))
        return meta
    return {"value": encoder.encode(index)}


def _decode_rows(table: Any, meta: dict[str, Any], decoder: Decoder) -> tuple[Any, int]:
    """The row index, and how many of the table's fields are columns."""
    rows = meta.get("rows")
    if rows is None:
        return pd.RangeIndex(table.num_rows), table.num_columns
    if type(rows) is not dict:
        raise InvalidRequest("expected an object", at=decoder.at("meta", "rows"))
    if "value" not in rows:
        if not table.num_columns:
            raise InvalidRequest("the field of the index is missing", at=decoder.at("buffer"))
        width = table.num_columns - 1
        return _build_index(table.column(width), rows, decoder, "meta", "rows"), width
    index = decoder.child(rows["value"], "meta", "rows", "value")
    if not isinstance(index, pd.Index):
        raise InvalidRequest("expected an Index", at=decoder.at("meta", "rows", "value"))
    return index, table.num_columns


def _encode_labels(labels: Any, encoder: Encoder) -> dict[str, Any]:
    # The common case, a few words, needs no table of its own.
    if type(labels) is pd.Index and (labels.dtype == object or type(labels.dtype) is pd.StringDtype):
        _, spec = to_arrow(labels.array, encoder)
        if spec["kind"] != "objects":
            spec["items"] = encoder.encode(labels.tolist())
        return {"spec": spec, "name": encoder.encode(labels.name)}
    return {"value": encoder.encode(labels)}


def _decode_labels(meta: Any, decoder: Decoder) -> Any:
    if type(meta) is not dict:
        raise InvalidRequest("expected an object", at=decoder.at("meta", "labels"))
    if "value" in meta:
        labels = decoder.child(meta["value"], "meta", "labels", "value")
        if not isinstance(labels, pd.Index):
            raise InvalidRequest("expected an Index", at=decoder.at("meta", "labels", "value"))
        return labels
    spec = meta.get("spec")
    if type(spec) is not dict or spec.get("kind") not in ("text", "objects", "string"):
        raise InvalidRequest("expected text, objects or string", at=decoder.at("meta", "labels", "spec"))
    items = decoder.child(spec.get("items"), "meta", "labels", "spec", "items")
    if type(items) is not list:
        raise InvalidRequest("expected an array", at=decoder.at("meta", "labels", "spec", "items"))
    if spec["kind"] == "string":
        values = pd.array(items, dtype=string_dtype(spec, decoder, ("meta", "labels", "spec")))
    else:
        values = object_array(items)
    name = decoder.child(meta.get("name"), "meta", "labels", "name")
    return pd.Index(values, dtype=values.dtype, name=name)


def _encode_attributes(obj: Any, meta: dict[str, Any], encoder: Encoder) -> None:
    if obj.attrs:
        try:
            meta["attrs"] = encoder.encode(obj.attrs)
        except NotLossless as exc:
            exc.path = ".attrs" + exc.path
            raise
    if not obj.flags.allows_duplicate_labels:
        meta["unique_labels"] = True


def _decode_attributes(obj: Any, meta: dict[str, Any], decoder: Decoder) -> Any:
    if "attrs" in meta:
        attrs = decoder.child(meta["attrs"], "meta", "attrs")
        if type(attrs) is not dict:
            raise InvalidRequest("expected a dict", at=decoder.at("meta", "attrs"))
        obj.attrs = attrs
    if meta.get("unique_labels") is True:
        obj.flags.allows_duplicate_labels = False
    return obj


# Frames and series ------------------------------------------------------------------------------------------


def encode_frame(frame: Any, encoder: Encoder) -> dict[str, Any]:
    """A DataFrame: its columns, then its row index if that is flat."""
    columns: list[tuple[Any, Any]] = []
    specs = []
    for position, label in enumerate(frame.columns):
        try:
            column, spec = to_arrow(frame.iloc[:, position].array, encoder)
        except NotLossless as exc:
            exc.path = member(label) + exc.path
            raise
        columns.append((label, column))
        specs.append(spec)
    meta: dict[str, Any] = {"columns": specs, "labels": _encode_labels(frame.columns, encoder)}
    meta["rows"] = _encode_rows(frame.index, columns, encoder)
    _encode_attributes(frame, meta, encoder)
    return {"buffer": arrow.write(_table(columns), encoder), "as": "pandas.DataFrame", "meta": meta}


def _decode_frame(table: Any, meta: Any, decoder: Decoder) -> Any:
    if meta is None:
        return table.to_pandas(ignore_metadata=True)
    index, width = _decode_rows(table, meta, decoder)
    specs = decoder.expect(meta.get("columns"), list, "meta", "columns")
    labels = _decode_labels(meta.get("labels"), decoder)
    if len(specs) != width:
        raise InvalidRequest(f"the table has {width} columns", at=decoder.at("meta", "columns"))
    if len(labels) != width:
        raise InvalidRequest(f"expected {width} labels, not {len(labels)}", at=decoder.at("meta", "labels"))
    columns = {
        position: _series(
            from_arrow(table.column(position), spec, decoder, "meta", "columns", position), index
        )
        for position, spec in enumerate(specs)
    }
    frame = pd.DataFrame(columns, index=index)
    frame.columns = labels
    return _decode_attributes(frame, meta, decoder)


def encode_series(series: Any, encoder: Encoder) -> dict[str, Any]:
    """A Series: its values, then its row index if that is flat."""
    column, spec = to_arrow(series.array, encoder)
    columns = [(series.name, column)]
    meta = {"column": spec, "name": encoder.encode(series.name)}
    meta["rows"] = _encode_rows(series.index, columns, encoder)
    _encode_attributes(series, meta, encoder)
    return {"buffer": arrow.write(_table(columns), encoder), "as": "pandas.Series", "meta": meta}


def _decode_series(table: Any, meta: Any, decoder: Decoder) -> Any:
    if meta is None:
        _width(table, 1, decoder)
        return table.column(0).to_pandas()
    index, width = _decode_rows(table, meta, decoder)
    if width != 1:
        raise InvalidRequest(f"a Series has one column, not {width}", at=decoder.at("buffer"))
    values = from_arrow(table.column(0), meta.get("column"), decoder, "meta", "column")
    name = decoder.child(meta.get("name"), "meta", "name")
    return _decode_attributes(_series(values, index, name), meta, decoder)


def _series(values: Any, index: Any, name: Any = None) -> Any:
    # The dtype is given, because pandas would make objects that are text into strings.
    return pd.Series(values, index=index, dtype=values.dtype, name=name, copy=False)


def _width(table: Any, width: int, decoder: Decoder) -> None:
    if table.num_columns != width:
        raise InvalidRequest(f"expected {width} columns, not {table.num_columns}", at=decoder.at("buffer"))


KINDS: dict[str, Callable[[Any, Any, Decoder], Any]] = {
    "pandas.DataFrame": _decode_frame,
    "pandas.Series": _decode_series,
    "pandas.MultiIndex": _decode_multi_index,
    **{f"pandas.{kind.__name__}": _decode_index for kind in FLAT_INDEXES},
}
