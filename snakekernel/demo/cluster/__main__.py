"""``python -m snakekernel.demo.cluster``: a Ray cluster of three hosts on this machine, one of which is lost.

As root the hosts are network namespaces with links of their own; otherwise they are addresses of the loopback
device. Exit code 0 if everything was as it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.table import Table

from ...errors import SnakeError, WorkerLost
from ...pool.pool import KernelPool
from ..show import DemoFailed, make_console
from . import DaskCluster, Network, RayCluster
from .hosts import why_not

_LEASE = 5.0
_ENGINES: dict[str, Any] = {"ray": RayCluster, "dask": DaskCluster}
#: The engines' packages.
_PACKAGES = {"ray": "ray", "dask": "distributed"}


class _Story:
    """What is told, with the seconds since the beginning."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        self.console.print(f"{time.monotonic() - self._began:5.1f} s  {text}", markup=False)

    def check(self, claim: str, holds: bool) -> None:
        """Tell a claim that holds. Raises DemoFailed where it does not."""
        if not holds:
            raise DemoFailed(claim)
        self.say(f"✓ {claim}")

    def show(self, pool: KernelPool) -> None:
        """The pool's own account of itself."""
        table = Table("kernel", "host", "state", "session", title="pool.status()")
        for kernel in pool.status().kernels:
            table.add_row(str(kernel.number), kernel.host or "", kernel.state, ", ".join(kernel.sessions))
        self.console.print(table)


def main(argv: list[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m snakekernel.demo.cluster", description=__doc__)
    parser.add_argument("--engine", choices=sorted(_ENGINES), default="ray")
    parser.add_argument("--loopback", action="store_true", help="no namespaces, even as root")
    options = parser.parse_args(argv)
    if find_spec(_PACKAGES[options.engine]) is None:
        print(f"This demo needs pip install 'snakekernel[{options.engine}]'", file=sys.stderr)
        return 1
    # What the pool logs is told here in other words.
    logging.getLogger("snakekernel").setLevel(logging.CRITICAL)
    console = make_console()
    try:
        asyncio.run(_run(_Story(console), options.engine, options.loopback))
    except (DemoFailed, SnakeError, TimeoutError) as error:
        console.print(f"\nThe demo failed: {type(error).__name__}: {error}", style="bold red", markup=False)
        return 1
    return 0


async def _run(story: _Story, engine: str, loopback: bool) -> None:
    reason = "so it was asked for" if loopback else why_not()
    if reason is None:
        story.say("Hosts are network namespaces of this machine, with addresses and links of their own.")
    else:
        story.say(f"Hosts are loopback addresses of this machine, which cannot be cut off: {reason}.")
    with Network(is_isolated=reason is None) as network:
        story.say(f"Starting {engine.capitalize()} on three hosts …")
        cluster = await asyncio.to_thread(_ENGINES[engine], network, workers=(2, 2))
        os.environ.update(cluster.env)
        story.say(f"{engine.capitalize()} runs at {cluster.address}, with {len(cluster.workers)} workers.")
        config = {**cluster.config, "lease": _LEASE}
        provisioner = {"name": engine, "config": config}
        async with KernelPool(maximum=4, spares=0, provisioner=provisioner) as pool:
            await _show(story, pool, network)
    story.check("nothing of it is left on this machine", not network.left_behind())


async def _show(story: _Story, pool: KernelPool, network: Network) -> None:
    alice, bob = pool.session("alice"), pool.session("bob")
    snakes = await asyncio.gather(alice.open(), bob.open())
    for handle, snake in zip((alice, bob), snakes, strict=True):
        pid = await snake.call("os.getpid")
        await snake.store("notes", f"of {handle.session_id}")
        host = next(host for host in network.hosts if pid in host.pids())
        story.say(f"The session {handle.session_id!r} has a kernel on {host.name} ({host.address}).")
    root = await snakes[0].call("math.sqrt", args=[2])
    story.check(
        f"math.sqrt(2) is {root:.6f}, called over Curve straight on the host", abs(root**2 - 2) < 1e-9
    )
    story.show(pool)

    pid = await snakes[0].call("os.getpid")
    lost = next(host for host in network.hosts if pid in host.pids())
    pending = asyncio.ensure_future(snakes[0].call("time.sleep", args=[100]))
    story.say(f"Now {lost.name} is lost while it serves a call of alice's …")
    await asyncio.to_thread(lost.lose_power if network.is_isolated else lost.kill)
    began = time.monotonic()
    try:
        async with asyncio.timeout(35):
            await pending
    except WorkerLost as error:
        spent = time.monotonic() - began
        story.check(f"{type(error).__name__} after {spent:.1f} s: {error}", spent < 35)
    alice.close()
    async with asyncio.timeout(60), pool.session("alice") as snake:
        again = await snake.call("os.getpid")
        host = next(host for host in network.hosts if again in host.pids())
        story.check(f"alice is opened anew, on {host.name}", host is not lost)
        stored = await snake.list_stored()
        story.check("nothing is there that was not kept elsewhere", not stored)
        if bob.member is not None and not bob.member.is_ending:
            notes = await snakes[1].retrieve("notes")
            story.check("bob's kernel went on all the time", notes == "of bob")
        story.show(pool)


if __name__ == "__main__":
    sys.exit(main())
