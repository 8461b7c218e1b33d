"""Messages beside replies on their way to whoever expects them: streams, and functions that live here.

Rules: called under the link's lock, so what is told only takes note. Once made it stays with its link.
"""

from __future__ import annotations

from collections.abc import Callable

from ..wire.names import ITEM
from .link import Link
from .message import Received


class Events:
    """Hands out what comes on a link beside replies.

    Attributes:
        streams: what takes the items of a stream, by the number of its request; others are dropped.
        callbacks: takes all else, with its type and the number of the request it belongs to.
    """

    def __init__(self) -> None:
        self.streams: dict[int, Callable[[Received], None]] = {}
        self.callbacks: Callable[[str, int, Received], None] | None = None

    def __call__(self, msg_type: str, number: int, received: Received) -> None:
        """See ``Link.events``."""
        if msg_type == ITEM:
            take = self.streams.get(number)
            if take is not None:
                take(received)
        elif self.callbacks is not None:
            self.callbacks(msg_type, number, received)


def events_of(link: Link) -> Events:
    """The one dispatcher of a link, made when the first asks for it."""
    events = link.events
    if not isinstance(events, Events):
        with link.lock:
            # Another thread may have been quicker.
            events = link.events
            if not isinstance(events, Events):
                events = link.events = Events()
    return events
