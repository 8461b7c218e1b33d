"""Minutes of mixed load with kernels killed at random: each request ends, no effect is seen twice.

``make soak`` goes on for an hour. The clients rest most of the time, so that other tests go on.
"""

from __future__ import annotations

import asyncio
import ctypes
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
#: Bytes that the program may be larger in the last third than in the second: some arrays of the load, and
#: malloc's own ways.
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
            _give_back()
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


def _give_back() -> None:
    """Have the system get what is free: what malloc keeps for later is nobody's."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _growth(values: list[int]) -> float:
    """By how much the last third is more than the second; the first is warming up."""
    third = len(values) // 3
    return statistics.median(values[2 * third :]) - statistics.median(values[third : 2 * third])


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
            on_threads, on_this_loop = ledgers[:CLIENTS], ledgers[CLIENTS:]
            works = [threads.submit(blocking_client, blocking, ledger, goes_on) for ledger in on_threads]
            await asyncio.gather(
                disturbance.go_on(goes_on),
                *(async_client(pool, ledger, goes_on) for ledger in on_this_loop),
                *(asyncio.wrap_future(work) for work in works),
            )
            # Each kernel that there is now answers.
            assert await pool.call("math.sqrt", 4) == 2
            assert await asyncio.to_thread(blocking.call, "math.sqrt", 4) == 2

    ended = sum((ledger.check() for ledger in ledgers), Counter())
    growth, opened = (_growth(values) for values in (disturbance.sizes, disturbance.descriptors))
    record_property(
        MEASURED,
        f"{SECONDS:.0f} s, {disturbance.kills} kernels killed; {ended['reply'] + ended['meant']} requests "
        f"with the reply that was meant, {ended['lost']} with KernelLost, none without an end; "
        f"memory {growth / 2**20:+.1f} MiB, descriptors {opened:+.0f}",
    )
    assert ended["reply"] > SECONDS
    assert disturbance.kills >= SECONDS / KILL_EVERY / 4
    assert growth < GROWTH
    # As many as kernels that come and go have sockets.
    assert opened < 60
