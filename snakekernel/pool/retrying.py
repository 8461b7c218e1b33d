"""A pool's call that its caller marked idempotent: called on another kernel where its own is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from ..client.retrying import TRIES
from ..errors import KernelLost, PoolClosed, PoolFull, QueueTimeout, ReplyTimeout, WorkerLost

#: Why no other kernel took the call.
_NO_OTHER = (KernelLost, PoolClosed, PoolFull, QueueTimeout)


async def called_again(call: Callable[[float | None], Awaitable[Any]], timeout: float | None) -> Any:
    """The result of a call that is made up to three times, within ``timeout``.

    Args:
        call: makes it, given the seconds that are left for all that comes.

    Raises what the last kernel's loss raised, where no other one takes the call.
    """
    until = None if timeout is None else monotonic() + timeout
    lost: WorkerLost | None = None
    for _ in range(TRIES):
        left = None if until is None else max(0.0, until - monotonic())
        limit = asyncio.timeout(left)
        try:
            async with limit:
                return await call(left)
        except WorkerLost as error:
            lost = error
        except _NO_OTHER as error:
            if lost is None:
                raise
            raise lost from error
        except TimeoutError:
            # The called code's own come here as well.
            if not limit.expired():
                raise
            raise ReplyTimeout(f"No reply within {timeout} s; it was asked to stop.") from lost
    assert lost is not None
    raise lost
