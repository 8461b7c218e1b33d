"""Many calls at once: ``with snake.parallel(4) as pool: …`` and ``map``, for both clients.

Rules: a pool is a view of the client whose requests go to the least busy of a fixed set of subshells. When
its block ends well all that was submitted is waited for; when it ends by an exception it is cancelled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from copy import copy
from typing import TYPE_CHECKING, Any, Final, Self

from ..errors import SnakeError
from .future import Future
from .keeper import LEASE
from .lanes import Lanes, Spare
from .mapping import mapped
from .operations import Operations
from .payload import Target, field, whole
from .unwanted import close_stream

if TYPE_CHECKING:
    from .waiting import Turns

#: Calls at once where none are named.
DEFAULT: Final = 4
#: Seconds for a kernel to end subshells. What it does not do by then it does when the lease runs out.
_PATIENCE: Final = 5.0


class Pooling(Operations):
    """What both clients need for pools."""

    _spare: Spare

    def _open_lanes(self, count: int, reused: Sequence[str]) -> Any:
        """Ask for subshells; the result is their ids."""
        for _ in range(count - len(reused)):
            self._keeper.hold()
        fields = {"count": count, "reuse": list(reused), "lease": LEASE}
        return self._send("open_subshells", fields, field("subshells"), None, None, channel="control")

    def _reused(self, count: int) -> list[str]:
        """Those of earlier blocks, for one that needs so many."""
        if count < 1:
            raise ValueError(f"a pool needs one subshell at least, not {count}")
        return self._spare.take(count)

    def _opening_failed(self, count: int, reused: Sequence[str]) -> None:
        self._spare.give(reused)
        for _ in range(count - len(reused)):
            self._keeper.let_go()

    def _close_lanes(self, ids: Sequence[str]) -> Any:
        """Ask for all to be closed; the result comes when they are, or soon after."""
        fields = {"subshells": list(ids)}
        return self._send("close_subshells", fields, whole, None, _PATIENCE, channel="control")

    def _pooled(self, subshells: Sequence[str], is_done: Any) -> tuple[Self, Lanes]:
        self._spare.use(subshells)
        pool = copy(self)
        pool._lanes = lanes = Lanes(subshells, is_done)
        return pool, lanes

    def _leave_lanes(self, lanes: Lanes) -> None:
        """A block is over: close the streams that nobody read to their end, and keep the subshells."""
        subshells = lanes.close()
        for number in lanes.streams():
            close_stream(self._link, number)
        self._spare.give(subshells)


class Parallel(Pooling):
    """Of the blocking client."""

    _turns: Turns

    @contextmanager
    def parallel(self, n: int = DEFAULT) -> Iterator[Self]:
        """A view of this client whose requests are served ``n`` at a time, each by a thread of the kernel.

        ``call``, ``submit``, ``map`` and all other operations go to the least busy thread. The end of the
        block waits for all that was submitted; an exception that leaves it cancels that. The threads stay for
        the next block until the client is closed.

        Args:
            n: how many at once; one kernel has 64 at most, for all its clients.

        Raises:
            LimitExceeded: there are too many. Unsupported: the kernel has no subshells.
        """
        reused = self._reused(n)
        try:
            subshells = self._open_lanes(n, reused)
        except BaseException:
            self._opening_failed(n, reused)
            raise
        pool, lanes = self._pooled(subshells, Future._has_come)
        try:
            yield pool
            for future in lanes.pending():
                self._turns.wait(future, None)
        except BaseException:
            for future in lanes.pending():
                future.cancel()
            raise
        finally:
            self._leave_lanes(lanes)

    def map(
        self,
        target: Target,
        *iterables: Iterable[Any],
        concurrency: int | None = None,
        kwargs: Mapping[str, Any] | None = None,
        returns: str = "auto",
        session_id: str | None = None,
    ) -> list[Any]:
        """Call a target with the elements of the iterables, several at a time; the results in their order.

        The first error that comes ends it: no more is called, what runs is cancelled.

        Args:
            iterables: as of the built-in ``map``; no more is taken from them than is called.
            concurrency: calls at once: 4 if not given, or all of the pool that this is called on.
            kwargs: keyword arguments of each call.
            returns, session_id: as for ``call``.
        """
        if self._lanes is None or not self._lanes.is_open:
            with self.parallel(concurrency or DEFAULT) as pool:
                return pool.map(target, *iterables, kwargs=kwargs, returns=returns, session_id=session_id)
        running = _Running(self._turns)
        most = min(concurrency or len(self._lanes), len(self._lanes))
        try:
            for index, args in enumerate(zip(*iterables, strict=False)):
                if len(running) >= most:
                    running.wait()
                running.add(
                    index,
                    self.submit(target, args=args, kwargs=kwargs, returns=returns, session_id=session_id),
                )
            while running:
                running.wait()
        except BaseException:
            running.cancel()
            raise
        return [running.results[index] for index in range(len(running.results))]

    def _close_spare(self) -> None:
        """End this client's subshells, while it is still open."""
        ids = self._spare.all()
        if ids and not self._link.is_foreign():
            with suppress(SnakeError):
                self._close_lanes(ids)


class _Running:
    """The calls of one ``map`` that are under way."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._indexes: dict[Future, int] = {}
        self._done: deque[Future] = deque()
        #: Gets a reply of its own when any of them does.
        self._any: Future | None = None
        self.results: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._indexes)

    def add(self, index: int, future: Future) -> None:
        self._indexes[future] = index
        future.add_done_callback(self._came)

    def _came(self, future: Future) -> None:
        self._done.append(future)
        if self._any is not None:
            self._turns.settle(self._any)

    def wait(self) -> None:
        """Take the result of one more; raises what it raised."""
        while not self._done:
            self._any = Future(self._turns, "map", whole, -1)
            # One that came in between has found none to tell, or the one before.
            if not self._done:
                self._turns.wait(self._any, None)
        future = self._done.popleft()
        self.results[self._indexes.pop(future)] = future.result()

    def cancel(self) -> None:
        for future in self._indexes:
            future.cancel()


class AsyncParallel(Pooling):
    """Of the async client."""

    @asynccontextmanager
    async def parallel(self, n: int = DEFAULT) -> AsyncIterator[Self]:
        """As of the blocking client: ``async with snake.parallel(8) as pool: await asyncio.gather(…)``."""
        reused = self._reused(n)
        try:
            subshells = await self._open_lanes(n, reused)
        except BaseException:
            self._opening_failed(n, reused)
            raise
        pool, lanes = self._pooled(subshells, asyncio.Future.done)
        try:
            yield pool
            pending = lanes.pending()
            if pending:
                await asyncio.wait(pending)
        except BaseException:
            for future in lanes.pending():
                future.cancel()
            raise
        finally:
            self._leave_lanes(lanes)

    async def map(
        self,
        target: Target,
        *iterables: Iterable[Any],
        concurrency: int | None = None,
        kwargs: Mapping[str, Any] | None = None,
        returns: str = "auto",
        session_id: str | None = None,
    ) -> list[Any]:
        """As of the blocking client."""
        if self._lanes is None or not self._lanes.is_open:
            async with self.parallel(concurrency or DEFAULT) as pool:
                return await pool.map(
                    target, *iterables, kwargs=kwargs, returns=returns, session_id=session_id
                )
        return await mapped(
            lambda args: self.call(target, args=args, kwargs=kwargs, returns=returns, session_id=session_id),
            iterables,
            min(concurrency or len(self._lanes), len(self._lanes)),
        )

    async def _close_spare(self) -> None:
        """End this client's subshells, while it is still open."""
        ids = self._spare.all()
        if ids:
            with suppress(SnakeError):
                await self._close_lanes(ids)
