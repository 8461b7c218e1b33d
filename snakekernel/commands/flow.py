"""How far a stream may run ahead of its reader, and whether anybody still wants it.

Rules: the thread that serves the stream waits here, on its own loop; credit, closing and loss come in from
other threads, neither wait nor run user code, and are never forgotten, also those that came before the stream
began.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

#: How many closings of streams that had not begun are remembered.
_MOST_EARLY: Final = 1_000

#: Who asked for a stream, by its Jupyter session, and the id of its request.
Key = tuple[str, str]


class Flow:
    """The credit of one stream.

    Attributes:
        granted, sent: items since the beginning. is_closed: nobody wants more. is_lost: the client is gone.
        on_close: told of the end by whoever brings it, on any thread.
    """

    __slots__ = ("_lock", "_waiter", "granted", "is_closed", "is_lost", "on_close", "sent")

    def __init__(self, credit: int) -> None:
        self.granted = credit
        self.sent = 0
        self.is_closed = self.is_lost = False
        self.on_close: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def grant(self, items: int) -> None:
        """The reader has room for more."""
        with self._lock:
            self.granted += items
        self._tell()

    def close(self) -> None:
        """The reader wants no more."""
        self.is_closed = True
        self.on_close()
        self._tell()

    def lose(self) -> None:
        """The reader is gone."""
        self.is_lost = True
        self.close()

    @property
    def may_go_on(self) -> bool:
        """Whether there is nothing to wait for: credit, or an end."""
        return self.sent < self.granted or self.is_closed

    async def ready(self) -> None:
        """Wait until it may go on."""
        loop = asyncio.get_running_loop()
        while not self.may_go_on:
            waiter = self._waiter = loop, loop.create_future()
            # What came just before saw no waiter.
            if not self.may_go_on:
                await waiter[1]

    def _tell(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            loop, future = waiter
            # Raised where a subshell's loop is closed: nobody waits there any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Flows:
    """The streams under way, by who asked for them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flows: dict[Key, Flow] = {}
        self._early: dict[Key, None] = {}

    def begin(self, key: Key, credit: int) -> Flow:
        """A stream begins; it is closed already where its reader was quicker."""
        flow = Flow(credit)
        with self._lock:
            self._flows[key] = flow
            flow.is_closed = key in self._early
            self._early.pop(key, None)
        return flow

    def end(self, key: Key) -> None:
        """A stream is over."""
        with self._lock:
            self._flows.pop(key, None)

    def find(self, key: Key) -> Flow | None:
        """The stream of this request, or None where it is over or has not begun."""
        with self._lock:
            return self._flows.get(key)

    def close(self, key: Key) -> bool:
        """Close a stream, also one that waits for its turn; whether it was under way."""
        with self._lock:
            flow = self._flows.get(key)
            if flow is None:
                self._early[key] = None
                if len(self._early) > _MOST_EARLY:
                    self._early.pop(next(iter(self._early)))
        if flow is None:
            return False
        flow.close()
        return True

    def __len__(self) -> int:
        return len(self._flows)
