"""Publications between the kernels of a pool of one machine: they open the same memory, nothing is moved."""

from __future__ import annotations

import asyncio

import numpy
import pytest
from stock_client import PATIENCE

from snakekernel import KernelPool
from snakekernel.errors import NotFound
from snakekernel.memory.peers import SUPPORTED

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(not SUPPORTED, reason="segments need Linux")]

LENGTH = 1 << 20


async def test_what_a_session_publishes_is_an_argument_of_others_and_of_calls() -> None:
    async with KernelPool(maximum=3) as pool, pool.session("theirs") as theirs:
        await theirs.call("numpy.arange", args=[LENGTH], store_as="x")
        published = await theirs.publish("x")
        async with pool.session("mine") as mine:
            await mine.store("x", published)
            # Once it is open it stays, whoever ends.
            await pool.close_session("theirs")
            total = await mine.call("stored.x.sum", returns="value")
            assert total == numpy.arange(LENGTH).sum()
            again = await mine.publish("x")
            # Handed on from kernel to kernel, it is still the same memory.
            assert again.segments[0].name == published.segments[0].name
            assert await pool.call("builtins.len", again) == LENGTH
            # The kernel of a closed session ends when the pool comes to it.
            with pytest.raises(NotFound, match="its kernel is gone"):
                async with asyncio.timeout(PATIENCE):
                    while await pool.call("builtins.len", published):
                        await asyncio.sleep(0.01)
