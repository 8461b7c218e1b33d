"""When the channel thread reads the shell socket in the main thread's place.

Rules: the main thread says when it gets busy (``watch``) and when it is about to wait (``rest``). While it is
busy, a message wakes the channel thread, by an ``epoll`` of one shot that sleeps in that thread's own loop.
Where requests come in a flood, each would wake it, and the two threads would fight for the interpreter; so it
looks every millisecond instead, until the flood ends or something long holds the main thread.

The two threads share plain attributes, each written before the other's is read: whichever comes last sees
that somebody must look. Looking once too often is harmless.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from time import monotonic
from typing import Final

#: Seconds: a request that takes longer is long; a flood wakes the channel thread more often.
_LONG: Final = 0.001
#: Turns of the main thread in that time that are a flood.
_FLOOD: Final = 4


class Follower:
    """The channel thread's part in the fast lane.

    Args:
        descriptor: the shell socket's.
        loop: the channel thread's.
        read: reads all that has come.
    """

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop, read: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._read = read
        self._epoll = select.epoll()
        self._epoll.register(descriptor, 0)
        #: Since when the main thread is busy, 0 while it waits.
        self._busy = 0.0
        self._turns = 0
        self._armed = self._closed = False
        #: When the channel thread was last woken.
        self._woken = 0.0
        #: Whether it looks instead, and how many turns it had seen at the last look.
        self._looks = False
        self._seen = 0

    # -- on the main thread --------------------------------------------------------------------------

    def watch(self) -> None:
        """The main thread gets busy."""
        self._busy = monotonic()
        self._turns += 1
        if not (self._looks or self._armed):
            self._arm()

    def rest(self) -> None:
        """The main thread is about to wait, and reads itself."""
        self._busy = 0.0
        if self._armed and not self._closed:
            # The flag last: the channel thread may arm in between, and armed without the flag is harmless.
            self._epoll.modify(self._descriptor, 0)
            self._armed = False

    def close(self) -> None:
        """After ``leave``: give the descriptor back."""
        self._closed = True
        self._epoll.close()

    # -- on the channel thread -----------------------------------------------------------------------

    def join(self) -> None:
        """Begin."""
        self._loop.add_reader(self._epoll.fileno(), self._follow)

    def leave(self) -> None:
        """End."""
        self._loop.remove_reader(self._epoll.fileno())

    def _follow(self) -> None:
        self._epoll.poll(0)
        self._armed = False
        woken, self._woken = self._woken, monotonic()
        if self._woken - woken < _LONG and not self._looks:
            # Said first, or the main thread arms again meanwhile.
            self._looks, self._seen = True, self._turns
            self._loop.call_later(_LONG, self._look)
        self._read()
        if self._busy and not self._looks:
            self._arm()

    def _look(self) -> None:
        busy, turns = self._busy, self._turns
        if turns - self._seen >= _FLOOD and (not busy or monotonic() - busy < _LONG):
            self._seen = turns
            self._loop.call_later(_LONG, self._look)
            return
        self._looks = False
        # Asked again: the main thread may have got busy meanwhile, and left the looking to us.
        if self._busy:
            self._read()
            self._arm()

    # -- on either -----------------------------------------------------------------------------------

    def _arm(self) -> None:
        if not self._closed:
            self._armed = True
            self._epoll.modify(self._descriptor, select.EPOLLIN | select.EPOLLONESHOT)
