"""Columns of tables whose names mean a secret.

Rules: names are read as the libraries' own classes give them; nothing is imported and no cell is read.
"""

from __future__ import annotations

from typing import Any

from snakekernel.inspection import facts, genuine
from snakekernel.objects.secret_names import meaning_of


def secret_columns(obj: Any) -> bool:
    """Whether a data library's object has a column whose cells its own text had better not show."""
    kind = facts.data_kind(obj)
    if kind is None:
        return False
    try:
        return any(type(name) is str and meaning_of(name) == "secret" for name in _names(obj, kind))
    except Exception:  # a half-built object of the library
        return False


def _names(obj: Any, kind: str) -> Any:
    if kind in ("pandas.DataFrame", "polars.DataFrame"):
        return list(obj.columns)
    if kind in ("pandas.Series", "pandas.Index", "polars.Series"):
        return [obj.name]
    if kind in ("pyarrow.Table", "pyarrow.RecordBatch"):
        return obj.schema.names
    if kind == "numpy.ndarray":
        # A subclass may have a dtype of its own making.
        return genuine.library("numpy")["ndarray"].dtype.__get__(obj).names or ()
    return ()
