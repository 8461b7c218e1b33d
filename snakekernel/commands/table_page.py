"""``table``: a page of rows and columns of anything table-like, sorted and filtered."""

from __future__ import annotations

from typing import Any, Literal

from .. import inspection
from ..values import Encoder
from ..wire.model import Range
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from .command import Command
from .scope import Scope
from .table_view import Budget, Filters, Search, Sorts, view_of


class Request(BaseRequest, frozen=True, kw_only=True):
    """Rows and columns as half-open ranges; of the rows that fulfil ``filter`` in the order of ``sort``.

    search: a text that some column's cell must hold. format: of the block. budget: seconds for all of it.
    fresh: sort and filter anew, even where the object looks unchanged.
    """

    target: RawTarget
    rows: Range | None = None
    columns: Range | None = None
    sort: Sorts | None = None
    filter: Filters | None = None
    search: Search = ""
    format: Literal["json", "arrow"] = "json"
    budget: Budget = 5.0
    fresh: bool = False


class Reply(BaseReply, kw_only=True):
    """The page: ``data`` is a list of columns (json) or an Arrow table (arrow), with the totals.

    columns: ``name``, ``dtype``, ``kind`` and ``position`` of each column of the page. index: the page's row
    labels. rows, column_range: the half-open ranges that came. matched_rows: rows that can be paged through.
    row_numbers: positions of the page's rows in the whole table. sampled: null, or how many rows sorting and
    filtering looked at, ``{"rows": n, "of": N}``; the page is one of these rows then.
    """

    columns: list[dict[str, Any]]
    index: Any
    data: Any
    rows: list[int]
    column_range: list[int]
    total_rows: int
    total_columns: int
    matched_rows: int
    row_numbers: list[int]
    sampled: dict[str, int] | None
    truncated: bool


async def run(request: Request, scope: Scope) -> Reply:
    """Cut the page asked for and encode it; the rest is never encoded."""
    view = view_of(scope, request.sort or [], request.filter or [], request.search)
    obj = scope.resolve(scope.target(request.target))
    rows = (request.rows[0], request.rows[1]) if request.rows else None
    columns = (request.columns[0], request.columns[1]) if request.columns else None
    asked = {
        "view": view,
        "format": request.format,
        "limits": inspection.TableLimits(seconds=request.budget),
        "orders": scope.runtime.orders,
        "task": scope.task,
        "fresh": request.fresh,
    }
    page = scope.invoke(inspection.table_page, (obj, rows, columns), asked, at="$.target", trusted=True)
    encoder = Encoder(limits=scope.runtime.limits)
    encoder.buffers = scope.buffers
    return Reply(
        columns=encoder.encode(page.columns),
        index=encoder.encode(page.index),
        data=encoder.encode(page.arrow if request.format == "arrow" else page.data),
        rows=page.rows,
        column_range=page.columns_range,
        total_rows=page.total_rows,
        total_columns=page.total_columns,
        matched_rows=page.matched_rows,
        row_numbers=page.row_numbers,
        sampled=page.sampled,
        truncated=page.truncated,
        lossy=page.masked,
    )


COMMAND = Command(
    op="table",
    request=Request,
    reply=Reply,
    run=run,
    summary="Read a page of a table-like object, sorted and filtered.",
    control=True,
    looks=True,
    task=True,
)
