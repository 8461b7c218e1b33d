"""The subshells that a client uses, and which of them a request goes to.

Rules: a subshell serves its requests one after the other, so what came of it is known by its oldest requests.
Those that no block uses stay open for the next one, until the client is closed; the kernel says which of
them it still has. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

_F = TypeVar("_F")


class Lane:
    """One subshell, and what was sent to it."""

    __slots__ = ("_lock", "calls", "pending", "streams", "subshell")

    def __init__(self, subshell: str, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self.subshell = subshell
        #: Calls whose thread waits for them.
        self.calls = 0
        #: Futures, oldest first.
        self.pending: deque[Any] = deque()
        #: The numbers of the requests of streams under way.
        self.streams: set[int] = set()

    def leave(self) -> None:
        """The call that it was entered for is over, or was not sent."""
        with self._lock:
            self.calls -= 1

    def send(self, send: Callable[[], _F]) -> _F:
        """Send what it was entered for, which is over with the future that ``send`` gives."""
        try:
            future = send()
            self.pending.append(future)
            return future
        finally:
            self.leave()

    def carry(self, number: int) -> None:
        """What it was entered for is a stream, and over with ``drop``."""
        with self._lock:
            self.streams.add(number)
            self.calls -= 1

    def drop(self, number: int) -> None:
        """A stream is over."""
        with self._lock:
            self.streams.discard(number)


class Lanes:
    """The subshells of one ``parallel`` block.

    Args:
        is_done: whether a future has its reply.

    Attributes:
        is_open: whether the block is entered; afterwards requests go to the main shell.
    """

    def __init__(self, subshells: Sequence[str], is_done: Callable[[Any], bool]) -> None:
        # A signal handler may send while its thread chooses.
        self._lock = threading.RLock()
        self._lanes = [Lane(subshell, self._lock) for subshell in subshells]
        self._is_done = is_done
        self.is_open = True

    def __len__(self) -> int:
        return len(self._lanes)

    def enter(self) -> Lane:
        """The least busy one, counted as busier from now on; see ``Lane`` for how that ends."""
        with self._lock:
            lane = min(self._lanes, key=self._load)
            lane.calls += 1
            return lane

    def _load(self, lane: Lane) -> tuple[int, int]:
        pending = lane.pending
        while pending and self._is_done(pending[0]):
            pending.popleft()
        # A stream may wait for its reader, who may wait for a call: that one goes elsewhere if it can.
        return len(lane.streams), lane.calls + len(pending)

    def streams(self) -> list[int]:
        """The numbers of the requests of streams that are not known to be over."""
        with self._lock:
            return [number for lane in self._lanes for number in lane.streams]

    def pending(self) -> list[Any]:
        """The futures of what was sent and is not known to be over."""
        with self._lock:
            return [f for lane in self._lanes for f in lane.pending if not self._is_done(f)]

    def close(self) -> list[str]:
        """Take no more requests; returns the subshells."""
        self.is_open = False
        return [lane.subshell for lane in self._lanes]


class Spare:
    """The open subshells of one client that no block uses, over all its sessions."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._spare: list[str] = []
        self._used: set[str] = set()

    def take(self, count: int) -> list[str]:
        """Up to so many, for the kernel to be asked for as many as are needed."""
        with self._lock:
            taken, self._spare = self._spare[:count], self._spare[count:]
            return taken

    def use(self, subshells: Sequence[str]) -> None:
        """These are open, and in use."""
        with self._lock:
            self._used.update(subshells)

    def give(self, subshells: Sequence[str]) -> None:
        """These are not used any more."""
        with self._lock:
            self._used.difference_update(subshells)
            self._spare += subshells

    def all(self) -> list[str]:
        """All that are open; called when the client is closed."""
        with self._lock:
            return [*self._spare, *self._used]
