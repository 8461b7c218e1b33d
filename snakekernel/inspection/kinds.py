"""What sort of values a column holds, whatever its library calls it.

Rules: eight words, the same for every library; a column of Python objects is judged by its first cells.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from snakekernel.inspection import facts, genuine

Kind = Literal["integer", "number", "text", "boolean", "datetime", "duration", "category", "other"]

#: Cells of a column of objects that are looked at.
LOOKED_AT: Final = 64

_BY_LETTER: Final[dict[str, Kind]] = {
    "i": "integer",
    "u": "integer",
    "f": "number",
    "b": "boolean",
    "M": "datetime",
    "m": "duration",
    "U": "text",
}

_BY_ARROW: Final[tuple[tuple[str, Kind], ...]] = (
    ("integer", "integer"),
    ("floating", "number"),
    ("decimal", "number"),
    ("string", "text"),
    ("large_string", "text"),
    ("string_view", "text"),
    ("boolean", "boolean"),
    ("timestamp", "datetime"),
    ("date", "datetime"),
    ("duration", "duration"),
    ("dictionary", "category"),
)

_BY_POLARS: Final[dict[str, Kind]] = {
    "Decimal": "number",
    "String": "text",
    "Boolean": "boolean",
    "Datetime": "datetime",
    "Date": "datetime",
    "Duration": "duration",
    "Categorical": "category",
    "Enum": "category",
}

_OF_CELLS: Final[tuple[tuple[Kind, genuine.Table[bool]], ...]] = (
    ("text", genuine.Table.of(str)),
    ("boolean", genuine.Table.of(bool)),
    ("integer", genuine.Table.of(int)),
    ("number", genuine.Table.of(int, float, decimal.Decimal)),
    ("datetime", genuine.Table.of(datetime.datetime)),
    ("datetime", genuine.Table.of(datetime.date)),
    ("duration", genuine.Table.of(datetime.timedelta)),
)

#: pandas' scalars are instances of the standard library's, of which the cells of a column may be a mixture.
_OF_LIBRARY_CELLS: Final[tuple[tuple[Kind, str, str], ...]] = (
    ("datetime", "pandas", "Timestamp"),
    ("duration", "pandas", "Timedelta"),
    ("datetime", "numpy", "datetime64"),
    ("duration", "numpy", "timedelta64"),
)


def of_dtype(dtype: Any) -> Kind | None:
    """The kind of a numpy or pandas dtype; ``None`` where only the cells can tell."""
    if genuine.library_kind(dtype, "pandas", "CategoricalDtype"):
        return "category"
    if genuine.library_kind(dtype, "pandas", "StringDtype"):
        return "text"
    if genuine.library_kind(dtype, "pandas", "ArrowDtype"):
        return of_arrow(dtype.pyarrow_dtype)
    if genuine.library_kind(dtype, "pandas", "PeriodDtype", "IntervalDtype", "SparseDtype"):
        return "other"
    letter = getattr(dtype, "kind", "O")
    return None if letter == "O" else _BY_LETTER.get(letter, "other")


def of_arrow(type: Any) -> Kind:
    """The kind of a pyarrow type."""
    tests = genuine.library("pyarrow")["types"]
    return next((kind for name, kind in _BY_ARROW if getattr(tests, f"is_{name}")(type)), "other")


def of_polars(dtype: Any) -> Kind:
    """The kind of a polars dtype."""
    if dtype.is_integer():
        return "integer"
    return "number" if dtype.is_float() else _BY_POLARS.get(str(dtype.base_type()), "other")


def of_cells(cells: Sequence[Any]) -> Kind:
    """The kind of Python cells: that of all that are not missing, or ``"other"``."""
    found = genuine.one_of_each_type([cell for cell in cells if not is_missing(cell)])
    if found:
        for kind, *library in _OF_LIBRARY_CELLS:
            if all(genuine.library_kind(cell, *library) for cell in found):
                return kind
        for kind, allowed in _OF_CELLS:
            if all(type(cell) in allowed for cell in found):
                return kind
    return "other"


def is_missing(cell: Any) -> bool:
    """Whether a Python cell stands for no value: ``None``, NaN, ``pandas.NaT`` or ``pandas.NA``."""
    test = _missing_test(cell)
    return test is not None and test(cell)


def missing_of(cells: Sequence[Any]) -> list[bool]:
    """``is_missing`` of each cell; each type is looked at once."""
    tests = {id(type(cell)): _missing_test(cell) for cell in genuine.one_of_each_type(cells)}
    doubtful = [test for test in tests.values() if test is not None]
    if not doubtful:
        return [False] * len(cells)
    if all(test is _always for test in doubtful):
        gone = {number for number, test in tests.items() if test is not None}
        return [id(type(cell)) in gone for cell in cells]
    certain = {number: test or _never for number, test in tests.items()}
    return [certain[id(type(cell))](cell) for cell in cells]


def _missing_test(cell: Any) -> Callable[[Any], bool] | None:
    """What tells whether a cell of this one's type is missing; ``None``: none is."""
    cls = type(cell)
    if cls is type(None):
        return _always
    if cls is float:
        return _differs
    if cls is decimal.Decimal:
        return decimal.Decimal.is_nan
    if cls in _NEVER:
        return None
    pandas = genuine.library("pandas")
    if pandas and (cell is pandas.get("NaT", pandas) or cell is pandas.get("NA", pandas)):
        return _always  # each is the only one of its type
    if facts.data_kind(cell) == "numpy.generic" and cell.dtype.kind in "fmM":
        return _differs
    return None


def _always(cell: Any) -> bool:
    return True


def _never(cell: Any) -> bool:
    return False


def _differs(cell: Any) -> bool:
    return bool(cell != cell)


#: Types, common in tables, of which no cell is missing.
_NEVER: Final = genuine.Table.of(str, int, bool, bytes, list, tuple, dict, datetime.datetime, datetime.date)
