"""What a host process and its sidecar say to each other: msgpack of frozen structs over one socket pair."""

from __future__ import annotations

from typing import Any, Final

import msgspec

#: Seconds beyond a lease after which its kernel is certainly dead.
MARGIN: Final = 2.0
#: The exit code that a fenced kernel is said to have: that of what ended it.
FENCED: Final = -9
#: That of one whose process could not be started, as of a shell.
NOT_STARTED: Final = 127


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Do this; answered by exactly one ``Answer`` of the same number."""

    number: int
    method: str
    arguments: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What came of it. ``kind`` names the error, where it is one."""

    number: int
    value: Any = None
    kind: str = ""
    error: str = ""


class News(msgspec.Struct, frozen=True, tag="news"):
    """How a kernel is, whenever that changes. ``exit`` is final."""

    kernel: str
    is_reachable: bool
    exit: int | None = None
    #: Whether its end is known by its lease alone.
    is_fenced: bool = False


ENCODER = msgspec.msgpack.Encoder()
DECODER = msgspec.msgpack.Decoder(Ask | Answer | News)
