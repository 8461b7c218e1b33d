"""``preview``: the picture of an object, where it has one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .. import inspection
from ..values import Encoder
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from .command import Command
from .scope import Scope

#: Width and height in pixels.
Pixels = Annotated[int, msgspec.Meta(ge=1, le=4_096)]


class Request(BaseRequest, frozen=True, kw_only=True):
    """The greatest ``width`` and ``height``, in pixels; ``budget`` bounds the drawing, in seconds."""

    target: RawTarget
    width: Pixels = 800
    height: Pixels = 600
    budget: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0


class Reply(BaseReply, kw_only=True):
    """``preview``: ``mime``, ``data`` (bytes), ``width``, ``height``, ``scaled``; null where there is none.

    scaled: it has fewer pixels than the object. SVG may hold scripts: show it through an image element only.
    """

    preview: dict[str, Any] | None


async def run(request: Request, scope: Scope) -> Reply:
    """Resolve and draw; matplotlib's figures, PIL's images, arrays, and what draws itself."""
    obj = scope.resolve(scope.target(request.target))
    made = scope.invoke(
        inspection.preview_of,
        (obj, request.width, request.height, request.budget),
        at="$.target",
        trusted=True,
    )
    scope.task.check()
    if made is None:
        return Reply(preview=None)
    encoder = Encoder(limits=scope.runtime.limits)
    encoder.buffers = scope.buffers
    data = encoder.encode(made.data)
    return Reply(
        preview={
            "mime": made.mime,
            "data": data,
            "width": made.width,
            "height": made.height,
            "scaled": made.scaled,
        }
    )


COMMAND = Command(
    op="preview",
    request=Request,
    reply=Reply,
    run=run,
    summary="Draw the picture of a figure, an image or an array.",
    control=True,
    looks=True,
    task=True,
)
