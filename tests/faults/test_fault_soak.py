"""Minutes of mixed load with kernels killed at random: each request ends, no effect is seen twice, memory stays.

``make soak`` goes on for an hour. The clients rest most of the time, so that others are not kept from their work.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psutil
import pytest
from needs import MEASURED
from soaking import Ledger, async_client, blocking_client

from snakekernel import KernelPool
from snakekernel.pool.status import PoolStatus

pytestmark = pytest.mark.kernel

SECONDS: Final = float(os.environ.get("SOAK_SECONDS", "120"))
#: Of each kind.
CLIENTS: Final = 4
#: Seconds between two kills, on average.
KILL_EVERY: Final = 6.0
#: Bytes that the program may be larger in the last third than in the second: one array of the load, and malloc's
#: own ways.
GROWTH: Final = 24 << 20
_OPTIONS: Final = {"maximum": 4, "spares": 1, "sessions_per_kernel": 50, "provisioner": "zygote"}


class Disturbance:
    """Kills kernels at random, and looks at this process meanwhile; on the event loop."""

    def __init__(self, looks: list[Callable[[], PoolStatus]]) -> None:
        self._looks = looks
        self.kills = 0
        #: Resident bytes and descriptors, each second.
        self.sizes: list[int] = []
        self.descriptors: list[int] = []

    async def go_on(self, goes_on: Callable[[], bool]) -> None:
        chance, process = random.Random(), psutil.Process()
        while goes_on():
            await asyncio.sleep(1)
            gc.collect()
            self.sizes.append(process.memory_info().rss)
            self.descriptors.append(process.num_fds())
            if chance.random() < 1 / KILL_EVERY:
                status = await asyncio.to_thread(chance.choice(self._looks))
                pids = [kernel.pid for kernel in status.kernels if kernel.pid is not None]
                if pids:
                    self._kill(chance.choice(pids))

    def _kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills += 1


@pytest.mark.promise("fault-17")
@pytest.mark.timeout(SECONDS + 180)
async def test_eight_clients_and_kernels_killed_at_random(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ledgers = [Ledger(f"{kind} {n}", tmp_path) for kind in ("blocking", "async") for n in range(CLIENTS)]
    end = time.monotonic() + SECONDS

    def goes_on() -> bool:
        return time.monotonic() < end

    with KernelPool.blocking(**_OPTIONS) as blocking, ThreadPoolExecutor(CLIENTS) as threads:
        async with KernelPool(**_OPTIONS) as pool:
            disturbance = Disturbance([blocking.status, pool.status])
            works = [
                threads.submit(blocking_client, blocking, ledger, goes_on) for ledger in ledgers[:CLIENTS]
            ]
            await asyncio.gather(
                disturbance.go_on(goes_on),
                *(async_client(pool, ledger, goes_on) for ledger in ledgers[CLIENTS:]),
                *(asyncio.wrap_future(work) for work in works),
            )
            # Each kernel that there is now answers.
            assert await pool.call("math.sqrt", 4) == 2
            assert await asyncio.to_thread(blocking.call, "math.sqrt", 4) == 2

    ended = sum((ledger.check() for ledger in ledgers), Counter())
    third = len(disturbance.sizes) // 3
    before, after = (
        statistics.median(disturbance.sizes[begin : begin + third]) for begin in (third, 2 * third)
    )
    open_before, open_after = (
        statistics.median(disturbance.descriptors[begin : begin + third]) for begin in (third, 2 * third)
    )
    record_property(
        MEASURED,
        f"{SECONDS:.0f} s, {disturbance.kills} kernels killed; {ended['reply'] + ended['meant']} requests with "
        f"the reply that was meant, {ended['lost']} with KernelLost, none without an end; "
        f"memory {(after - before) / 2**20:+.1f} MiB, descriptors {open_after - open_before:+.0f}",
    )
    assert ended["reply"] > 10 * SECONDS / 10
    assert disturbance.kills >= SECONDS / KILL_EVERY / 4
    assert after - before < GROWTH
    assert open_after - open_before < 60
