"""Whole columns out of what each library keeps them in."""

from __future__ import annotations

import datetime
from typing import Any, Final

from snakekernel.inspection import genuine, kinds, masks
from snakekernel.inspection.column import NANOSECONDS, CategoryColumn, Column, NumberColumn, TimeColumn
from snakekernel.inspection.list_column import ListColumn
from snakekernel.inspection.task import Task
from snakekernel.inspection.text_columns import ArrowText, PolarsText

_NUMERIC: Final = ("integer", "number", "boolean")

#: Nanoseconds in the numbers that Arrow and polars keep times in, by the unit they name.
_UNITS: Final = {**NANOSECONDS, "μs": 1_000}


def of_cells(cells: list[Any], task: Task) -> Column:
    """A column of Python objects."""
    return ListColumn(cells, task=task)


def of_numpy(array: Any, task: Task, cells: Any = None) -> Column:
    """A column of a one-dimensional array; ``cells`` turns a part of it into a page's cells."""
    kind = kinds.of_dtype(array.dtype) if array.ndim == 1 else "other"
    cells = cells or python_cells
    if kind in _NUMERIC:
        return NumberColumn(array, None, kind)
    if kind in ("datetime", "duration"):
        return _of_numpy_times(array, kind, cells)
    return ListColumn(cells(array), kind, task)


def _of_numpy_times(array: Any, kind: Any, cells: Any, zone: Any = None) -> Column:
    numpy = masks.numpy()
    unit, step = numpy.datetime_data(array.dtype)
    if unit not in NANOSECONDS:  # months have no fixed length; what is finer than a nanosecond is cut
        unit, step = ("s" if unit in ("Y", "M") and kind == "datetime" else "ns"), 1
        array = array.astype(f"{array.dtype.kind}8[{unit}]")
    dtype = array.dtype
    ints = array.view(numpy.int64)
    return TimeColumn(
        ints,
        numpy.isnat(array),
        kind,
        lambda part: cells(part.astype(numpy.int64).view(dtype)),
        NANOSECONDS[unit] * step,
        zone,
    )


def python_cells(array: Any) -> list[Any]:
    """The cells of an array as Python objects."""
    if array.dtype.kind in "mM" or array.ndim > 1:
        return list(array)  # tolist() would turn nanoseconds into bare integers
    cells: list[Any] = array.tolist()
    return cells


def of_pandas(values: Any, task: Task) -> Column:
    """A column of a Series or an Index."""
    dtype = values.dtype
    kind = kinds.of_dtype(dtype)
    if kind == "category":
        array = values.array
        return CategoryColumn(
            masks.numpy().asarray(array.codes), dtype.categories.tolist(), bool(array.ordered)
        )
    if genuine.library_kind(dtype, "numpy", "dtype"):
        return of_numpy(values.to_numpy(), task, pandas_cells)
    if genuine.library_kind(dtype, "pandas", "DatetimeTZDtype"):
        plain = values.dt.tz_convert(None) if hasattr(values, "dt") else values.tz_convert(None)
        pandas = genuine.library("pandas")
        return _of_numpy_times(
            plain.to_numpy(),
            kind,
            lambda part: pandas["DatetimeIndex"](part).tz_localize("UTC").tz_convert(dtype.tz).tolist(),
            dtype.tz,
        )
    if kind in (*_NUMERIC, "text", "datetime", "duration") and hasattr(values.array, "__arrow_array__"):
        made = _through_arrow(values, task)
        if made is not None:
            return made
    return ListColumn(pandas_cells(values), kind, task)


def _through_arrow(values: Any, task: Task) -> Column | None:
    """Nullable numbers and texts: their own array hands Arrow what it keeps, mostly without a copy."""
    try:
        import pyarrow
    except ImportError:
        return None
    return of_arrow(pyarrow.chunked_array(pyarrow.array(values.array)), task)


def pandas_cells(column: Any) -> list[Any]:
    """The cells of a Series, an Index or an array of one; missing ones of what are no numbers ``None``."""
    pandas = genuine.library("pandas")
    if genuine.library_kind(column, "numpy", "ndarray"):
        column = pandas["Index"](column)
    cells: list[Any] = column.tolist()
    if getattr(column.dtype, "kind", "O") in "fc":
        return cells
    # Where NaN is no number it stands for a missing value.
    return [None if type(cell) is float and cell != cell else cell for cell in cells]


def of_arrow(values: Any, task: Task) -> Column:
    """A column of a ``pyarrow.ChunkedArray``."""
    import pyarrow

    kind, of = kinds.of_arrow(values.type), pyarrow.types
    if kind == "text":
        if of.is_string_view(values.type):
            values = values.cast(pyarrow.large_string())
        return ArrowText(values)
    if kind in _NUMERIC and not of.is_decimal(values.type):
        return NumberColumn(*_arrow_numbers(values), kind)
    if kind in ("datetime", "duration"):
        unit = {"date32": "D", "date64": "ms"}.get(str(values.type).partition("[")[0]) or values.type.unit
        whole = pyarrow.int32() if of.is_date32(values.type) else pyarrow.int64()
        numbers, gone = _arrow_numbers(values.cast(whole))
        cell_type = values.type
        return TimeColumn(
            numbers,
            gone,
            kind,
            lambda part: pyarrow.array(part).cast(whole).cast(cell_type).to_pylist(),
            _UNITS[unit],
            _zone(getattr(values.type, "tz", None)),
        )
    if kind == "category":
        whole = values.unify_dictionaries().combine_chunks()
        if not isinstance(whole, pyarrow.ChunkedArray):
            codes = pyarrow.compute.fill_null(whole.indices, -1).to_numpy()
            return _lexical(codes, whole.dictionary.to_pylist())
    return ListColumn(values.to_pylist(), kind, task)


def _arrow_numbers(values: Any) -> tuple[Any, Any]:
    import pyarrow.compute as compute

    masks.numpy()
    if not values.null_count:
        return values.to_numpy(), None
    empty = False if str(values.type) == "bool" else 0
    return compute.fill_null(values, empty).to_numpy(), compute.is_null(values).to_numpy()


def _lexical(codes: Any, labels: list[Any]) -> CategoryColumn:
    """Categories without an order of their own, brought into that of their labels, equal ones joined."""
    numpy = masks.numpy()
    here = [label for label in dict.fromkeys(labels) if label is not None]
    order = ListColumn(here).argsort(descending=False)
    place = {here[n]: rank for rank, n in enumerate(order)}
    new = numpy.array([*(place.get(label, -1) for label in labels), -1], dtype=numpy.int64)
    return CategoryColumn(new[codes], [here[n] for n in order], ordered=False)


def _zone(name: str | None) -> datetime.tzinfo | None:
    if name is None:
        return None
    # With the first zone: a kernel starts without.
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # Arrow's "+02:00"
        return datetime.datetime.fromisoformat(f"2000-01-01T00:00{name}").tzinfo


def of_polars(values: Any, task: Task) -> Column:
    """A column of a ``polars.Series``."""
    kind, dtype = kinds.of_polars(values.dtype), values.dtype
    if kind == "text":
        return PolarsText(values)
    if kind in _NUMERIC and str(dtype.base_type()) != "Decimal":
        return NumberColumn(*_polars_numbers(values), kind)
    if kind in ("datetime", "duration"):
        import polars

        numbers, gone = _polars_numbers(values.to_physical())
        whole = values.to_physical().dtype
        unit = getattr(dtype, "time_unit", None) or "D"
        return TimeColumn(
            numbers,
            gone,
            kind,
            lambda part: polars.Series(part).cast(whole).cast(dtype).to_list(),
            _UNITS[unit],
            _zone(getattr(dtype, "time_zone", None)),
        )
    if kind == "category":
        import polars

        if str(dtype.base_type()) != "Enum":
            return PolarsText(values.cast(polars.String), kind)
        codes = values.to_physical().cast(polars.Int64).fill_null(-1).to_numpy()
        return CategoryColumn(codes, dtype.categories.to_list(), ordered=True)
    return ListColumn(values.to_list(), kind, task)


def _polars_numbers(values: Any) -> tuple[Any, Any]:
    masks.numpy()
    if not values.null_count():
        return values.to_numpy(), None
    empty = False if str(values.dtype) == "Boolean" else 0
    return values.fill_null(empty).to_numpy(), values.is_null().to_numpy()
