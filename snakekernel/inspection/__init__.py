"""Describing any object within a budget: previews, inspections, tables, and texts that cannot fail.

Rules: no object, however hostile, makes a description fail, hang or run its properties; what is left out
says so; nothing here imports numpy, pandas, pyarrow or a framework.
"""

from __future__ import annotations

from snakekernel.inspection.budget import Budget
from snakekernel.inspection.describe import DescribePlugin, Describer, of_small_scalar
from snakekernel.inspection.glance import Glance, glance
from snakekernel.inspection.paths import part_of
from snakekernel.inspection.sizes import estimate
from snakekernel.inspection.summaries import Summaries, summarize
from snakekernel.inspection.table_order import Orders, SortKey, View
from snakekernel.inspection.tables import TableLimits, TablePage, table_page
from snakekernel.inspection.timed import Outcome, TimedOut, attempt

__all__ = [
    "Budget",
    "DescribePlugin",
    "Describer",
    "Glance",
    "Orders",
    "Outcome",
    "SortKey",
    "Summaries",
    "TableLimits",
    "TablePage",
    "TimedOut",
    "View",
    "attempt",
    "estimate",
    "glance",
    "of_small_scalar",
    "part_of",
    "summarize",
    "table_page",
]
