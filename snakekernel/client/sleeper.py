"""Sleeping on file descriptors, and waking who sleeps.

Rules: plain ``poll`` where the system has it; ``selectors`` would make an object for every descriptor at
every wait, and epoll costs a descriptor. Windows has ``select`` only.
"""

from __future__ import annotations

import math
import select
from collections.abc import Collection, Iterable
from socket import socketpair
from typing import Any


class Sleeper:
    """Sleeps until one of its descriptors is readable. Only one thread may sleep in it at a time."""

    def __init__(self, descriptors: Iterable[int]) -> None:
        self._descriptors = set(descriptors)
        self._poll: Any = None
        if hasattr(select, "poll"):
            self._poll = select.poll()
            for descriptor in self._descriptors:
                self._poll.register(descriptor, select.POLLIN)

    def add(self, descriptor: int) -> None:
        """Wake for this descriptor too."""
        self._descriptors.add(descriptor)
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLIN)

    def remove(self, descriptor: int) -> None:
        """Wake for it no more; one that is not there is none to wake for."""
        if descriptor in self._descriptors:
            self._descriptors.remove(descriptor)
            if self._poll is not None:
                self._poll.unregister(descriptor)

    def sleep(self, seconds: float | None) -> Collection[int]:
        """Wait until a descriptor is readable, or the seconds are over; returns those that are."""
        if self._poll is None:
            return select.select(list(self._descriptors), (), (), seconds)[0]
        return dict(self._poll.poll(None if seconds is None else math.ceil(seconds * 1000)))


class Pipe:
    """Wakes a thread that sleeps on descriptors. A pair of sockets: Windows can wait for no other."""

    def __init__(self) -> None:
        self._reader, self._writer = socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    @property
    def descriptor(self) -> int:
        """Readable when a thread is to wake; -1 once closed."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make the descriptor readable."""
        try:
            self._writer.send(b"\0")
        except OSError:
            # Full means that it is readable already; where it is closed, nobody sleeps any more.
            return

    def drain(self) -> None:
        """Make the descriptor unreadable again."""
        try:
            self._reader.recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close both ends. Idempotent."""
        self._reader.close()
        self._writer.close()
