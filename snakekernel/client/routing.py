"""Which way a request goes, once for both clients.

Rules: what is asked within a call of one of our functions goes on control, to the thread of the kernel that
waits for that call. What is for the shell goes to a subshell within a ``parallel`` block, else to the main
shell. Whoever gets a lane has been counted on it, and says what becomes of that.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..wire.names import request_type
from .lanes import Lane, Lanes
from .message import Channel, Message
from .requests import Requests


class Routing(Requests):
    """Makes the messages of requests."""

    #: The subshells of a ``parallel`` block, within one.
    _lanes: Lanes | None = None

    def _routed(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        channel: Channel = "shell",
        *,
        keep: bool = False,
    ) -> tuple[Message, Lane | None]:
        """The message of a request, and the lane that it is counted on.

        Args:
            channel: as the operation has it. keep: as of ``Link.message``.
        """
        link = self._link
        functions, lanes = link.functions, self._lanes
        if functions.any and functions.within() is not None:
            channel = "control"
        if lanes is None or channel == "control" or not lanes.is_open:
            return link.message(request_type(op), content, buffers, channel, keep=keep), None
        lane = lanes.enter()
        try:
            message = link.message(request_type(op), content, buffers, keep=keep, subshell=lane.subshell)
        except BaseException:
            lane.leave()
            raise
        return message, lane
