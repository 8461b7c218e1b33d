"""Describing any object within a budget: previews, inspections, tables, and texts that cannot fail.

Rules: no object, however hostile, makes a description fail, hang or run its properties; what is left out
says so; nothing here imports numpy, pandas, pyarrow or a framework. Modules are loaded when first used: a
kernel starts without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakekernel.inspection.budget import Budget as Budget
    from snakekernel.inspection.describe import DescribePlugin as DescribePlugin
    from snakekernel.inspection.describe import Describer as Describer
    from snakekernel.inspection.sizes import estimate as estimate
    from snakekernel.inspection.small import of_small_scalar as of_small_scalar
    from snakekernel.inspection.tables import TableLimits as TableLimits
    from snakekernel.inspection.tables import TablePage as TablePage
    from snakekernel.inspection.tables import table_page as table_page
    from snakekernel.inspection.timed import Outcome as Outcome
    from snakekernel.inspection.timed import TimedOut as TimedOut
    from snakekernel.inspection.timed import attempt as attempt

__all__ = [
    "Budget",
    "DescribePlugin",
    "Describer",
    "Outcome",
    "TableLimits",
    "TablePage",
    "TimedOut",
    "attempt",
    "estimate",
    "of_small_scalar",
    "table_page",
]

_HOMES = {
    "Budget": "budget",
    "DescribePlugin": "describe",
    "Describer": "describe",
    "Outcome": "timed",
    "TableLimits": "tables",
    "TablePage": "tables",
    "TimedOut": "timed",
    "attempt": "timed",
    "estimate": "sizes",
    "of_small_scalar": "small",
    "table_page": "tables",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
