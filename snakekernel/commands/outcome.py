"""``outcome``: how a call ended, by its ``call_id``, for whoever asks; it runs nothing.

Rules: it is served on control, so that it answers while the call still runs. It needs no session: what a
session's call gave is kept beyond the session.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Annotated, Any, Final, Literal

import msgspec

from ..wire.errors import InvalidRequest, NotFound
from ..wire.frame import unpack_object
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .outcomes import Slot, let_go
from .runtime import Runtime
from .scope import Scope

#: Seconds that one request may wait; nothing ends it before where its client is gone.
MOST_SECONDS: Final = 60
#: Seconds between looks for a request that is between its queue and its beginning.
_LOOKS: Final = (0.005, 0.02)
#: Seconds between looks whether a request that waits for its turn has begun.
_AGAIN: Final = 0.05


class Request(BaseRequest, frozen=True, kw_only=True):
    """``call_id``: the one that the request was sent with. ``timeout``: seconds to wait for its end; without
    it the answer comes at once."""

    timeout: Annotated[float, msgspec.Meta(ge=0, le=MOST_SECONDS)] = 0.0


class Reply(BaseReply, kw_only=True):
    """How the request ended.

    state: ``"waiting"`` for its turn, ``"running"`` or ``"done"``.
    op: its operation; None while it waits.
    outcome: once it is done, the content of its one reply, be that a result or an error; the buffers of this
        reply are those of that one.
    """

    state: Literal["waiting", "running", "done"]
    op: str | None = None
    outcome: dict[str, Any] | None = None


async def run(request: Request, scope: Scope) -> Reply:
    """Look the id up, and wait for the end of what it names."""
    if scope.steps_follow:
        # What it gives refers to buffers of a reply that is its own.
        raise InvalidRequest("outcome is a request of its own, and no step of a pipeline.", at="$.op")
    if request.call_id is None:
        raise InvalidRequest("outcome names the request by its call_id.", at="$.call_id")
    runtime, call_id = scope.runtime, request.call_id
    slot = runtime.outcomes.find(call_id)
    if slot is None or not (slot.is_over or request.timeout == 0):
        if scope.door == "comm":
            raise _never_seen(call_id)
        slot = await scope.wait(_awaited(runtime, call_id, request.timeout), trusted=True)
    if slot is None:
        return Reply(state="waiting")
    if not slot.is_over:
        return Reply(state="running", op=slot.op)
    if slot.packed is None:
        raise let_go(call_id)
    scope.buffers.extend(slot.packed.buffers)
    return Reply(state="done", op=slot.op, outcome=unpack_object(slot.packed.content))


async def _awaited(runtime: Runtime, call_id: str, seconds: float) -> Slot | None:
    """The slot of an id, after its end or so many seconds; None where its request waits for its turn."""
    until = monotonic() + seconds
    slot = await _begun(runtime, call_id)
    while slot is None and (left := until - monotonic()) > 0:
        await asyncio.sleep(min(left, _AGAIN))
        slot = await _begun(runtime, call_id)
    if slot is not None and not slot.is_over and (left := until - monotonic()) > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await slot.ended()
    return slot


async def _begun(runtime: Runtime, call_id: str) -> Slot | None:
    """The slot of an id, or None where its request waits; raises NotFound where there is none."""
    for pause in (*_LOOKS, None):
        slot = runtime.outcomes.find(call_id)
        if slot is not None or runtime.waits(call_id):
            return slot
        if pause is not None:
            # It may be on its way between two places.
            await asyncio.sleep(pause)
    raise _never_seen(call_id)


def _never_seen(call_id: str) -> NotFound:
    return NotFound(f"No request with the call id {call_id!r} has come to this kernel.", at="$.call_id")


COMMAND = Command(
    op="outcome",
    request=Request,
    reply=Reply,
    run=run,
    summary="How a call ended, by its call_id.",
    control=True,
    names_session=True,
    idempotent=False,
)
