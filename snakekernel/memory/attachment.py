"""The client's side: one attachment to the kernel of its connection.

Rules: it is open once both have opened something of the other's, which proves that they share host, process
table and user. A segment sent is kept until its request is answered; one received is taken in the ledger as
soon as it is open, whoever may still wait for it. No request waits for any of this.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..wire.errors import InvalidRequest
from ..wire.frame import check_buffers
from .exchange import SEGMENTS, Sent, read_entries, receive, send
from .peers import CLOSED, READY, SUPPORTED, Ledger, open_of

if TYPE_CHECKING:
    from .segments import Lease


class Attachment:
    """Shared memory with the kernel of one connection.

    Args:
        from_bytes: buffers from this size on go through it; None for none at all.

    Attributes:
        leases: what each request under way has lent, by the request's number.
    """

    def __init__(self, from_bytes: int | None) -> None:
        self._from_bytes = from_bytes if SUPPORTED else None
        self._ledger: Ledger | None = None
        self._pid: int | None = None
        self.leases: dict[int, list[Lease]] = {}

    def offer(self) -> dict[str, Any] | None:
        """The content of an ``attach`` request, or None where there is nothing to offer."""
        self.detach()
        if self._from_bytes is None:
            return None
        try:
            self._ledger = Ledger.new()
        except OSError:
            return None
        return {"pid": os.getpid(), "descriptor": self._ledger.descriptor, "name": self._ledger.name}

    def accept(self, content: Mapping[str, Any]) -> None:
        """Take the kernel's answer: the attachment is open if what the kernel has opened is ours."""
        pid, descriptor, ledger = content.get("pid"), content.get("descriptor"), self._ledger
        if ledger is None or not isinstance(pid, int) or not isinstance(descriptor, int):
            return
        try:
            os.close(open_of(pid, descriptor, ledger.name, os.O_RDWR))
            ledger.write(0, READY)
        except OSError:
            # Another host, process table or user: the socket serves.
            return
        self._pid = pid

    def send(self, number: int, buffers: Sequence[memoryview]) -> Sent | None:
        """Put the big buffers of a request into segments; None where all go through the socket."""
        if self._pid is None or self._from_bytes is None:
            return None
        # The answer says when they are open, so they take no place in the ledger.
        sent = send(buffers, self._from_bytes, itertools.repeat(0).__next__)
        if sent is not None:
            self.leases[number] = sent.leases
        return sent

    def answered(self, number: int) -> None:
        """The request was answered: the kernel has opened what it lent, or never will."""
        for lease in self.leases.pop(number, ()):
            lease.taken()

    def receive(self, metadata: Mapping[str, Any], frames: Sequence[memoryview]) -> list[memoryview]:
        """The buffers of a reply whose metadata names segments. Raises InvalidRequest, LimitExceeded."""
        check_buffers(metadata, frames, required=False)
        entries = read_entries(metadata[SEGMENTS], frames)
        ledger = self._ledger
        if self._pid is None or ledger is None:
            raise InvalidRequest("A segment came, and none was asked for.", at=f"$metadata.{SEGMENTS}")
        try:
            return receive(self._pid, entries, frames)
        finally:
            # Open or not, the kernel need not keep them. What an earlier attachment lent ended with it:
            # in the ledger of this one the number is another lease's.
            for entry in entries:
                if entry is not None and entry.lease and entry.ledger == ledger.name:
                    ledger.write(entry.lease, READY)

    def detach(self) -> None:
        """Close the attachment; what was received stays. Idempotent."""
        ledger, self._ledger, self._pid = self._ledger, None, None
        for number in list(self.leases):
            for lease in self.leases.pop(number, ()):
                lease.end()
        if ledger is not None:
            ledger.write(0, CLOSED)
            ledger.close()
