"""Messages to whoever made a request, beside its one reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Requester(Protocol):
    """Reaches the client that made a request, and it alone, on the channel that it asked on."""

    @property
    def sender(self) -> str:
        """The Jupyter session of that client."""

    def send(self, msg_type: str, content: Any, buffers: Sequence[memoryview] = ()) -> None:
        """Send a message as a child of the request; on any thread, also after the reply.

        Where the client is gone the message is lost, and nothing tells.

        Args:
            content: plain JSON, or a struct of ``wire.model``. buffers: flat; taken as they are now.
        """

    def lasting(self) -> Requester:
        """The same one, to be kept: it holds nothing of the request but its header."""
