"""Sessions of a pool: who holds one, and what its holders are given.

Rules: a handle is a lease, held until its block ends. All handles of a session have one kernel; when that is
lost they stay dead, and a handle asked for afterwards opens the session anew.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..client.aio import AsyncClient
from ..errors import InvalidRequest, WorkerLost
from ..objects.quotas import Quota

if TYPE_CHECKING:
    from .member import Member
    from .pool import KernelPool

#: Seconds, more than a process lives: sessions end when the pool says so, not by the kernel's clock.
FOR_EVER: Final = 31_536_000_000.0

#: What the kernel takes as the name of a new session.
_NAME: Final = re.compile("[^~\ud800-\udfff][^\ud800-\udfff]{0,1023}")


def seconds(name: str, value: float) -> float:
    """A time that is to be waited. Raises ValueError for what no clock comes to."""
    if not value >= 0:
        raise ValueError(f"{name} is {value}; it must be a number of seconds, at least 0.")
    return value


class OpenSession:
    """One session as long as it lives."""

    __slots__ = ("handles", "id", "is_over", "member", "opened")

    def __init__(self, id: str, member: Member, opened: asyncio.Future[Any]) -> None:
        self.id = id
        self.member = member
        #: Done when the kernel has it.
        self.opened = opened
        self.handles: set[PoolSession] = set()
        #: Whoever is about to get it must not.
        self.is_over = False


class PoolSession:
    """A handle of a session: ``async with pool.session("alice") as snake: …``.

    ``snake`` is an ``AsyncClient`` bound to the session on its kernel, and dead once the block ends.
    """

    def __init__(
        self,
        pool: KernelPool,
        session_id: str | None,
        ttl: float | None,
        queue_timeout: float | None,
        quota: Mapping[str, int] | None = None,
    ) -> None:
        if session_id is None:
            session_id = f"session-{uuid.uuid4().hex}"
        # A kernel would refuse it, and be of no use to others then.
        elif not isinstance(session_id, str) or not _NAME.fullmatch(session_id):
            raise InvalidRequest(
                f"A session is named by 1 to 1,024 characters that do not begin with '~', not {session_id!r}."
            )
        self._pool = pool
        self.session_id = session_id
        self._ttl = None if ttl is None else seconds("ttl", ttl)
        self._queue_timeout = queue_timeout
        self._quota = None if quota is None else dict(quota)
        try:
            msgspec.convert(self._quota or {}, Quota)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"{quota!r} is no quota: {error}.") from None
        self._ticket = 0
        self._found: OpenSession | None = None
        self._view: AsyncClient | None = None
        #: Whether it was closed, also by whoever was interrupted before he had it.
        self._is_let_go = False
        #: The kernel while the handle is held.
        self.member: Member | None = None
        #: Called when the session ends while this holds it; not when the handle is let go.
        self.on_end: Callable[[], object] | None = None

    async def open(self) -> AsyncClient:
        """Get the session's kernel and open the session there, where it is not yet.

        Raises:
            PoolFull, QueueTimeout, PoolClosed: the session gets no kernel; nothing was sent.
            WorkerLost: its kernel ended just now. KernelLost: no kernel starts.
        """
        if self._ticket or self._is_let_go:
            raise RuntimeError("This handle was used already; ask the pool for another.")
        self._ticket, found = await self._pool._check_out(
            self.session_id, self._ttl, self._queue_timeout, self._quota
        )
        found.handles.add(self)
        try:
            if not found.opened.done():
                # Shielded: others wait for it as well.
                await asyncio.shield(found.opened)
            found.opened.result()
            if self._is_let_go:
                raise RuntimeError("This handle was let go while it was opened.")
            if found.is_over:
                raise WorkerLost.unsent(f"The session {found.id!r} has just ended; nothing was sent.")
        except BaseException:
            self._pool._let_go(found, self, self._ticket)
            raise
        self._found = found
        self.member = found.member
        view: AsyncClient = found.member.client._in_session(self.session_id)
        self._view = view
        return view

    def close(self) -> None:
        """Let go of the session, which lives on for its time to live. Idempotent."""
        self._is_let_go = True
        found, self._found = self._found, None
        if found is not None:
            self._pool._let_go(found, self, self._ticket)
            self._end()

    def lose(self, goes_on: bool) -> None:
        """The session is over; ``goes_on``: its kernel is not."""
        self._found = None
        if goes_on:
            self._end()
        if self.on_end is not None:
            self.on_end()

    def _end(self) -> None:
        # What others are told of a kernel that is gone does not hold for it.
        if self._view is not None:
            self._view._link = None

    async def __aenter__(self) -> AsyncClient:
        return await self.open()

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()
