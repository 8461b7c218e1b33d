"""How numbers are spread: range, mean, deviation, quantiles and histogram.

Rules: an array of numpy is worked on by numpy, a list of Python numbers by Python, with the same results.
Infinities count in all but the histogram, which is of the finite numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from snakekernel.inspection import masks

_QUANTILES: Final = (0.25, 0.5, 0.75)


def spread_of_array(values: Any, bins: int) -> dict[str, Any]:
    """Figures of a non-empty array of integers or floats without NaN."""
    numpy = masks.numpy()
    with numpy.errstate(all="ignore"):  # infinities make NaN, which is the answer
        floats = values.astype(numpy.float64, copy=False)
        # Whole numbers as large as times lose digits as floats: those are taken from the smallest one.
        start = values.min()
        if values.dtype.kind in "iu" and -(2**53) <= int(start) <= 2**53:
            start = values.dtype.type(0)
        if values.dtype.kind in "iu" and start:
            floats = (values - start).astype(numpy.float64)
        base = 0 if values.dtype.kind == "f" else int(start)
        quantiles = numpy.quantile(floats, _QUANTILES)
        return {
            "min": values.min().item(),
            "max": values.max().item(),
            "mean": base + floats.mean().item(),
            "std": floats.std(ddof=1).item() if len(values) > 1 else None,
            "quantiles": {str(q): base + v.item() for q, v in zip(_QUANTILES, quantiles, strict=True)},
            "histogram": _histogram_of_array(floats, bins, base),
        }


def _histogram_of_array(floats: Any, bins: int, base: int) -> dict[str, Any] | None:
    numpy = masks.numpy()
    finite = floats if numpy.isfinite(floats).all() else floats[numpy.isfinite(floats)]
    if not len(finite):
        return None
    try:
        counts, edges = numpy.histogram(finite, bins)
    except ValueError:  # so close together, or so far apart, that no bins fit between
        return None
    return {"edges": [base + edge for edge in edges.tolist()], "counts": counts.tolist()}


def spread_of_list(values: Sequence[Any], bins: int) -> dict[str, Any]:
    """Figures of a non-empty list of Python numbers without NaN."""
    ordered = sorted(values)
    floats = [float(value) for value in ordered]
    total = len(floats)
    mean = _sum(floats) / total
    std = math.sqrt(_sum([(value - mean) ** 2 for value in floats]) / (total - 1)) if total > 1 else None
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "std": std,
        "quantiles": {str(q): _quantile(floats, q) for q in _QUANTILES},
        "histogram": _histogram_of_list([value for value in floats if math.isfinite(value)], bins),
    }


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # infinities
        return sum(values)


def _quantile(ordered: Sequence[float], q: float) -> float:
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _histogram_of_list(ordered: Sequence[float], bins: int) -> dict[str, Any] | None:
    if not ordered:
        return None
    low, high = ordered[0], ordered[-1]
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = (high - low) / bins
    if not width or not math.isfinite(width):
        return None
    counts = [0] * bins
    for value in ordered:
        counts[min(int((value - low) / width), bins - 1)] += 1
    return {"edges": [low + n * width for n in range(bins)] + [high], "counts": counts}
