"""``pull``: the next items of a stored iterator, as many as were asked for, in one reply.

Rules: what was taken of the iterator is in the reply, also where the iterator or the description of an item
failed after that; so the failure stands beside the items.
"""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any

import msgspec

from ..objects.static import type_name
from ..wire.errors import InvalidRequest, Raised, SnakeError
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Returns, Seconds
from ..wire.model import Target as RawTarget
from .command import Command
from .failures import content_of
from .scope import Scope
from .streaming import END, has_method


class Request(BaseRequest, frozen=True, kw_only=True):
    """Up to ``count`` items, none of them asked for once ``budget`` seconds are over."""

    target: RawTarget
    count: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100
    returns: Returns = "auto"
    budget: Seconds | None = None


class Reply(BaseReply, kw_only=True):
    """``items``: described as the results of calls. ``done``: there are no more.

    failure: the content of an error reply, where the iterator raised after these items.
    """

    items: list[dict[str, Any] | None]
    done: bool
    failure: dict[str, Any] | None


async def run(request: Request, scope: Scope) -> Reply:
    """Take items until there are enough of them, or no more."""
    iterator = scope.resolve(scope.target(request.target))
    is_async = has_method(iterator, "__anext__")
    if not (is_async or has_method(iterator, "__next__")):
        raise InvalidRequest(
            f"A {type_name(iterator)} is no iterator and keeps no place; store what builtins.iter gives.",
            at="$.target",
        )
    until = None if request.budget is None else monotonic() + request.budget
    items: list[Any] = []
    try:
        with scope.session_contexts():
            while len(items) < request.count and (until is None or monotonic() < until):
                if is_async:
                    item = await scope.wait(_next(iterator))
                else:
                    item = scope.invoke(next, (iterator, END))
                if item is END:
                    return Reply(items=items, done=True, failure=None)
                mark = len(scope.buffers)
                try:
                    items.append(scope.result(item, request.returns))
                except SnakeError:
                    del scope.buffers[mark:]
                    raise
    except SnakeError as error:
        if not items and error.code != Raised.code:
            # Nothing was taken, and the iterator may not be at fault.
            raise
        return Reply(items=items, done=False, failure=content_of(error))
    return Reply(items=items, done=False, failure=None)


async def _next(iterator: Any) -> Any:
    return await anext(iterator, END)


COMMAND = Command(
    op="pull",
    request=Request,
    reply=Reply,
    run=run,
    summary="Take the next items of a stored iterator.",
)
