"""Requests and replies between their making and their sending, or their coming and their reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ..wire.frame import BadFrame, unpack_header
from .door import Door

if TYPE_CHECKING:
    from ..memory.segments import Lease

Channel = Literal["shell", "control"]

#: How the types of replies end, and no other.
_REPLY: Final = b'_reply"'


class Received(NamedTuple):
    """One reply as it came: packed content, metadata and buffers, and in which generation of the link."""

    content: bytes
    metadata: bytes
    buffers: Sequence[memoryview]
    generation: int


#: Gets a reply, or the reason why none comes; called under the link's lock, so it only takes
#: note. Called again, it keeps what came first.
Slot = Callable[[Received | BaseException], None]


def event_type(header: bytes) -> str | None:
    """The type of a message that is no reply, or None; a glance at the bytes decides for most."""
    if _REPLY in header:
        return None
    try:
        return unpack_header(header).msg_type
    except BadFrame:
        return None


class Message(NamedTuple):
    """A request ready to be sent. What it lends is let go with it, unless it is sent."""

    number: int
    door: Door
    frames: list[bytes]
    buffers: Sequence[memoryview]
    leases: list[Lease] | None = None
