"""Calls that nobody waits for any more: their kernel is free again once it has stopped them.

Rules: a kernel serves what is for its main thread in order, so a request sent after the cancelled one is
answered when that is over; of calls that overlap there, when it was told to stop. A kernel that does not stop
it in time is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import KernelLost
from ..wire.names import request_type
from .member import Member


class Freeing:
    """Of one pool.

    Args:
        done: told the ticket of a call once it is over.
        stuck: told of a kernel that did not stop one in time.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        done: Callable[[int], None],
        stuck: Callable[[Member], None],
    ) -> None:
        self._loop = loop
        self._done = done
        self._stuck = stuck
        self._timers: dict[int, asyncio.TimerHandle | None] = {}

    def add(self, member: Member, ticket: int, patience: float | None) -> None:
        """A call was given up; ``patience`` in seconds, or None."""
        over = partial(self._loop.call_soon, self._is_over, ticket)
        self._timers[ticket] = None
        if patience is not None:
            self._timers[ticket] = self._loop.call_later(patience, self._stuck, member)
        client: Any = member.client
        try:
            link, post = client._opened()
            post.give(link.message(request_type("ping"), b"{}"), lambda answer: over())
        except KernelLost:
            over()

    def _is_over(self, ticket: int) -> None:
        if ticket in self._timers:
            timer = self._timers.pop(ticket)
            if timer is not None:
                timer.cancel()
            self._done(ticket)

    def close(self) -> None:
        """Wait for nothing any more."""
        for timer in self._timers.values():
            if timer is not None:
                timer.cancel()
        self._timers.clear()
