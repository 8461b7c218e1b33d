"""``cancel``, for both clients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from .payload import field
from .requests import Requests


class Cancelling(Requests):
    """Stopping what the kernel runs for this client."""

    @abstractmethod
    def _number_of(self, future: Any) -> int:
        """The number of the request that a future of ``submit`` stands for; raises TypeError for others."""

    def cancel(self, call_id: Any = None, *, msg_id: str | None = None, timeout: float | None = None) -> Any:
        """Stop one call of this client, wherever it waits or runs; returns what became of it.

        ``"stopped"``: it ends with ``Cancelled``. ``"asked"``: it runs on, in native code or because it
        handles the exception, and stops when it can. ``"over"``: it had ended. ``"unknown"``: there is none.

        Args:
            call_id: the one it was called with, the future of ``submit``, or the stream of ``stream``.
            msg_id: of the request, in place of ``call_id``.
        """
        if call_id is None or isinstance(call_id, str):
            fields, finish = {"call_id": call_id, "msg_id": msg_id}, field("state")
            if call_id is not None and self._link is not None:
                fields["epoch"] = self._link.epochs.known(call_id, self._link.last_epoch)
        else:
            fields, finish = {"msg_id": self._link.id_of(self._number_of(call_id))}, _of_sent
        return self._send("cancel", fields, finish, None, timeout)


def _of_sent(content: dict[str, Any], buffers: Sequence[memoryview]) -> Any:
    """The state of a request that was sent: one that is not known any more is over."""
    state = content["state"]
    return "over" if state == "unknown" else state
