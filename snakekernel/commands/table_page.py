"""``table``: a page of rows and columns of anything table-like."""

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


class Request(BaseRequest, frozen=True, kw_only=True):
    """Rows and columns as half-open ranges; ``format`` of the block. sort, filter: not served yet."""

    target: RawTarget
    rows: Range | None = None
    columns: Range | None = None
    sort: list[Any] | None = None
    filter: list[Any] | None = None
    format: Literal["json", "arrow"] = "json"


class Reply(BaseReply, kw_only=True):
    """The page: ``data`` is a list of columns (json) or an Arrow table (arrow), with the totals.

    columns: ``name`` and ``dtype`` of each column of the page. index: the page's row labels.
    rows, column_range: the half-open ranges that came.
    """

    columns: list[dict[str, Any]]
    index: Any
    data: Any
    rows: list[int]
    column_range: list[int]
    total_rows: int
    total_columns: int
    truncated: bool


async def run(request: Request, scope: Scope) -> Reply:
    """Cut the page asked for and encode it; the rest is never touched."""
    scope.refuse(request, "sort", "filter")
    obj = scope.resolve(scope.target(request.target))
    rows = (request.rows[0], request.rows[1]) if request.rows else None
    columns = (request.columns[0], request.columns[1]) if request.columns else None
    options = {"format": request.format}
    page = scope.invoke(inspection.table_page, (obj, rows, columns), options, at="$.target", trusted=True)
    encoder = Encoder(limits=scope.runtime.limits)
    encoder.buffers = scope.buffers
    return Reply(
        columns=encoder.encode(page.columns),
        index=encoder.encode(page.index),
        data=encoder.encode(page.arrow if request.format == "arrow" else page.data),
        rows=list(page.rows),
        column_range=list(page.columns_range),
        total_rows=page.total_rows,
        total_columns=page.total_columns,
        truncated=page.truncated,
    )


COMMAND = Command(
    op="table",
    request=Request,
    reply=Reply,
    run=run,
    summary="Read a page of a table-like object.",
    comm=True,
)
