"""The kernel's side: the clients that attached, by their Jupyter session.

Rules: an attachment belongs to a process, which is watched by its descriptor, and ends with it. A segment
sent is kept until the client's byte in the ledger says that it is open, however slow the client is, or the
client is gone. Looked after by a timer, while anything is lent, and not by messages.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..wire.errors import InvalidRequest
from .exchange import FROM_BYTES, SEGMENTS, Sent, read_entries, receive, send
from .peers import CLOSED, LEDGER_SIZE, READY, SUPPORTED, Ledger

if TYPE_CHECKING:
    from .segments import Lease

#: Seconds between looks at the ledgers: at first, and at most.
_SOON: Final = 0.05
_LATEST: Final = 2.0


class _Attachment:
    """One client's process."""

    def __init__(self, pid: int, ledger: Ledger) -> None:
        self.pid = pid
        self.ledger = ledger
        self.leases: dict[int, Lease] = {}
        # Popped and appended by any thread: each is one operation.
        self.free = list(range(1, LEDGER_SIZE))
        self._process = os.pidfd_open(pid)

    @property
    def is_open(self) -> bool:
        """Whether the client can open what is sent to it: it said so, and has not closed."""
        try:
            return self.ledger.read()[:1] == bytes((READY,))
        except OSError:
            return False

    @property
    def is_over(self) -> bool:
        """Whether the client has closed the attachment, or its process has ended."""
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return bool(poll.poll(0)) or self.ledger.read()[:1] == bytes((CLOSED,))

    def settle(self) -> None:
        """End the leases of what the client has opened."""
        state = self.ledger.read()
        for slot in [slot for slot in self.leases if state[slot : slot + 1] == bytes((READY,))]:
            self.ledger.write(slot, 0)
            self.leases.pop(slot).taken()
            self.free.append(slot)

    def close(self) -> None:
        for lease in self.leases.values():
            lease.end()
        self.leases.clear()
        self.ledger.close()
        os.close(self._process)


class Attachments:
    """The attachments of one kernel.

    Args:
        from_bytes: buffers from this size on go through shared memory; None for none at all.
        call_later: runs a function after some seconds, on a thread that never waits for user code. Without
            it leases end when something else is lent.
    """

    def __init__(
        self,
        from_bytes: int | None = FROM_BYTES,
        call_later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        self._from_bytes = from_bytes if SUPPORTED else None
        self._call_later = call_later
        self._lock = threading.Lock()
        self._attachments: dict[str, _Attachment] = {}
        self._delay = 0.0

    def attach(self, session: str, pid: int, descriptor: int, name: str) -> int | None:
        """Attach the client of a Jupyter session; our descriptor of its ledger, or None where that cannot be
        opened. Asked again for the same ledger, the answer is the same."""
        if self._from_bytes is None or not session:
            return None
        with self._lock:
            self._close_those_over()
            attachment = self._attachments.get(session)
            if attachment is not None and (attachment.pid, attachment.ledger.name) == (pid, name):
                return attachment.ledger.descriptor
            try:
                ledger = Ledger.of(pid, descriptor, name)
            except (OSError, OverflowError):
                # Another host, process table or user: the socket serves.
                return None
            try:
                opened = _Attachment(pid, ledger)
            except OSError:
                ledger.close()
                return None
            if attachment is not None:
                attachment.close()
            self._attachments[session] = opened
            return ledger.descriptor

    def send(self, session: str, buffers: Sequence[memoryview]) -> Sent | None:
        """Put the big buffers of a reply into segments; None where all go through the socket."""
        attachment = self._attachments.get(session)
        if attachment is None or self._from_bytes is None or not attachment.is_open:
            return None
        taken: list[int] = []

        def slot() -> int | None:
            with self._lock:
                # What the client has opened may be filled again.
                attachment.settle()
            try:
                taken.append(attachment.free.pop())
            except IndexError:
                return None
            return taken[-1]

        sent, used = None, list[int]()
        try:
            sent = send(buffers, self._from_bytes, slot, attachment.ledger.name)
            if sent is not None:
                used = [entry["lease"] for entry in sent.entries if entry is not None]
                self._lend(session, attachment, dict(zip(used, sent.leases, strict=True)))
        except BaseException:  # what the client never hears of, it never takes
            with self._lock:
                for number in used:
                    attachment.leases.pop(number, None)
            for lease in sent.leases if sent is not None else ():
                lease.end()
            attachment.free.extend(taken)
            raise
        attachment.free.extend(set(taken).difference(used))
        return sent

    def _lend(self, session: str, attachment: _Attachment, leases: dict[int, Lease]) -> None:
        with self._lock:
            if self._attachments.get(session) is not attachment:
                # Gone meanwhile: nobody will read what goes out now.
                return
            attachment.leases.update(leases)
            waiting, self._delay = self._delay > 0, _SOON
        if not waiting:
            self._look_later()

    def receive(
        self, session: str, metadata: Mapping[str, Any], frames: Sequence[memoryview]
    ) -> list[memoryview]:
        """The buffers of a request whose metadata names segments. Raises InvalidRequest, LimitExceeded."""
        entries = read_entries(metadata[SEGMENTS], frames)
        attachment = self._attachments.get(session)
        if attachment is None:
            raise InvalidRequest(
                "Segments come only from a client that attached; attach first, or send the buffers.",
                at=f"$metadata.{SEGMENTS}",
            )
        return receive(attachment.pid, entries, frames)

    def close(self) -> None:
        """Close all attachments; what was received stays. Idempotent."""
        with self._lock:
            for attachment in self._attachments.values():
                attachment.close()
            self._attachments.clear()

    def _look_later(self) -> None:
        if self._call_later is None:
            self._look()
            return
        try:
            self._call_later(self._delay, self._look)
        except BaseException:
            # Nobody will look: the next to lend something tries again.
            self._delay = 0.0
            raise

    def _look(self) -> None:
        with self._lock:
            for attachment in self._attachments.values():
                if attachment.leases:
                    attachment.settle()
            self._close_those_over()
            pending = any(attachment.leases for attachment in self._attachments.values())
            self._delay = min(2 * self._delay, _LATEST) if pending and self._call_later is not None else 0.0
        if self._delay:
            self._look_later()

    def _close_those_over(self) -> None:
        for session in [session for session, attachment in self._attachments.items() if attachment.is_over]:
            self._attachments.pop(session).close()
