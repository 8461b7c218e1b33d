"""Calls with the elements of iterables, several at a time: what ``map`` of the async faces does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any


async def mapped(
    call: Callable[[tuple[Any, ...]], Awaitable[Any]], iterables: Iterable[Iterable[Any]], most: int
) -> list[Any]:
    """The results in the order of the elements; no more is taken from the iterables than is called.

    The first error ends it: no more is called, what runs is cancelled.

    Args:
        call: makes one call of positional arguments.
        most: calls at once.
    """
    results: dict[int, Any] = {}
    source = enumerate(zip(*iterables, strict=False))

    async def work() -> None:
        for index, args in source:
            results[index] = await call(args)

    workers = [asyncio.ensure_future(work()) for _ in range(most)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[index] for index in range(len(results))]
