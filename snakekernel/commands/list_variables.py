"""``list_variables``: a page of the notebook's variables, with what is known of each without running code."""

from __future__ import annotations

import types
from typing import Annotated, Any

import msgspec

from .. import inspection
from ..objects.secret_names import MASK
from ..objects.static import is_instance, module_name, type_name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """Names that begin with ``prefix`` and contain ``search``, in upper or lower case.

    modules: also those that are modules. Names that begin with ``_``, and IPython's own, are never listed.
    """

    prefix: str = ""
    search: str = ""
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000
    modules: bool = False


class Reply(BaseReply, kw_only=True):
    """The page's names and details, in the order they were first assigned, and the count of all that match.

    version: rises when a ``watch`` sees variables change. objects: ``name``, ``type``, ``module``, ``size``
    (bytes, estimated), ``length``, ``shape``, ``dtype``, ``preview`` and ``view`` as of ``list_stored``.
    """

    variables: list[str]
    count: int
    version: int
    objects: list[dict[str, Any]]


async def run(request: Request, scope: Scope) -> Reply:
    """List; runs no user code, so that control can serve it."""
    runtime = scope.runtime
    wanted = request.search.casefold()
    found = [
        (name, value)
        for name, value in runtime.variables().items()
        if name.startswith(request.prefix)
        and wanted in name.casefold()
        and (request.modules or not is_instance(value, types.ModuleType))
    ]
    page = found[request.offset : request.offset + request.limit]
    objects: list[dict[str, Any]] = [
        {
            "name": name,
            "type": type_name(value),
            "module": module_name(value),
            **inspection.glance(value, name),
        }
        for name, value in page
    ]
    return Reply(
        variables=[name for name, _ in page],
        count=len(found),
        version=runtime.watches.variables_version,
        objects=objects,
        lossy=any(MASK in one["preview"] for one in objects),
    )


COMMAND = Command(
    op="list_variables",
    request=Request,
    reply=Reply,
    run=run,
    summary="List the notebook's variables by page, with type, size and preview.",
    control=True,
)
