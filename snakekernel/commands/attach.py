"""``attach``: open an attachment of shared memory between a client on this host and the kernel."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """The client's process and its ledger: the file that it has as ``descriptor``, an anonymous one of 4,096
    bytes called ``snakekernel-`` and ``name``."""

    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    descriptor: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    name: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Reply(BaseReply, kw_only=True):
    """Whether the kernel could open the ledger; then ``pid`` and ``descriptor`` are where it has it, so that
    the client can try the other way and set the ledger's first byte to 1."""

    attached: bool
    pid: int | None
    descriptor: int | None


async def run(request: Request, scope: Scope) -> Reply:
    """Open the ledger."""
    attachments = scope.runtime.attachments
    descriptor = attachments.attach(scope.sender, request.pid, request.descriptor, request.name)
    attached = descriptor is not None
    return Reply(attached=attached, pid=os.getpid() if attached else None, descriptor=descriptor)


COMMAND = Command(
    op="attach",
    request=Request,
    reply=Reply,
    run=run,
    summary="Offer shared memory for big buffers to the kernel.",
    control=True,
    idempotent=False,
)
