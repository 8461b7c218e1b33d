"""Buffers of a message out of its frames into segments, and back.

Rules: an empty frame stands where a segment holds the buffer, and signed metadata says which. Bad metadata
is the sender's mistake and told with its path. ``segments`` (ctypes) is imported with the first big buffer.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec

from ..wire.errors import InvalidRequest, LimitExceeded

if TYPE_CHECKING:
    from .segments import Lease

#: The metadata's key.
SEGMENTS: Final = "snake_segments"
#: Buffers from this size on go through shared memory.
FROM_BYTES: Final = 1 << 20
_WHERE: Final = f"$metadata.{SEGMENTS}"
_EMPTY: Final = memoryview(b"")
#: Errors that are this process's own: it has no descriptor or no memory left.
OURS: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a buffer is: bytes ``offset`` to ``offset + length`` of the file that the sending process has as
    ``descriptor`` and that carries ``name``. lease: byte of the ledger to set once it is open; 0 for none.
    ledger: the name of that ledger, so that a message read late sets nothing in a later one."""

    descriptor: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    name: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    offset: _Count
    length: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    lease: Annotated[int, msgspec.Meta(ge=0, lt=4096)] = 0
    ledger: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?$")] = ""


class Sent(NamedTuple):
    """A message's frames, the metadata's entries, and what must stay until the receiver has opened them."""

    frames: list[memoryview]
    entries: list[dict[str, Any] | None]
    leases: list[Lease]


def send(
    buffers: Sequence[memoryview], from_bytes: int, slots: Callable[[], int | None], ledger: str = ""
) -> Sent | None:
    """Put the big ones among the buffers into segments; None where none is.

    ``slots`` gives a place in the ledger of that name for each, or None where no more may be sent so.
    """
    # An empty buffer has no bytes to put anywhere.
    from_bytes = max(1, from_bytes)
    if all(buffer.nbytes < from_bytes for buffer in buffers):
        return None
    from .segments import place

    sent = Sent([], [], [])
    try:
        for buffer in buffers:
            slot = slots() if buffer.nbytes >= from_bytes else None
            try:
                placed = None if slot is None else place(buffer)
            except OSError:
                # No memory or no descriptor is left for it: the socket needs neither.
                placed = None
            if placed is None or slot is None:
                sent.frames.append(buffer)
                sent.entries.append(None)
                continue
            sent.leases.append(placed.lease)
            entry = Entry(placed.descriptor, placed.name, placed.offset, placed.length, slot, ledger)
            sent.frames.append(_EMPTY)
            sent.entries.append(msgspec.to_builtins(entry))
    except BaseException:  # an interrupt: what was not sent is not kept
        for lease in sent.leases:
            lease.end()
        raise
    return sent if sent.leases else None


def read_entries(raw: Any, frames: Sequence[memoryview]) -> list[Entry | None]:
    """The metadata's entries, one for each frame. Raises InvalidRequest."""
    try:
        entries = msgspec.convert(raw, list[Entry | None])
    except msgspec.ValidationError as error:
        message, _, path = str(error).rpartition(" - at `$")
        at = _WHERE + path.removesuffix("`") if message else _WHERE
        raise InvalidRequest(f"{message or path}.", at=at) from None
    if len(entries) != len(frames):
        raise InvalidRequest(f"The metadata names {len(entries)} buffers; {len(frames)} came.", at=_WHERE)
    for index, (entry, frame) in enumerate(zip(entries, frames, strict=True)):
        if entry is not None and frame.nbytes:
            raise InvalidRequest("The frame of a buffer in a segment must be empty.", at=f"{_WHERE}[{index}]")
    return entries


def receive(pid: int, entries: Sequence[Entry | None], frames: Sequence[memoryview]) -> list[memoryview]:
    """The buffers of a message from process ``pid``: its frames, and memory mapped where a segment holds one.

    Raises InvalidRequest for a segment that is not there as described, LimitExceeded where this process
    can open no more.
    """
    from .segments import open_segment

    buffers = []
    for index, (entry, frame) in enumerate(zip(entries, frames, strict=True)):
        try:
            buffers.append(
                frame
                if entry is None
                else open_segment(pid, entry.descriptor, entry.name, entry.offset, entry.length)
            )
        except (OSError, OverflowError) as error:
            at = f"{_WHERE}[{index}]"
            if getattr(error, "errno", None) in OURS:
                raise LimitExceeded(
                    f"The segment could not be opened here ({error}); send it through the socket.",
                    at=at,
                    fault="kernel",
                ) from None
            raise InvalidRequest(f"The segment could not be opened: {error}.", at=at) from None
    return buffers
