"""Publications between kernels of different hosts, through the stores of real engines.

There is one machine here, and a kernel that says it is another host: so its memory is never opened directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy
import pytest
from engine_clusters import CLUSTERS

from snakekernel import KernelPool
from snakekernel.errors import NotFound, WorkerLost
from snakekernel.memory.publications import HOST
from snakekernel.provisioners.sidecar import close_all

#: On a busy machine a cluster of Ray is there in its second or third attempt.
pytestmark = [pytest.mark.kernel, pytest.mark.timeout(240)]

LENGTH = 1 << 20


@pytest.fixture(scope="module", params=sorted(CLUSTERS))
def cluster(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """An engine's name and the address of a cluster."""
    with CLUSTERS[request.param]() as address:
        yield request.param, address
        close_all()


async def test_what_is_published_on_one_host_is_an_argument_on_another(cluster: tuple[str, str]) -> None:
    engine, address = cluster
    config = {"address": address, "lease": 5.0, **({"cpus": 0.1} if engine == "ray" else {})}
    async with KernelPool(maximum=2, provisioner={"name": engine, "config": config}) as pool:
        async with pool.session("theirs") as theirs, pool.session("mine") as mine:
            await theirs.call("os.environ.__setitem__", args=[HOST, "another"])
            await theirs.call("numpy.arange", args=[LENGTH], store_as="x")
            published, again = await theirs.publish("x"), await theirs.publish("x")
            assert again == published
            total = LENGTH * (LENGTH - 1) // 2
            # All at once, and each way to ask; it is brought once.
            sums = [mine.call("numpy.sum", args=[published], returns="value") for _ in range(2)]
            heard = mine.call("numpy.sum", args=[[published]], on_output=lambda output: None)
            begun = mine.submit("numpy.sum", args=[published])
            assert await asyncio.gather(*sums, heard, begun) == [total] * 4
            await mine.store("x", {"array": published})
            array = await mine.retrieve(target=["stored", "x", "array"], returns="value")
            assert numpy.array_equal(array, numpy.arange(LENGTH))
            assert await theirs.unpublish(published) == 1
            with pytest.raises(NotFound, match="could not be brought"):
                await mine.call("builtins.len", args=[published])
            lost = await theirs.publish("x")
        await pool.close_session("theirs")
        async with pool.session("mine") as mine:
            with pytest.raises((NotFound, WorkerLost)):
                await mine.call("builtins.len", args=[lost])
