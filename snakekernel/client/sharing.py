"""How a link's buffers go through shared memory, both ways; who may is settled by its ``Attachment``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import KernelLost, SnakeError
from ..memory.attachment import Attachment
from ..memory.exchange import SEGMENTS
from ..wire.frame import bind_buffers, flattened, pack_json, unpack_object
from ..wire.names import request_type
from .buffers import private
from .message import Received
from .shield import Shield

if TYPE_CHECKING:
    from ..memory.segments import Lease
    from .link import Link


class Sharing:
    """Buffers of the messages of one link.

    Args:
        binds: whether metadata tells which buffers belong to a message.
    """

    def __init__(self, attachment: Attachment, *, binds: bool) -> None:
        self._attachment = attachment
        self._binds = binds

    def offer(self, link: Link, offer: dict[str, Any]) -> None:
        """Offer shared memory to the kernel of a link."""
        try:
            message = link.message(request_type("attach"), pack_json(offer), channel="control")
            with Shield():
                link.send(message, self._answered)
        except KernelLost:
            # Whoever needs the kernel next is told.
            return

    def _answered(self, answer: Received | BaseException) -> None:
        if isinstance(answer, Received):
            try:
                self._attachment.accept(unpack_object(answer.content))
            except SnakeError:
                # An answer that is none: the socket serves.
                return

    def place(
        self, number: int, buffers: Sequence[memoryview], keep: bool, shared: bool
    ) -> tuple[bytes, Sequence[memoryview], list[Lease] | None]:
        """The metadata and frames of a request's buffers: big ones go through shared memory."""
        buffers = [flattened(buffer) for buffer in buffers]
        metadata: dict[str, Any] = {}
        leases = None
        with Shield():
            sent = self._attachment.send(number, buffers) if shared else None
            if sent is not None:
                # The message's until it is sent, and let go with it.
                leases = self._attachment.leases.pop(number)
        if sent is not None:
            buffers, metadata = sent.frames, {SEGMENTS: sent.entries}
        if keep:
            buffers = [private(buffer) for buffer in buffers]
        if self._binds:
            metadata.update(bind_buffers(buffers))
        return pack_json(metadata), buffers, leases

    def open(
        self, content: bytes, metadata: bytes, buffers: Sequence[memoryview], generation: int
    ) -> Received | SnakeError:
        """A reply whose buffers came through shared memory, or why it cannot be had."""
        try:
            opened = self._attachment.receive(unpack_object(metadata), buffers)
            return Received(content, b"{}", opened, generation)
        except SnakeError as error:
            return error
