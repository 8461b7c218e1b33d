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
    from snakekernel.inspection.fingerprints import fingerprint as fingerprint
    from snakekernel.inspection.glances import Glance as Glance
    from snakekernel.inspection.glances import glance as glance
    from snakekernel.inspection.html import description_page as description_page
    from snakekernel.inspection.html import inspection_page as inspection_page
    from snakekernel.inspection.html import listing_page as listing_page
    from snakekernel.inspection.pages import Page as Page
    from snakekernel.inspection.paths import part_of as part_of
    from snakekernel.inspection.previews import preview_of as preview_of
    from snakekernel.inspection.sizes import estimate as estimate
    from snakekernel.inspection.small import of_small_scalar as of_small_scalar
    from snakekernel.inspection.summaries import Summaries as Summaries
    from snakekernel.inspection.summaries import summarize as summarize
    from snakekernel.inspection.table_filter import checked_condition as checked_condition
    from snakekernel.inspection.table_order import Orders as Orders
    from snakekernel.inspection.table_query import SortKey as SortKey
    from snakekernel.inspection.table_query import View as View
    from snakekernel.inspection.tables import TableLimits as TableLimits
    from snakekernel.inspection.tables import TablePage as TablePage
    from snakekernel.inspection.tables import table_page as table_page
    from snakekernel.inspection.timed import Outcome as Outcome
    from snakekernel.inspection.timed import TimedOut as TimedOut
    from snakekernel.inspection.timed import attempt as attempt
    from snakekernel.inspection.timed import hurry as hurry

__all__ = [
    "Budget",
    "DescribePlugin",
    "Describer",
    "Glance",
    "Orders",
    "Outcome",
    "Page",
    "SortKey",
    "Summaries",
    "TableLimits",
    "TablePage",
    "TimedOut",
    "View",
    "attempt",
    "checked_condition",
    "description_page",
    "estimate",
    "fingerprint",
    "glance",
    "hurry",
    "inspection_page",
    "listing_page",
    "of_small_scalar",
    "part_of",
    "preview_of",
    "summarize",
    "table_page",
]

_HOMES = {
    "Budget": "budget",
    "DescribePlugin": "describe",
    "Describer": "describe",
    "Glance": "glances",
    "Orders": "table_order",
    "Outcome": "timed",
    "Page": "pages",
    "SortKey": "table_query",
    "Summaries": "summaries",
    "TableLimits": "tables",
    "TablePage": "tables",
    "TimedOut": "timed",
    "View": "table_query",
    "attempt": "timed",
    "checked_condition": "table_filter",
    "description_page": "html",
    "estimate": "sizes",
    "fingerprint": "fingerprints",
    "glance": "glances",
    "hurry": "timed",
    "inspection_page": "html",
    "listing_page": "html",
    "of_small_scalar": "small",
    "part_of": "paths",
    "preview_of": "previews",
    "summarize": "summaries",
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
