"""What has come of one stream, until its reader takes it.

Rules: told under the link's lock, so it only takes note; the link refers to it and it to no reader.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from ..wire.frame import unpack_object
from .events import Events
from .future import SETTLED
from .hearing import Outputs
from .keeper import Keeper
from .lanes import Lane
from .message import Received


class Feed:
    """What has come of one stream; the link refers to it."""

    def __init__(
        self,
        events: Events,
        number: int,
        keeper: Keeper,
        lane: Lane | None,
        outputs: Outputs | None,
    ) -> None:
        self._lane = lane
        self.items: deque[Received] = deque()
        #: The final reply, or the reason why none comes.
        self.end: Received | BaseException | None = None
        #: Of those who wait; each is told, under the link's lock, of all that comes.
        self.waiting: list[Callable[[Received | BaseException], None]] = []
        self._events = events
        self._number = number
        self._keeper = keeper
        self._is_abandoned = False
        #: What the producer puts out, where somebody listens.
        self.outputs = outputs
        if outputs is not None:
            outputs.wake = self._hear

    def _hear(self) -> None:
        self._wake(SETTLED)

    def _wake(self, came: Received | BaseException) -> None:
        for wake in tuple(self.waiting):
            wake(came)

    def take(self, received: Received) -> None:
        """An item came."""
        if self._is_abandoned:
            self._drop(received)
        else:
            self.items.append(received)
        self._wake(received)

    def finish(self, answer: Received | BaseException) -> None:
        """The reply came, or will not."""
        if self.end is None:
            self.end = answer
            if self._is_abandoned:
                # What came while it was.
                self.abandon()
            self._events.streams.pop(self._number, None)
            self._keeper.let_go()
            if self._lane is not None:
                self._lane.drop(self._number)
            if self.outputs is not None:
                self.outputs.replied(answer)
            self._wake(answer)

    def abandon(self) -> None:
        """Nobody takes items any more: references in them are let go. Also from finalizers."""
        self._is_abandoned = True
        with suppress(IndexError):
            while True:
                self._drop(self.items.popleft())

    def _drop(self, received: Received) -> None:
        if b'"$ref"' not in received.content:
            return
        item = unpack_object(received.content)["item"]
        if type(item) is dict and type(value := item.get("value")) is dict and "$ref" in value:
            self._keeper.refuse(value["$ref"])

    @property
    def has_come(self) -> bool:
        """Whether there is something to take, or to hand over."""
        return bool(self.items) or self.end is not None or self.has_news

    @property
    def has_news(self) -> bool:
        """Whether there is something to hand over."""
        return self.outputs is not None and self.outputs.has_news

    @property
    def misses_output(self) -> bool:
        """Whether nothing but output is still to come."""
        if self.outputs is None or self.end is None or self.items:
            return False
        return not (self.outputs.is_whole or self.outputs.has_news)
