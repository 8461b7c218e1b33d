"""Attack 14: bombs of processes, descriptors, disk and memory stop their own session, and no other.

Each session of a pool has a kernel of its own, under resource limits. The system does not hold root to a
number of processes, so that a kernel which root runs gives up being root before it forks.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from snakekernel import KernelPool
from snakekernel.errors import KernelLost

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.promise("attack-14"),
    pytest.mark.skipif(sys.platform != "linux", reason="The limits are those of Linux."),
]

LIMITS = {"as": 3 << 29, "nofile": 256, "fsize": 8 << 20, "nproc": 150, "core": 0}

DESCRIPTORS = """
import os
held = []
while True:
    held.append(os.open("/dev/null", os.O_RDONLY))
"""
MEMORY = """
held = []
while True:
    held.append(bytearray(64 << 20))
"""
DISK = """
with open("bomb", "wb", buffering=0) as file:
    while file.write(b"x" * (1 << 20)):
        pass
"""
#: As a user whom nothing else runs as, so that its processes alone are counted.
PROCESSES = """
import os, time
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(64321, 64321, 64321)
    os.setresuid(64321, 64321, 64321)
children = []
try:
    while True:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
finally:
    print(len(children), "processes")
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
"""


async def test_only_their_session_stops(tmp_path: Path) -> None:
    async with (
        KernelPool(maximum=2, spares=0, limits=LIMITS) as pool,
        pool.session("bystander") as bystander,
    ):
        await bystander.store("kept", [1, 2])
        for name, bomb, ending in (
            ("descriptors", DESCRIPTORS, OSError),
            ("memory", MEMORY, MemoryError),
            ("disk", DISK, OSError),
            ("processes", PROCESSES, OSError),
        ):
            async with pool.session(name) as bomber:
                await bomber.call("os.chdir", args=[str(tmp_path)])
                exploding = asyncio.create_task(bomber.call("builtins.exec", args=[bomb], timeout=60))
                answered = 0
                while not exploding.done():
                    assert await bystander.call("stored.kept.__len__", timeout=30) == 2
                    answered += 1
                # The limit is an error of the call, or the end of that kernel.
                assert isinstance(exploding.exception(), (ending, KernelLost)), name
                assert answered > 0, name
            await pool.close_session(name)
            assert await bystander.retrieve("kept") == [1, 2]
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= LIMITS["fsize"]
        # And others have their turn where those were.
        async with pool.session("another") as another:
            assert await another.call("builtins.abs", args=[-1]) == 1


async def test_a_kernel_that_used_up_its_time_is_ended_alone() -> None:
    async with (
        KernelPool(maximum=2, spares=0, limits={"cpu": 4}) as pool,
        pool.session("bystander") as bystander,
        pool.session("busy") as busy,
    ):
        with pytest.raises(KernelLost):
            await busy.call("builtins.exec", args=["while True: pass"])
        assert await bystander.call("builtins.abs", args=[-1]) == 1
