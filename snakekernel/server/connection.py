"""Websockets to served kernels: nothing of theirs is dropped, and what comes over them is activity.

Rules: requests and replies on the shell channel are activity, for a short call puts nothing on iopub. What
clients do by themselves on control, such as renewing leases, is none.
"""

from __future__ import annotations

from typing import Any, ClassVar

from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from traitlets import default

_V1 = "v1.kernel.websocket.jupyter.org"


class ServedConnection(ZMQChannelsWebsocketConnection):  # type: ignore[misc]  # it ships no types
    """One websocket to one kernel."""

    _of_kernels: ClassVar[dict[str, set[ServedConnection]]] = {}

    @default("limit_rate")
    def _nothing_is_dropped(self) -> bool:
        # A call's output that is lost is waited for, and its end is what our clients' flow control bounds.
        return False

    async def prepare(self) -> None:
        """As stock; a named session is held from now on."""
        await self.multi_kernel_manager.hold(self.kernel_id)
        await super().prepare()

    def connect(self) -> Any:
        """As stock; messages leave at once."""
        self._of_kernels.setdefault(self.kernel_id, set()).add(self)
        handler = self.websocket_handler
        handler.set_nodelay(True)
        # What one message may have is bounded elsewhere.
        handler.ws_connection.stream.max_buffer_size = handler.max_message_size + 1024
        return super().connect()

    def disconnect(self) -> None:
        """As stock."""
        mine = self._of_kernels.get(self.kernel_id, set())
        mine.discard(self)
        if not mine:
            self._of_kernels.pop(self.kernel_id, None)
        super().disconnect()

    @classmethod
    def disconnect_all(cls, kernel_id: str) -> None:
        """Close all websockets to a kernel; their clients may connect again."""
        for one in tuple(cls._of_kernels.get(kernel_id, ())):
            one.websocket_handler.close(1001, "the kernel's process ended or the server stops")

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """As stock, but for what still comes once the websocket is being closed."""
        if self.websocket_handler.ws_connection is None:
            # Taken for a message of the other protocol, it would keep the loop busy for seconds.
            return
        if not self._is_control(incoming_msg):
            self._active()
        super().handle_incoming_message(incoming_msg)

    def _is_control(self, message: Any) -> bool:
        if self.subprotocol != _V1 or not isinstance(message, bytes):
            return False
        return bool(deserialize_msg_from_ws_v1(message[:_HEAD])[0] == "control")

    def handle_outgoing_message(self, stream: Any, outgoing_msg: list[Any]) -> None:
        """As stock."""
        if getattr(stream, "channel", stream) == "shell":
            self._active()
            _, parts = self.session.feed_identities(outgoing_msg)
            self.kernel_manager.replied(lambda: str(self.session.unpack(parts[2])["msg_id"]))
        super().handle_outgoing_message(stream, outgoing_msg)

    def _active(self) -> None:
        now = utcnow()
        self.kernel_manager.last_activity = self.multi_kernel_manager.last_kernel_activity = now


#: Bytes that hold the offsets and the channel of any message that is not made of very many buffers.
_HEAD = 4096
