"""``ping``: is the kernel there, and what can it do."""

from __future__ import annotations

from ..memory.publications import host
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.names import PROTOCOL_VERSION
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """No fields of its own."""


class Reply(BaseReply, kw_only=True):
    """``uptime`` in seconds; ``framework_failures`` says which plugins failed to load, and why;
    ``frames_dropped`` counts frames of ours with a bad signature or header, which get no reply;
    ``host`` names where what it publishes can be opened."""

    bridge_type: str
    protocol_version: str
    operations: list[str]
    frameworks_available: list[str]
    framework_failures: dict[str, str]
    stored_objects: int
    uptime: float
    requests_handled: int
    frames_dropped: int
    host: str


async def run(request: Request, scope: Scope) -> Reply:
    """Answer from what is known."""
    runtime = scope.runtime
    return Reply(
        bridge_type="snakekernel",
        protocol_version=PROTOCOL_VERSION,
        operations=sorted(runtime.table),
        frameworks_available=runtime.frameworks.available(),
        framework_failures=runtime.frameworks.failures(),
        stored_objects=len(runtime.store),
        uptime=scope.now - runtime.started,
        requests_handled=runtime.requests_handled,
        frames_dropped=runtime.frames_dropped,
        host=host(),
    )


COMMAND = Command(
    op="ping", request=Request, reply=Reply, run=run, summary="Ask whether the kernel answers.", control=True
)
