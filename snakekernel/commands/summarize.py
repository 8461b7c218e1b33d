"""``summarize``: what is in each column of a table, with histograms."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .. import inspection
from ..values import Encoder
from ..wire.model import Range
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from .command import Command
from .scope import Scope
from .table_view import Budget, Filters, Search, view_of


class Request(BaseRequest, frozen=True, kw_only=True):
    """Columns as a half-open range (the first 50 if not given), over the rows that ``filter`` and ``search``
    find. bins: of a histogram. top: how many of the most frequent cells. budget: seconds for all of it."""

    target: RawTarget
    columns: Range | None = None
    filter: Filters | None = None
    search: Search = ""
    bins: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 20
    top: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 10
    budget: Budget = 2.0


class Reply(BaseReply, kw_only=True):
    """One summary a column; see the protocol reference for its fields.

    sampled: null, or ``{"rows": n, "of": N}`` where only n evenly spaced rows were looked at. truncated:
    columns were left off, texts shortened, or a column has an ``error``.
    """

    summaries: list[dict[str, Any]]
    total_rows: int
    matched_rows: int
    total_columns: int
    sampled: dict[str, int] | None
    truncated: bool


async def run(request: Request, scope: Scope) -> Reply:
    """Sum up each column by its library's own means."""
    view = view_of(scope, [], request.filter or [], request.search)
    obj = scope.resolve(scope.target(request.target))
    columns = (request.columns[0], request.columns[1]) if request.columns else None
    asked = {
        "view": view,
        "bins": request.bins,
        "top": request.top,
        "seconds": request.budget,
        "orders": scope.runtime.orders,
        "task": scope.task,
    }
    found = scope.invoke(inspection.summarize, (obj, columns), asked, at="$.target", trusted=True)
    encoder = Encoder(limits=scope.runtime.limits)
    encoder.buffers = scope.buffers
    return Reply(
        summaries=encoder.encode(found.summaries),
        total_rows=found.total_rows,
        matched_rows=found.matched_rows,
        total_columns=found.total_columns,
        sampled=found.sampled,
        truncated=found.truncated,
        lossy=found.masked,
    )


COMMAND = Command(
    op="summarize",
    request=Request,
    reply=Reply,
    run=run,
    summary="Sum up the columns of a table-like object: range, quantiles, distinct values, histogram.",
    control=True,
    looks=True,
    task=True,
)
