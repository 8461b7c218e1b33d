"""``publish``: keep an object's value in shared memory, for any kernel of this host to use as an argument.

Rules: what is published is a snapshot, encoded once; it stays as it is, whatever becomes of the object. It
belongs to the session that published it, and ends with that, with ``unpublish`` or with the kernel.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from ..memory.publications import host
from ..objects.static import module_name, type_name
from ..values import Encoder, Limits, NotLossless
from ..values.published import Published, Tagged
from ..wire.errors import InvalidRequest, SnakeError, Unserializable
from ..wire.frame import pack_json
from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from .command import Command
from .scope import Scope

#: Bytes of JSON that travel in the publication itself; more goes into a segment.
_INLINE: Final = 64 << 10


class Request(BaseRequest, frozen=True, kw_only=True):
    """Either ``id``, or a ``target`` below ``stored`` or ``user``."""

    id: Name | None = None
    target: RawTarget | None = None


class Reply(BaseReply, kw_only=True):
    """``published`` is data for the arguments of any kernel on this host."""

    published: Tagged


async def run(request: Request, scope: Scope) -> Reply:
    """Encode the object and put its buffers into segments."""
    obj, at = _found(request, scope)
    runtime = scope.runtime
    try:
        data, plain = scope.invoke(_encoded, (obj, runtime.limits), at=at, trusted=True)
    except SnakeError as error:
        error.at = error.at or at
        raise
    text = pack_json(data)
    buffers = list(plain)
    secrets = runtime.secrets
    if len(text) > _INLINE:
        # The last, so that the value's own indexes stay.
        plain = [*plain, memoryview(text)]
        buffers = [*buffers, memoryview(secrets.scrub(text))]
        text, data = b"", UNSET
    if secrets:
        buffers = [secrets.scrub_buffer(buffer) for buffer in buffers]
    # Of one session and of what was asked for there: the same bytes again are the same publication.
    key = pack_json([request.id, request.target])
    kept = runtime.publications.add(scope.space, key, text, buffers)
    published = Published(
        id=kept.id,
        kernel=runtime.epoch,
        host=host(),
        type=_name(obj),
        value=data,
        segments=kept.segments,
        buffers=kept.parts,
    )
    lossy = any(new is not old for new, old in zip(buffers, plain, strict=True))
    return Reply(published=Tagged(published), lossy=lossy)


def _encoded(obj: Any, limits: Limits) -> tuple[Any, list[memoryview]]:
    encoder = Encoder(limits=limits)
    try:
        return encoder.encode(obj), encoder.buffers
    except NotLossless as error:
        where = f" at {error.path}" if error.path else ""
        raise Unserializable(
            f"This {_name(obj)} cannot be published, since it has no lossless form{where}: {error.reason}"
        ) from None


def _name(obj: Any) -> str:
    return f"{module_name(obj)}.{type_name(obj)}".removeprefix("builtins.")


def _found(request: Request, scope: Scope) -> tuple[Any, str]:
    if (request.id is None) == (request.target is None):
        raise InvalidRequest("Name the object by id or by target: one of the two.", at="$")
    if request.id is not None:
        return scope.entry(request.id).obj, "$.id"
    target = scope.target(request.target)
    if target.root == "import":
        raise InvalidRequest("publish reads below stored or user.", at="$.target")
    return scope.resolve(target), "$.target"


COMMAND = Command(
    op="publish",
    request=Request,
    reply=Reply,
    run=run,
    summary="Publish an object's value for other kernels of this host.",
)
