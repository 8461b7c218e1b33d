"""Stopping what the kernel runs for this client: by ``cancel``, and where nobody waits any more.

Rules: a request that is given up (a timeout, Ctrl-C, a cancelled task) is stopped in the kernel, so that
nothing runs on unwanted. That is asked for and not waited for, and never raises: whoever gives up has its own
exception under way.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..errors import KernelLost
from ..wire.frame import pack_json
from ..wire.names import request_type
from .link import Link
from .message import Received
from .payload import field
from .requests import Requests
from .shield import Shield


def unwanted(link: Link, number: int) -> None:
    """Nobody waits for this request any more: it is forgotten, and stopped unless its reply came."""
    # In a forked child nobody may be left who frees the lock, and the request is the parent's.
    if not link.is_foreign() and link.forget(number):
        stop(link, number)


def stop(link: Link, number: int) -> None:
    """Have a request stopped, if the kernel can be told."""
    # A handler that broke into a message of this thread's gets a RuntimeError.
    with suppress(KernelLost, RuntimeError), Shield():
        content = pack_json({"msg_id": link.msg_id(number)})
        link.send(link.message(request_type("cancel"), content, channel="control"), _unread)


def _unread(answer: Received | BaseException) -> None:
    """What became of it is told by nobody's reply."""


class Cancelling(Requests):
    """``cancel``, for both clients."""

    @abstractmethod
    def _number_of(self, future: Any) -> int:
        """The number of the request that a future of ``submit`` stands for; raises TypeError for others."""

    def cancel(self, call_id: Any = None, *, msg_id: str | None = None, timeout: float | None = None) -> Any:
        """Stop one call of this client, wherever it waits or runs; returns what became of it.

        ``"stopped"``: it ends with ``Cancelled``. ``"asked"``: it runs on, in native code or because it
        handles the exception, and stops when it can. ``"over"``: it had ended. ``"unknown"``: there is none.

        Args:
            call_id: the one it was called with, or the future of ``submit``.
            msg_id: of the request, in place of ``call_id``.
        """
        if call_id is None or isinstance(call_id, str):
            fields, finish = {"call_id": call_id, "msg_id": msg_id}, field("state")
        else:
            fields, finish = {"msg_id": self._link.msg_id(self._number_of(call_id))}, _of_sent
        return self._send("cancel", fields, finish, None, timeout)


def _of_sent(content: dict[str, Any], buffers: Sequence[memoryview]) -> Any:
    """The state of a request that was sent: one that is not known any more is over."""
    state = content["state"]
    return "over" if state == "unknown" else state
