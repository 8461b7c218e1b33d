"""What goes out to clients by the channel they asked on: replies, and messages beside them.

Rules: a message's frames may be made on any thread; each socket is used by its own thread or under the lane's
baton. Secrets are scrubbed from what is packed here, as they are from replies.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tornado.ioloop import IOLoop

from ..commands.outcomes import Packed
from ..memory.exchange import SEGMENTS
from ..wire.frame import flattened, pack_json
from ..wire.model import Item
from ..wire.names import Door
from .incoming import Incoming

if TYPE_CHECKING:
    from .kernel import SnakeKernel


def frames_to(
    kernel: SnakeKernel, incoming: Incoming, sender: str, msg_type: str, packed: Packed
) -> list[Any]:
    """The frames of a message to whoever sent a request; its big buffers go through shared memory.

    Args:
        sender: the Jupyter session that sent the request, once that is verified.
    """
    buffers: Sequence[memoryview] = packed.buffers
    metadata: dict[str, Any] = {}
    if buffers:
        try:
            sent = kernel.runtime.attachments.send(sender, buffers)
        except Exception:  # whatever went wrong, the reply goes out: by the socket
            kernel.log.exception("Shared memory could not be used for a reply")
            sent = None
        if sent is not None:
            buffers, metadata = sent.frames, {SEGMENTS: sent.entries}
    frames: list[Any] = kernel.envelope.reply_parts(
        incoming.identities,
        msg_type,
        incoming.signed[1],
        packed.content,
        buffers,
        metadata,
        bind=kernel.binds_buffers,
    )
    return frames


def send_on_control(kernel: SnakeKernel, frames: list[Any]) -> None:
    """Send frames by the control socket, from any thread."""
    loop = kernel.control_loop
    if loop is IOLoop.current(instance=False):
        kernel.control_stream.send_multipart(frames)
    else:
        loop.add_callback(kernel.control_stream.send_multipart, frames)


def send_on_shell(kernel: SnakeKernel, frames: list[Any]) -> None:
    """Send frames by the shell socket, from any thread, before replies that are sent after this."""
    if kernel.lane is not None:
        kernel.lane.send_multipart(frames)
        return
    stream = kernel.shell_stream
    if stream.io_loop is IOLoop.current(instance=False):
        stream.send_multipart(frames)
    else:
        stream.io_loop.add_callback(stream.send_multipart, frames)


class RequesterOf:
    """Reaches the client that made a request; see ``commands.requester``."""

    __slots__ = ("_door", "_incoming", "_kernel")

    def __init__(self, kernel: SnakeKernel, incoming: Incoming, door: Door) -> None:
        self._kernel = kernel
        self._incoming = incoming
        self._door = door

    @property
    def sender(self) -> str:
        """See ``commands.requester.Requester``."""
        return str(self._incoming.header.get("session", ""))

    def send(self, msg_type: str, content: Any, buffers: Sequence[memoryview] = ()) -> None:
        """See ``commands.requester.Requester``."""
        kernel, secrets = self._kernel, self._kernel.runtime.secrets
        if kernel.is_forked:
            # The call forked and its child came back to us: what it has to tell is the parent's to send.
            os._exit(0)
        packed = Packed(pack_json(content), [flattened(buffer) for buffer in buffers])
        if secrets:
            scrubbed = [secrets.scrub_buffer(buffer) for buffer in packed.buffers]
            text = secrets.scrub(packed.content)
            differs = any(new is not old for new, old in zip(scrubbed, packed.buffers, strict=True))
            if isinstance(content, Item) and (differs or text is not packed.content):
                content.lossy = True
                text = secrets.scrub(pack_json(content))
            packed = Packed(text, scrubbed)
        frames = frames_to(kernel, self._incoming, self.sender, msg_type, packed)
        send = send_on_control if self._door in ("control", "callback") else send_on_shell
        if buffers and (send is send_on_control or kernel.lane is None):
            # A stream sends at its loop's next turn, and a producer may fill the same buffer again by then.
            frames = [bytes(frame) if type(frame) is memoryview else frame for frame in frames]
        # The main thread's handler may be one that raises, and half a message cannot be mended.
        if threading.current_thread() is threading.main_thread():
            kernel.interrupts.after(send, kernel, frames)
        else:
            send(kernel, frames)

    def lasting(self) -> RequesterOf:
        """See ``commands.requester.Requester``."""
        incoming = self._incoming
        slim = Incoming(incoming.identities, incoming.signed[:2], (), incoming.header)
        return RequesterOf(self._kernel, slim, self._door)
