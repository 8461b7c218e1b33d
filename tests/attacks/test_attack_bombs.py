"""Attack 14: bombs of processes, descriptors, disk, memory and time stop their own session, and no other.

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

LIMITS = {"as": 3 << 29, "nofile": 256, "fsize": 8 << 20, "nproc": 150, "cpu": 600, "core": 0}

DESCRIPTORS = """
def bomb():
    import os
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for descriptor in held:
            os.close(descriptor)
bomb()
"""
MEMORY = """
def bomb():
    held = []
    while True:
        held.append(bytearray(64 << 20))
bomb()
"""
DISK = """
with open(PATH, "wb", buffering=0) as file:
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
#: A limit may be lowered from within: nobody waits for the ten minutes that it is given.
TIME = """
import resource, time
seconds = int(time.process_time()) + 1
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
while True:
    pass
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
            ("disk", DISK.replace("PATH", repr(str(tmp_path / "bomb"))), OSError),
            ("processes", PROCESSES, OSError),
            ("time", TIME, KernelLost),
        ):
            # Opened anew where the one before took its kernel with it.
            async with pool.session("bomber") as bomber:
                exploding = asyncio.create_task(bomber.call("builtins.exec", args=[bomb], timeout=60))
                answered = 0
                while not exploding.done():
                    assert await bystander.call("stored.kept.__len__", timeout=30) == 2
                    answered += 1
                # The limit is an error of the call, or the end of that kernel.
                assert isinstance(exploding.exception(), (ending, KernelLost)), name
                assert answered > 0, name
            assert await bystander.retrieve("kept") == [1, 2]
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= LIMITS["fsize"]
        # And others have their turn where those were.
        async with pool.session("another") as another:
            assert await another.call("builtins.abs", args=[-1]) == 1
