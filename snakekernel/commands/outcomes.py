"""Outcomes kept by ``call_id``: a repeated request runs nothing twice, and a finished one can be fetched.

Rules: the first outcome of an id is given again within one kernel process, also an error and whoever asks;
an id whose outcome was let go is ``outcome_unknown``, never run again; the same id with other content is the
caller's mistake. Bounded in number and bytes; let-go ids are remembered by a digest, the newest 100,000 of
them.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from ..wire.errors import InvalidRequest, LimitExceeded, OutcomeUnknown
from ..wire.frame import Frame, flat, pack_json, unpack_object

_MOST: Final = 1_000
_MOST_BYTES: Final = 64 << 20
_REMEMBERED: Final = 100_000
#: Fields that say who asks and where, not what is to run.
_NO_MATTER: Final = ("epoch", "client", "lease", "callback_call")
_sorted: Final = partial(msgspec.json.encode, order="sorted")


class Packed(msgspec.Struct, frozen=True):
    """A reply ready to be sent."""

    content: bytes
    buffers: Sequence[memoryview] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of content and buffers."""
        return len(self.content) + sum(b.nbytes for b in self.buffers)


class Slot:
    """The place of one id: its first request, and how that ended.

    Attributes:
        op: the operation. digest: what makes another request the same. is_over: whether it has ended.
        packed: its reply; None before it has ended, and where it is not kept.
    """

    __slots__ = ("_lock", "_told", "digest", "is_over", "op", "packed")

    def __init__(self, op: str, digest: bytes) -> None:
        self.op = op
        self.digest = digest
        self.is_over = False
        self.packed: Packed | None = None
        self._lock = threading.Lock()
        self._told: list[Callable[[], object]] = []

    def end(self, packed: Packed | None) -> None:
        """It has ended; whoever waits is told."""
        with self._lock:
            self.packed, self.is_over = packed, True
            told, self._told = self._told, []
        for tell in told:
            tell()

    async def ended(self) -> None:
        """Wait for its end, on any loop: this one's may be what the first request waits for."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not over.done():
                over.set_result(None)

        def tell() -> None:
            # Raised where the loop is closed: nobody waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle)

        with self._lock:
            if self.is_over:
                return
            self._told.append(tell)
        try:
            await over
        finally:
            with self._lock, suppress(ValueError):
                # Told meanwhile, most often.
                self._told.remove(tell)


def digest_of(frame: Frame) -> bytes:
    """What makes two requests the same: the operation, what the kernel reads of the content, the buffers."""
    content = frame.content
    fields = unpack_object(content) if isinstance(content, bytes) else {**content}
    for name in _NO_MATTER:
        fields.pop(name, None)
    state = hashlib.sha256(frame.msg_type.encode())
    state.update(pack_json(fields, _sorted))
    for buffer in frame.buffers:
        state.update(hashlib.sha256(flat(buffer)).digest())
    return state.digest()


class Outcomes:
    """Kept outcomes, by call id. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: OrderedDict[str, Slot] = OrderedDict()
        self._bytes = 0
        self._gone: OrderedDict[bytes, None] = OrderedDict()

    def begin(self, call_id: str, slot: Slot) -> Slot:
        """The slot of the first request of this id: the given one, whose request is to be run, or another's.

        Raises InvalidRequest for other content under a known id, and OutcomeUnknown for an id let go.
        """
        with self._lock:
            first = self._found(call_id)
            if first is None:
                first = self._slots[call_id] = slot
            elif first.digest != slot.digest:
                raise InvalidRequest(f"The call id {call_id!r} was used for another request.", at="$.call_id")
            return first

    def find(self, call_id: str) -> Slot | None:
        """The slot of an id, or None where no request of it has begun. Raises OutcomeUnknown."""
        with self._lock:
            return self._found(call_id)

    def _found(self, call_id: str) -> Slot | None:
        if _key(call_id) in self._gone:
            raise let_go(call_id)
        return self._slots.get(call_id)

    def end(self, call_id: str, slot: Slot, packed: Packed) -> None:
        """Keep the outcome of an id, where this slot is the one of its first request.

        What is kept says that it produced no output, for a replay produces none; buffers are copied, since
        they show the live object and would keep it.
        """
        if self._slots.get(call_id) is not slot:
            return
        kept: Packed | None
        try:
            content = pack_json({**unpack_object(packed.content), "output": 0})
            kept = Packed(content, [memoryview(bytes(buffer)) for buffer in packed.buffers])
        except (MemoryError, LimitExceeded):
            # Of a plugin's own reply, what was packed may be nested too deeply to be read.
            kept = None
        with self._lock:
            if kept is None or kept.nbytes > _MOST_BYTES:
                # It alone goes, rather than all the others to make room.
                self._forget(call_id)
            else:
                self._bytes += kept.nbytes
                slot.end(kept)
                self._shrink()
        if not slot.is_over:
            # Those that wait for it still get it.
            slot.end(kept)

    def _shrink(self) -> None:
        while len(self._slots) > _MOST or self._bytes > _MOST_BYTES:
            oldest = next((id for id, slot in self._slots.items() if slot.packed is not None), None)
            if oldest is None:
                break
            self._forget(oldest)

    def _forget(self, call_id: str) -> None:
        gone = self._slots.pop(call_id).packed
        self._bytes -= 0 if gone is None else gone.nbytes
        self._gone[_key(call_id)] = None
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)


def let_go(call_id: str) -> OutcomeUnknown:
    """The error for an id whose outcome is kept no longer."""
    return OutcomeUnknown(f"The outcome of call {call_id!r} is no longer kept.", at="$.call_id")


def _key(call_id: str) -> bytes:
    return hashlib.blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
