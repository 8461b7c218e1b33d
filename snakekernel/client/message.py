"""Requests and replies between their making and their sending, or their coming and their reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from .door import Door

if TYPE_CHECKING:
    from ..memory.segments import Lease

Channel = Literal["shell", "control"]


class Received(NamedTuple):
    """One reply as it came: packed content, metadata and buffers, and in which generation of the link."""

    content: bytes
    metadata: bytes
    buffers: Sequence[memoryview]
    generation: int


#: Gets a reply, or the reason why none comes; called under the link's lock, so it only takes
#: note. Called again, it keeps what came first.
Slot = Callable[[Received | BaseException], None]


class Leases(list["Lease"]):
    """What a request lends until it is answered; let go as well where it is never sent."""

    def __del__(self) -> None:
        for lease in self:
            lease.end()


class Message(NamedTuple):
    """A request ready to be sent."""

    number: int
    door: Door
    frames: list[bytes]
    buffers: Sequence[memoryview]
    leases: Leases | None = None
