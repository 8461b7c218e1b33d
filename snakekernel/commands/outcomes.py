"""Outcomes kept by ``call_id``, so that a repeated request runs nothing twice.

Rules: the first outcome of an id is given again within one kernel process; an id whose outcome was let go
is ``outcome_unknown``, never run again; the same id with other content is the caller's mistake. Bounded in
number and bytes; let-go ids are remembered by a digest, the newest 100,000 of them.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ..wire.errors import InvalidRequest, OutcomeUnknown
from ..wire.frame import Frame, flat, pack_json, unpack_object

_MOST: Final = 1_000
_MOST_BYTES: Final = 64 << 20
_REMEMBERED: Final = 100_000


class Packed(msgspec.Struct, frozen=True):
    """A reply ready to be sent."""

    content: bytes
    buffers: Sequence[memoryview] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of content and buffers."""
        return len(self.content) + sum(b.nbytes for b in self.buffers)


@dataclass(slots=True)
class Pending:
    """An id whose first request still runs: ``done`` is set when ``packed`` is there."""

    digest: bytes
    done: threading.Event = field(default_factory=threading.Event)
    packed: Packed | None = None


def digest_of(frame: Frame) -> bytes:
    """What makes two requests the same: operation, content and buffers."""
    state = hashlib.sha256(frame.msg_type.encode())
    content = frame.content
    state.update(content if isinstance(content, bytes) else pack_json(content))
    for buffer in frame.buffers:
        state.update(hashlib.sha256(flat(buffer)).digest())
    return state.digest()


class Outcomes:
    """Kept outcomes, by call id. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: OrderedDict[str, Pending] = OrderedDict()
        self._bytes = 0
        self._gone: OrderedDict[bytes, None] = OrderedDict()

    def begin(self, call_id: str, frame: Frame) -> Packed | Pending | None:
        """The first outcome of this id, one still pending, or None where the caller must run it.

        Raises InvalidRequest for other content under a known id, and OutcomeUnknown for an id let go.
        """
        digest = digest_of(frame)
        with self._lock:
            if _key(call_id) in self._gone:
                raise OutcomeUnknown(f"The outcome of call {call_id!r} is no longer kept.", at="$.call_id")
            slot = self._slots.get(call_id)
            if slot is None:
                self._slots[call_id] = Pending(digest)
                return None
            if slot.digest != digest:
                raise InvalidRequest(f"The call id {call_id!r} was used for another request.", at="$.call_id")
            return slot.packed or slot

    def end(self, call_id: str, packed: Packed) -> None:
        """Keep the outcome of an id that this caller ran.

        What is kept says that it produced no output, for a replay produces none; buffers are copied, since
        they show the live object and would keep it.
        """
        content = pack_json({**unpack_object(packed.content), "output": 0})
        packed = Packed(content, [memoryview(bytes(buffer)) for buffer in packed.buffers])
        with self._lock:
            slot = self._slots[call_id]
            slot.packed = packed
            self._bytes += packed.nbytes
            while len(self._slots) > _MOST or self._bytes > _MOST_BYTES:
                oldest = next((k for k, s in self._slots.items() if s.packed is not None), None)
                if oldest is None:
                    break
                gone = self._slots.pop(oldest).packed
                self._bytes -= gone.nbytes if gone is not None else 0
                self._gone[_key(oldest)] = None
                if len(self._gone) > _REMEMBERED:
                    self._gone.popitem(last=False)
        slot.done.set()


def _key(call_id: str) -> bytes:
    return hashlib.blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
