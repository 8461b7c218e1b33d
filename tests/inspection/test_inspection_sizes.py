"""Size estimates are near the truth for known types, quick for large ones, and import nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from snakekernel.inspection import estimate


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (np.zeros(1_000_000), 8_000_000),
        ([np.zeros(1_000) for _ in range(1_000)], 8_100_000),
        (list(range(100_000)), 36 * 100_000),
        ({n: f"{n:051}" for n in range(10_000)}, 10_000 * (28 + 100 + 30)),
        (pd.DataFrame(np.zeros((1_000, 2_000))), 16_000_000),
        (pd.Series(["x" * 51] * 1_000, dtype=object), 1_000 * 108),
        (pa.table({"a": list(range(1_000))}), 8_000),
        (range(10**15), 48),
    ],
    ids=lambda v: type(v).__name__,
)
def test_estimates_are_near(obj: Any, expected: int) -> None:
    assert 0.75 * expected <= estimate(obj) <= 1.35 * expected + 200


def test_shared_parts_count_once() -> None:
    part = np.zeros(100_000)
    assert estimate([part] * 50) < 1.1 * estimate(part)


def test_large_objects_are_sampled() -> None:
    nested = [[[n] for n in range(300)] for _ in range(3_000)]
    started = time.thread_time()
    assert estimate(nested) > 10_000_000
    assert time.thread_time() - started < 0.5


def test_nothing_is_imported_until_met() -> None:
    code = (
        "import sys\n"
        "from snakekernel.inspection import Describer, estimate\n"
        "d = Describer(); d.preview({'a': object()}); d.inspect([1]); estimate([1])\n"
        "print(sorted({'numpy', 'pandas', 'pyarrow', 'polars'} & set(sys.modules)))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
