"""Publications: bytes that a process keeps in segments for whoever is told of them.

Rules: nobody answers for a publication's readers, so it is kept until it is removed, and its segments are
never filled again: who opened them keeps them, who comes later is told that they are gone. Big buffers have a
segment each, or lie in one already; small ones share one. Published again under the same key, the same bytes
are the same publication; that is found by comparing, for nobody else sees an array change in place.
"""

from __future__ import annotations

import errno
import functools
import os
import threading
import uuid
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from ..wire.errors import InvalidRequest, LimitExceeded, NotFound, Unsupported
from .exchange import FROM_BYTES, OURS
from .peers import SUPPORTED

if TYPE_CHECKING:
    from .segments import Lease

#: Where small buffers begin in the segment that they share: a cache line, which suits any array.
_ALIGNED: Final = 64
_EMPTY: Final = memoryview(b"")
_GONE: Final = {errno.ENOENT, errno.ESRCH}
#: Names the host instead of what the system says, where processes see each other's ``/proc`` all the same.
HOST: Final = "SNAKEKERNEL_HOST"

Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Some = Annotated[int, msgspec.Meta(ge=1, le=2**62)]

#: A buffer: which segment it lies in, from which of its bytes on, and how many.
Part = tuple[Annotated[int, msgspec.Meta(ge=0, lt=2**31)], _Count, _Some]


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes ``offset`` to ``offset + length`` of the sealed anonymous file that process ``pid`` has as
    ``descriptor`` and that carries ``name``."""

    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    descriptor: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    name: Hex
    offset: _Count
    length: _Some


def host() -> str:
    """Names the host in whose ``/proc`` this process is found: its boot and its table of processes."""
    return uuid.uuid5(uuid.NAMESPACE_OID, os.environ.get(HOST) or _system()).hex


@functools.cache
def _system() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return str(uuid.getnode())


@dataclass(slots=True)
class Publication:
    """What is kept of one. ``text`` and ``parts`` tell it from others under its key; an empty buffer has no
    part."""

    id: str
    owner: Hashable
    key: Hashable
    text: bytes
    segments: tuple[Segment, ...] = ()
    parts: tuple[Part | None, ...] = ()
    leases: list[Lease] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes of its segments."""
        return sum(segment.length for segment in self.segments)

    def end(self) -> None:
        """Let go of its segments."""
        for lease in self.leases:
            # Not `taken`, after which they would be filled again under the same name.
            lease.end()

    def holds(self, text: bytes, buffers: Sequence[memoryview]) -> bool:
        """Whether it is a publication of this."""
        lengths = [part[2] if part else 0 for part in self.parts]
        if self.text != text or lengths != [buffer.nbytes for buffer in buffers]:
            return False
        if not self.segments:
            return True
        from .segments import equal

        try:
            ours = open_parts(self.segments, self.parts)
        except (LimitExceeded, NotFound):
            # No descriptor is left to look through, or it ended meanwhile.
            return False
        return all(equal(one, other) for one, other in zip(ours, buffers, strict=True))


class Publications:
    """The publications of one kernel. Thread-safe.

    Args:
        most: so many at once. most_bytes: so many bytes of all segments together.
    """

    def __init__(self, most: int = 1_000, most_bytes: int = 16 << 30) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._by_id: dict[str, Publication] = {}
        self._by_key: dict[Hashable, str] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def nbytes(self) -> int:
        """Bytes of all segments."""
        with self._lock:
            return self._nbytes()

    def _nbytes(self) -> int:
        return sum(publication.nbytes for publication in self._by_id.values())

    def add(self, owner: Hashable, key: Hashable, text: bytes, buffers: Sequence[memoryview]) -> Publication:
        """Keep flat buffers, and tell them from others under this key by ``text`` also.

        Raises LimitExceeded where it is too much, Unsupported where there are no segments.
        """
        with self._lock:
            known = self._by_id.get(self._by_key.get((owner, key), ""))
        if known is not None and known.holds(text, buffers):
            with self._lock:
                if known.id in self._by_id:
                    return known
        self._check(sum(buffer.nbytes for buffer in buffers))
        publication = Publication(uuid.uuid4().hex, owner, key, text)
        try:
            _place(publication, buffers)
            with self._lock:
                self._by_id[publication.id] = publication
                self._by_key[owner, key] = publication.id
        except OSError as error:
            publication.end()
            raise LimitExceeded(f"There is no room for the segments: {error}.", fault="kernel") from None
        except BaseException:  # an interrupt too: nobody is told of it
            self.remove(publication.id)
            publication.end()
            raise
        return publication

    def _check(self, nbytes: int) -> None:
        if nbytes and not SUPPORTED:
            raise Unsupported("Publications of binary data need Linux's shared memory.", fault="kernel")
        with self._lock:
            count, kept = len(self._by_id), self._nbytes()
        if count >= self._most:
            raise LimitExceeded(f"There are {count} publications already; unpublish some.")
        if kept + nbytes > self._most_bytes:
            raise LimitExceeded(
                f"With these {nbytes} bytes publications would hold more than {self._most_bytes}; "
                "unpublish some."
            )

    def remove(self, id: str) -> bool:
        """End a publication; whether there was one."""
        with self._lock:
            publication = self._by_id.pop(id, None)
            if publication is None:
                return False
            if self._by_key.get((publication.owner, publication.key)) == id:
                del self._by_key[publication.owner, publication.key]
        publication.end()
        return True

    def clear(self, owner: Hashable) -> int:
        """End all publications of an owner; how many there were."""
        with self._lock:
            ids = [one.id for one in self._by_id.values() if one.owner == owner]
        return sum(self.remove(id) for id in ids)


def _place(publication: Publication, buffers: Sequence[memoryview]) -> None:
    """Put the buffers into segments. Raises OSError where no memory or no descriptor is left."""
    if not any(buffer.nbytes for buffer in buffers):
        publication.parts = (None,) * len(buffers)
        return
    from .segments import place

    def put(view: memoryview) -> int:
        placed = place(view, keep=True)
        publication.leases.append(placed.lease)
        segment = Segment(os.getpid(), placed.descriptor, placed.name, placed.offset, placed.length)
        publication.segments += (segment,)
        return len(publication.segments) - 1

    parts: dict[int, Part] = {}
    shared, places = bytearray(), dict[int, int]()
    for index, buffer in enumerate(buffers):
        if buffer.nbytes >= FROM_BYTES:
            parts[index] = (put(buffer), 0, buffer.nbytes)
        elif buffer.nbytes:
            places[index] = len(shared)
            shared += buffer
            shared += bytes(-len(shared) % _ALIGNED)
    if places:
        number = put(memoryview(shared))
        parts |= {index: (number, at, buffers[index].nbytes) for index, at in places.items()}
    publication.parts = tuple(parts.get(index) for index in range(len(buffers)))


def open_parts(segments: Sequence[Segment], parts: Sequence[Part | None]) -> list[memoryview]:
    """The buffers of a publication, as writable memory of our own; nothing is copied.

    Raises NotFound where a segment is gone, LimitExceeded where this process can open no more, InvalidRequest
    for one that is not as described, not sealed, or of another user.
    """
    for index, part in enumerate(parts):
        if part is not None and (part[0] >= len(segments) or part[1] + part[2] > segments[part[0]].length):
            raise InvalidRequest("The segments do not have these bytes.", at=f".buffers[{index}]")
    views = [_opened(segment, index) for index, segment in enumerate(segments)]
    return [_EMPTY if part is None else views[part[0]][part[1] : part[1] + part[2]] for part in parts]


def _opened(segment: Segment, index: int) -> memoryview:
    at = f".segments[{index}]"
    if not SUPPORTED:
        raise Unsupported("Publications of binary data need Linux's shared memory.", at=at)
    from .segments import open_segment

    try:
        return open_segment(segment.pid, segment.descriptor, segment.name, segment.offset, segment.length)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        if number in _GONE:
            raise NotFound(
                "What was published is not there any more: it was unpublished, its session has ended, or its "
                "kernel is gone. Publish it again.",
                at=at,
            ) from None
        if number in OURS:
            raise LimitExceeded(
                f"The segment could not be opened here: {error}.", at=at, fault="kernel"
            ) from None
        raise InvalidRequest(f"The segment could not be opened: {error}.", at=at) from None
