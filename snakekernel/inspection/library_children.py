"""Children of the data libraries' objects: columns of a frame, elements of a series, rows of an array.

Rules: only the page asked for is made; a label becomes a step only if it is unique and a plain scalar,
because comparing and hashing others would run user code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from snakekernel.inspection import facts, genuine
from snakekernel.inspection.parts import Group, Part
from snakekernel.inspection.steps import item_step

#: Longer indexes are not searched for duplicate labels.
_SEARCHED: Final = 100_000

_PLAIN: Final = genuine.Table.of(str, int, float, bool, type(None))


def group(obj: Any, *, exact: bool) -> Group | None:
    """The children of a data library's object, or ``None`` for another's.

    With ``exact=False`` subclasses are read too, which may raise anything.
    """
    kind = facts.data_kind(obj, exact=exact)
    if kind is None:
        return None
    make = _MAKE[kind]
    if not exact:
        return make(obj)
    try:
        if kind.startswith("pandas."):
            facts.pandas_values(obj)
        return make(obj)
    except Exception:  # an extension array of a user's, or an object changed concurrently
        return Group(0, lambda start, stop: [])


def _nothing(obj: Any) -> Group:
    return Group(0, lambda start, stop: [])


def _array(obj: Any) -> Group:
    ndarray = genuine.library("numpy")["ndarray"]
    plain = ndarray.view(obj, ndarray)  # a subclass's hooks stay out
    if plain.dtype.names:
        names = plain.dtype.names
        return Group(
            len(names), lambda start, stop: [Part(item_step(n), n, plain[n]) for n in names[start:stop]]
        )
    total = plain.shape[0] if plain.ndim else 0
    return Group(total, lambda start, stop: [Part(n, n, plain[n]) for n in range(start, stop)])


def _frame(obj: Any) -> Group:
    def read(start: int, stop: int) -> list[Part]:
        steps = _label_steps(obj.columns, start, stop)
        return [Part(step, label, obj.iloc[:, n]) for n, (step, label) in enumerate(steps, start)]

    return Group(len(obj.columns), read)


def _series(obj: Any) -> Group:
    def read(start: int, stop: int) -> list[Part]:
        steps = _label_steps(obj.index, start, stop)
        return [Part(step, label, obj.iloc[n]) for n, (step, label) in enumerate(steps, start)]

    return Group(len(obj), read)


def _label_steps(index: Any, start: int, stop: int) -> list[tuple[Any, Any]]:
    labels = index[start:stop].tolist()
    unique = _is_unique(index)
    return [(item_step(label) if unique else None, label) for label in labels]


def _is_unique(index: Any) -> bool:
    if genuine.library_kind(index, "pandas", "RangeIndex"):
        return True
    if len(index) > _SEARCHED:
        return False
    labels = index.tolist()
    flat = all(type(label) in _PLAIN or (type(label) is tuple and _is_flat(label)) for label in labels)
    return len(set(labels)) == len(labels) if flat else False


def _is_flat(label: tuple[Any, ...]) -> bool:
    return all(type(part) in _PLAIN for part in label)


def _positions(obj: Any) -> Group:
    return Group(len(obj), lambda start, stop: [Part(n, n, obj[n]) for n in range(start, stop)])


def _columns(obj: Any) -> Group:
    names = list(obj.schema.names)

    def read(start: int, stop: int) -> list[Part]:
        return [
            Part(item_step(name) if names.count(name) == 1 else None, name, obj.column(n))
            for n, name in enumerate(names[start:stop], start)
        ]

    return Group(len(names), read)


def _polars_columns(obj: Any) -> Group:
    names = list(obj.columns)
    return Group(
        len(names), lambda start, stop: [Part(item_step(n), n, obj.get_column(n)) for n in names[start:stop]]
    )


_MAKE: Final[dict[str, Callable[[Any], Group]]] = {
    "numpy.ndarray": _array,
    "numpy.generic": _nothing,
    "pandas.DataFrame": _frame,
    "pandas.Series": _series,
    "pandas.Index": _positions,
    "pyarrow.Table": _columns,
    "pyarrow.RecordBatch": _columns,
    "pyarrow.ChunkedArray": _positions,
    "pyarrow.Array": _positions,
    "polars.DataFrame": _polars_columns,
    "polars.Series": _positions,
}
