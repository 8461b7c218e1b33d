"""Publications between the hosts of a pool's kernels, by way of the store of the engine that runs them.

Rules: nothing moves before a request to a kernel on another host names a publication. Then its bytes are put
into the engine's store once (``take``), and placed once on each host (``give``); the request goes on with
what lies there. A publication is moved only while its publisher lives, and what was moved ends with it. The
newest are kept, within bounds.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from ..client.aio import AsyncClient
from ..errors import NotFound, SnakeError, WorkerLost
from ..memory.publications import Segment
from ..values import Published

if TYPE_CHECKING:
    from .member import Member

T = TypeVar("T")

#: Publications that are kept in the engine's store, and their bytes.
_MOST: Final = 64
_MOST_BYTES: Final = 8 << 30


class Elsewhere(NotFound):
    """Nothing was sent: a publication that the request names is on another host; it is to be brought."""

    def __init__(self, published: Published) -> None:
        super().__init__(
            f"{published!r} is on another host. Calls and store() bring it here, streams and batches do not: "
            "store it first, and name what is stored."
        )
        self.published = published


@dataclass(slots=True)
class _Copy:
    """A publication on one host, given by way of one kernel there."""

    by: Member
    given: asyncio.Future[Published]


@dataclass(slots=True)
class _Moved:
    """A publication in the engine's store."""

    source: Member
    nbytes: int
    token: asyncio.Future[str]
    copies: dict[str, _Copy] = field(default_factory=dict)


class Carrier:
    """Brings publications to where a pool's kernels are. Belongs to the pool's event loop.

    Args:
        members: the pool's kernels. most, most_bytes: what is kept in the engine's store.
    """

    def __init__(
        self, members: Mapping[int, Member], *, most: int = _MOST, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._members = members
        self._most = most
        self._most_bytes = most_bytes
        self._moved: OrderedDict[str, _Moved] = OrderedDict()
        self._tasks: set[asyncio.Future[Any]] = set()

    def at(self, published: Published, host: str | None) -> Published | None:
        """The publication as kernels of that host open it, if it is there."""
        if not published.segments or published.host == host:
            return published
        moved = self._moved.get(published.id)
        copy = None if moved is None or host is None else moved.copies.get(host)
        if moved is None or copy is None or not copy.given.done() or not self._lives(copy.by, moved.source):
            return None
        self._moved.move_to_end(published.id)
        return None if copy.given.exception() else copy.given.result()

    async def bring(self, published: Published, to: Member) -> None:
        """Have it on a kernel's host. Raises NotFound where it is gone, WorkerLost."""
        if to.opens_on is None or not hasattr(to.provisioner, "give"):
            raise NotFound(f"{published!r} is on another host, and these kernels' provisioner moves nothing.")
        id = published.id
        moved = self._moved.get(id)
        if moved is None or not self._lives(moved.source):
            source = self._publisher(published)
            moved = _Moved(source, published.nbytes, self._do(self._take(published, source)))
            self._moved[id] = moved
            self._limit()
        copy = moved.copies.get(to.opens_on)
        if copy is None or not self._lives(copy.by):
            copy = moved.copies[to.opens_on] = _Copy(to, self._do(self._give(published, moved.token, to)))
        try:
            # Shielded: others may wait for it too.
            await asyncio.shield(copy.given)
        except SnakeError as error:
            if self._moved.get(id) is moved:
                self._forget(id)
            if isinstance(error, WorkerLost):
                raise
            raise NotFound(f"{published!r} could not be brought to the kernel's host: {error}") from None

    def drop(self, id: str | None, source: Member) -> None:
        """A kernel unpublished this, or all."""
        for one in (
            [id] if id is not None else [id for id, moved in self._moved.items() if moved.source is source]
        ):
            self._forget(one)

    async def settled(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _publisher(self, published: Published) -> Member:
        for member in self._members.values():
            if member.link is not None and member.link.epoch == published.kernel and self._lives(member):
                return member
        raise NotFound(
            f"{published!r} was published by a kernel that is gone, or that is none of this pool's."
        )

    def _lives(self, *members: Member) -> bool:
        return all(self._members.get(one.number) is one and not one.is_ending for one in members)

    async def _take(self, published: Published, source: Member) -> str:
        segments = [msgspec.to_builtins(segment) for segment in published.segments]
        token: str = await source.provisioner.take(segments)
        return token

    async def _give(self, published: Published, token: asyncio.Future[str], to: Member) -> Published:
        given = await to.provisioner.give(await token)
        segments = tuple(msgspec.convert(given, list[Segment]))
        return msgspec.structs.replace(published, host=to.opens_on, segments=segments)

    def _limit(self) -> None:
        while len(self._moved) > 1 and (
            len(self._moved) > self._most
            or sum(moved.nbytes for moved in self._moved.values()) > self._most_bytes
        ):
            self._forget(next(iter(self._moved)))

    def _forget(self, id: str) -> None:
        moved = self._moved.pop(id, None)
        if moved is not None:
            self._do(self._drop(moved))

    async def _drop(self, moved: _Moved) -> None:
        under_way: list[asyncio.Future[Any]] = [moved.token, *(copy.given for copy in moved.copies.values())]
        await asyncio.wait(under_way)
        # Where the publisher ends, its provisioner lets go of what was taken from it.
        if moved.token.exception() is None and self._lives(moved.source):
            await moved.source.provisioner.drop(moved.token.result())

    def _do(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever waits for it is told; nobody may wait any more.
            task.exception()


class FarClient(AsyncClient):
    """The client of a kernel that an engine runs: what it is given may be published on another host.

    A request that names such a publication is sent once that has been brought.
    """

    _member: Member
    _carrier: Carrier

    def carry(self, member: Member, carrier: Carrier) -> None:
        """Have the carrier bring what requests to this kernel name."""
        self._member, self._carrier = member, carrier
        self._extra = {Published: self._placed}

    def _placed(self, published: Published, encoder: Any) -> dict[str, Any]:
        there = self._carrier.at(published, self._member.opens_on)
        if there is None:
            raise Elsewhere(published)
        return there.to_json()

    async def _after(self, error: Elsewhere, again: Callable[[], Awaitable[Any]]) -> Any:
        await self._carrier.bring(error.published, self._member)
        return await again()

    def _send(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._send(*args, **kwargs)
        except Elsewhere as error:
            return self._after(error, partial(self._send, *args, **kwargs))

    def call(self, target: Any, **options: Any) -> Any:
        """As of any client."""
        try:
            return super().call(target, **options)
        except Elsewhere as error:
            return self._after(error, partial(self.call, target, **options))

    def submit(self, target: Any, **options: Any) -> Any:
        """As of any client."""
        try:
            return super().submit(target, **options)
        except Elsewhere as error:
            return asyncio.ensure_future(self._after(error, partial(self.submit, target, **options)))

    def unpublish(self, id: Published | str | None = None, **options: Any) -> Any:
        """As of any client; what was brought elsewhere goes, too."""
        self._carrier.drop(id.id if isinstance(id, Published) else id, self._member)
        return super().unpublish(id, **options)
