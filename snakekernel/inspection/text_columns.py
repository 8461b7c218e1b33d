"""Columns of texts, worked on by pyarrow or by polars."""

from __future__ import annotations

from typing import Any, Final

from snakekernel.inspection import masks, operands
from snakekernel.inspection.column import most_frequent, with_missing_last
from snakekernel.inspection.kinds import Kind
from snakekernel.inspection.list_column import hashed
from snakekernel.inspection.masks import Positions
from snakekernel.inspection.operands import TextTest
from snakekernel.inspection.table_query import Comparison

_ARROW_COMPARE: Final[dict[Comparison, str]] = {
    "eq": "equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}


class ArrowText:
    """A ``pyarrow.ChunkedArray`` of strings; pandas keeps its own in one as well."""

    kind: Kind = "text"

    def __init__(self, values: Any) -> None:
        import pyarrow.compute

        self.compute = pyarrow.compute
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Positions) -> ArrowText:
        return ArrowText(self.values.take(masks.numpy().asarray(rows)))

    def missing(self) -> Any:
        return self._mask(self.compute.is_null(self.values))

    def _mask(self, mask: Any) -> Any:
        masks.numpy()
        return self.compute.fill_null(mask, False).to_numpy()

    def compare(self, op: Comparison, value: Any) -> Any:
        return self._mask(getattr(self.compute, _ARROW_COMPARE[op])(self.values, operands.text(value)))

    def among(self, values: list[Any]) -> Any:
        import pyarrow

        wanted = pyarrow.array([operands.text(value) for value in values], self.values.type)
        return self._mask(self.compute.is_in(self.values, value_set=wanted))

    def matching(self, test: TextTest) -> Any:
        if test.how == "regex":
            return self._mask(operands.arrow_search(self.values, test.text, test.case))
        name = {"contains": "match_substring", "starts": "starts_with", "ends": "ends_with"}[test.how]
        return self._mask(getattr(self.compute, name)(self.values, test.text, ignore_case=not test.case))

    def _encoded(self) -> tuple[Any, Any]:
        """Distinct texts in order of their first appearance, and each row's number, -1 where missing."""
        import pyarrow

        encoded = self.values.dictionary_encode().combine_chunks()
        if isinstance(encoded, pyarrow.ChunkedArray):  # of no chunks at all
            encoded = pyarrow.concat_arrays(encoded.chunks) if encoded.num_chunks else None
        if encoded is None:
            return pyarrow.array([], self.values.type), masks.numpy().array([], dtype="int32")
        return encoded.dictionary, self.compute.fill_null(encoded.indices, -1).to_numpy()

    def argsort(self, descending: bool) -> Any:
        numpy = masks.numpy()
        found, codes = self._encoded()
        rank = numpy.empty(len(found) + 1, dtype=numpy.int32)
        rank[self.compute.sort_indices(found).to_numpy()] = numpy.arange(len(found))
        return with_missing_last(rank[codes], codes < 0, descending)

    def counts(self, top: int) -> tuple[int, list[tuple[Any, int]]]:
        found, codes = self._encoded()
        frequent = most_frequent(found, codes[codes >= 0], top)
        return len(found), [(found[n].as_py(), count) for n, count in frequent]

    def numbers(self) -> None:
        return None

    def cell(self, number: Any) -> Any:
        return number

    def digest(self) -> bytes:
        import pyarrow

        parts = []
        for chunk in self.values.chunks:
            # A slice shares the buffers of the whole; putting nothing behind it copies its own part.
            own = pyarrow.concat_arrays([chunk, chunk.slice(0, 0)]) if chunk.offset else chunk
            parts += [str(len(own)).encode(), *(buffer for buffer in own.buffers() if buffer is not None)]
        return hashed(*parts)


class PolarsText:
    """A ``polars.Series`` of strings, or of categories as strings."""

    def __init__(self, values: Any, kind: Kind = "text") -> None:
        import polars

        self.kind: Kind = kind
        self.polars = polars
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Positions) -> PolarsText:
        return PolarsText(self.values.gather(masks.numpy().asarray(rows)), self.kind)

    def missing(self) -> Any:
        return _polars_mask(self.values.is_null())

    def compare(self, op: Comparison, value: Any) -> Any:
        return _polars_mask(getattr(self.values, op)(operands.text(value)))

    def among(self, values: list[Any]) -> Any:
        wanted = self.polars.Series([operands.text(value) for value in values], dtype=self.polars.String)
        return _polars_mask(self.values.is_in(wanted.implode()))

    def matching(self, test: TextTest) -> Any:
        if test.how == "regex":
            pattern = test.text if test.case else f"(?i){test.text}"
            try:
                return _polars_mask(self.values.str.contains(pattern))
            except self.polars.exceptions.ComputeError as error:
                raise operands.Mismatch(f"the regular expression is malformed: {error}") from None
        values = self.values if test.case else self.values.str.to_lowercase()
        sought = test.text if test.case else test.text.lower()
        if test.how == "contains":
            return _polars_mask(values.str.contains(sought, literal=True))
        return _polars_mask(
            values.str.starts_with(sought) if test.how == "starts" else values.str.ends_with(sought)
        )

    def argsort(self, descending: bool) -> Any:
        numpy = masks.numpy()
        rank = self.values.rank("dense").fill_null(0).to_numpy().astype(numpy.int64)
        return with_missing_last(rank, rank == 0, descending)

    def counts(self, top: int) -> tuple[int, list[tuple[Any, int]]]:
        there = self.values.drop_nulls().alias("value")
        found = there.value_counts(name="count")
        first = there.to_frame().with_row_index("first").unique("value", keep="first")
        ranked = found.join(first, on="value").sort(["count", "first"], descending=[True, False]).head(top)
        return found.height, list(zip(ranked["value"].to_list(), ranked["count"].to_list(), strict=True))

    def numbers(self) -> None:
        return None

    def cell(self, number: Any) -> Any:
        return number

    def digest(self) -> bytes:
        return hashed(self.values.hash().to_numpy())


def _polars_mask(mask: Any) -> Any:
    masks.numpy()
    return mask.fill_null(False).to_numpy()
