"""How the async client runs its functions when the kernel calls them: coroutine functions as tasks of its
loop, plain functions on threads of their own."""

from __future__ import annotations

import asyncio
from typing import Any

from .lending import Called, Functions
from .link import Link


class LoopFunctions(Functions):
    """The functions that the async client lends."""

    def __init__(self, client: Any, link: Link, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(client, link)
        self._loop = loop
        self._tasks: set[asyncio.Task[Any]] = set()

    def _begin(self) -> None:
        self._listen(self._lost)

    def _lost(self, reason: Any) -> None:
        self._loop.call_soon_threadsafe(self.clear)

    def _called(self, called: Called, number: int) -> None:
        self._loop.call_soon_threadsafe(self._start, called)

    def _start(self, called: Called) -> None:
        task = self._loop.create_task(self._run(called))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, called: Called) -> None:
        called.read()
        if called.is_async and called.error is None:
            await called.arun()
        else:
            await asyncio.to_thread(called.run)

    def post(self, content: bytes, buffers: list[memoryview]) -> None:
        """See ``Functions.post``; the connection is used on the loop's thread only."""
        self._loop.call_soon_threadsafe(super().post, content, buffers)

    def close(self) -> None:
        """End what runs; the link is closed already. Idempotent."""
        for task in self._tasks:
            task.cancel()
        self.clear()
