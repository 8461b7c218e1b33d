"""Those that wait for a kernel: calls, and sessions to be opened, in the order they came.

Rules: a session waits once, with all tickets that ask for it, in the place of the first. One that is held
back, because its last kernel may still run, keeps its place too. Every step costs O(log n) at worst,
amortised.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

#: Stale entries that are not worth a clean-up.
_SLACK = 64


@dataclass(slots=True)
class Opening:
    """A session that is to be opened, and since when its tickets wait."""

    session: str
    order: int
    ttl: float | None
    is_held_back: bool
    tickets: dict[int, float] = field(default_factory=dict)


class Line:
    """The waiting line."""

    __slots__ = ("_by_ticket", "_heap", "_order", "calls", "openings", "ready")

    def __init__(self) -> None:
        #: Ticket -> its place in line, and since when.
        self.calls: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self.openings: dict[str, Opening] = {}
        #: How many openings are not held back.
        self.ready = 0
        self._by_ticket: dict[int, Opening] = {}
        self._heap: list[tuple[int, Opening]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self.calls) + len(self._by_ticket)

    def __contains__(self, ticket: int) -> bool:
        return ticket in self.calls or ticket in self._by_ticket

    def add_call(self, ticket: int, now: float) -> None:
        """Put a call at the end."""
        self._order += 1
        self.calls[ticket] = (self._order, now)

    def add_session(
        self, ticket: int, session: str, ttl: float | None, now: float, *, held_back: bool
    ) -> None:
        """Put a session at the end, or its ticket to those that wait for it already."""
        opening = self.openings.get(session)
        if opening is None:
            self._order += 1
            opening = Opening(session, self._order, ttl, held_back)
            self.openings[session] = opening
            if not held_back:
                self._push(opening)
        elif ttl is not None:
            opening.ttl = ttl
        opening.tickets[ticket] = now
        self._by_ticket[ticket] = opening

    def let_go(self, session: str) -> None:
        """The session is held back no longer."""
        opening = self.openings.get(session)
        if opening is not None and opening.is_held_back:
            opening.is_held_back = False
            self._push(opening)

    def remove(self, ticket: int) -> bool:
        """Take a ticket out; returns whether it was there."""
        if self.calls.pop(ticket, None) is not None:
            return True
        opening = self._by_ticket.pop(ticket, None)
        if opening is None:
            return False
        del opening.tickets[ticket]
        if not opening.tickets:
            del self.openings[opening.session]
            self.ready -= not opening.is_held_back
        return True

    def first_call(self) -> int | None:
        """The place in line of the oldest call."""
        for order, _ in self.calls.values():
            return order
        return None

    def first_opening(self) -> int | None:
        """The place in line of the oldest session that is not held back."""
        while self._heap:
            order, opening = self._heap[0]
            if self.openings.get(opening.session) is opening:
                return order
            heappop(self._heap)
        return None

    def take_call(self) -> int:
        """Take the oldest call out; there is one."""
        return self.calls.popitem(last=False)[0]

    def take_opening(self) -> Opening:
        """Take the oldest session out that is not held back; there is one."""
        self.first_opening()
        _, opening = heappop(self._heap)
        del self.openings[opening.session]
        self.ready -= 1
        for ticket in opening.tickets:
            del self._by_ticket[ticket]
        return opening

    def tickets(self) -> list[int]:
        """All that wait."""
        return [*self.calls, *self._by_ticket]

    def _push(self, opening: Opening) -> None:
        self.ready += 1
        # Orders are unique: openings are never compared.
        heappush(self._heap, (opening.order, opening))
        if len(self._heap) > 2 * self.ready + _SLACK:
            self._heap = [
                (opening.order, opening) for opening in self.openings.values() if not opening.is_held_back
            ]
            heapify(self._heap)
