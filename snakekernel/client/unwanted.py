"""Requests whose reply nobody wants any more: a timeout, Ctrl-C, a cancelled task.

Rules: such a request is stopped in the kernel, so that nothing runs on unwanted. That is asked for and not
waited for, and never raises: whoever gives up has an exception of its own under way.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from ..errors import KernelLost
from ..wire.frame import pack_json
from ..wire.names import request_type
from .link import Link
from .message import Received
from .shield import Shield

#: Milliseconds that closing waits for what was sent last to leave.
_PARTING: Final = 200


def unwanted(link: Link, number: int) -> None:
    """Nobody waits for this request any more: it is forgotten, and stopped unless its reply came."""
    # In a forked child nobody may be left who frees the lock, and the request is the parent's.
    if not link.is_foreign() and link.forget(number):
        stop(link, number)


def stop(link: Link, number: int) -> None:
    """Have a request stopped, if the kernel can be told."""
    _ask(link, "cancel", {"msg_id": link.id_of(number)})


def close_stream(link: Link, number: int) -> None:
    """Have a stream end at its producer's next ``yield``, if the kernel can be told."""
    _ask(link, "credit", {"msg_id": link.id_of(number), "close": True})


def _ask(link: Link, op: str, fields: dict[str, Any]) -> None:
    # A handler that broke into a message of this thread's gets a RuntimeError.
    with suppress(KernelLost, RuntimeError), Shield():
        # Who gives up may close at once.
        link.parting = _PARTING
        link.send(link.message(request_type(op), pack_json(fields), channel="control"), _unread)


def _unread(answer: Received | BaseException) -> None:
    """What became of it is told by nobody's reply."""
