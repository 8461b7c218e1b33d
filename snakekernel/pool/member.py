"""One kernel of a pool: its process, the connection to it, and the watch over both.

Rules: a kernel that is out of reach is used no more, even if it comes back, and what waits for it fails with
``WorkerLost``. It is gone when its process has ended for certain, whoever says so: the system, or the
provisioner. Nothing is left of it then: no process of its group, no file, no socket.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ..client.aio import AsyncClient
from ..client.connection import find
from ..client.ending import Process, quoted, tail_of, words
from ..client.link import Link
from ..client.sleeper import Sleeper
from ..errors import Denied, End, KernelLost, SnakeError, WorkerLost
from ..memory.exchange import FROM_BYTES
from ..wire.frame import unpack_object
from .kernels import PoolKernels
from .memory import memory_of
from .publishing import FarClient

#: Seconds between two questions to a provisioner whether its kernel lives.
_EVERY: Final = 1.0
#: Seconds between two looks at a process group that ends.
_MOMENT: Final = 0.005
#: Seconds from the loss of a connection within which the process that had it ends, if that was why.
_ALSO: Final = 0.25
#: Seconds for a kernel to say how much memory it has.
_PATIENCE: Final = 5.0
#: Seconds for the system to end a process that was killed.
_ENDING: Final = 1.0


def _abandon(process: Any, group: int | None, pid: int) -> None:
    # While its status was not asked for, its number is nobody else's.
    if os.getpid() == pid and process.poll() is None:
        with suppress(OSError, subprocess.TimeoutExpired):
            if group is None:
                process.kill()
            else:
                os.killpg(group, signal.SIGKILL)
            process.wait(_ENDING)


class MemberClient(AsyncClient):
    """The client of a pool's kernel; what its handles give are views of it."""

    async def close(self) -> None:
        """Does nothing: the connection is the pool's, which ends it with the kernel."""

    async def _enter(self) -> AsyncClient:
        # Of whoever enters what he was given: it is open already.
        return self

    async def end(self) -> None:
        """Close the connection. Idempotent."""
        await self._close()


class FarMemberClient(FarClient, MemberClient):
    """The same where an engine runs the kernel."""


class Member:
    """One kernel of a pool, from before its start until nothing is left of it.

    Args:
        number: the policy's number of it.
        kernels: Jupyter's manager of the pool's kernels.
        lost: called once when the kernel can be used no more, unless it was asked to end.
        patience: seconds for a kernel that is asked to end.
    """

    def __init__(
        self, number: int, kernels: PoolKernels, lost: Callable[[Member], None], patience: float
    ) -> None:
        self.number = number
        self.kernel_id = str(uuid.uuid4())
        self._kernels = kernels
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._pidfd = -1
        self._process: Process | None = None
        #: What became of it, once its process has ended unasked.
        self.ended_with: End | None = None
        self._noted = threading.Event()
        #: Whether it is used no more, and why.
        self.is_ending = False
        #: Whether its start has taken its first step, and whether it was to be stopped before the last.
        self.has_begun = False
        self.is_unwanted = False
        self.why = ""
        #: What its process ended with, as of ``subprocess``.
        self.status: int | None = None
        self._polling: asyncio.Task[None] | None = None
        self._abandoned: weakref.finalize[..., Member] | None = None
        #: Set once the process has ended for certain.
        self._dead = asyncio.Event()
        #: When its start began, and when it could be used, by the monotonic clock.
        self.asked = time.monotonic()
        self.began: float | None = None
        #: Bytes of its process tree when it was last looked at.
        self.memory: int | None = None
        self.link: Link | None = None
        self.client: Any = None
        #: Names where it opens what is published; None for this machine.
        self.opens_on: str | None = None

    def __repr__(self) -> str:
        return f"<kernel {self.number} {self.kernel_id}>"

    @property
    def manager(self) -> Any:
        """Jupyter's manager of this kernel, or None."""
        return self._kernels.made.get(self.kernel_id)

    @property
    def provisioner(self) -> Any:
        """The provisioner of this kernel, or None."""
        return None if self.manager is None else self.manager.provisioner

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return self._kernels.is_local

    @property
    def pid(self) -> int | None:
        """Of its process, where that is one of this machine."""
        provisioner = self.provisioner
        return provisioner.pid if isinstance(provisioner, LocalProvisioner) else None

    @property
    def host(self) -> str | None:
        """Where it runs, where its provisioner tells; None for this machine."""
        where: dict[str, Any] = getattr(self.provisioner, "where", None) or {}
        return where.get("host")

    # -- its start ---------------------------------------------------------------------------------

    async def start(self, timeout: float, preload: Sequence[str]) -> None:
        """Start it and have it answer.

        Raises KernelLost, with what the kernel wrote last, and leaves it to be ended.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._kernels.start_kernel(kernel_name="", kernel_id=self.kernel_id)
                self._watch()
                await self._greet(timeout)
                # What a first call loads is loaded before somebody waits for it. A policy may deny it, which
                # is an answer from where calls are served, too.
                with suppress(Denied):
                    await self.client.call("builtins.bool", returns="none")
                for name in preload:
                    await self.client.call("importlib.import_module", args=[name], returns="none")
                if self.is_ending:
                    # It answered, and was lost before the answer was read: nobody would be told again.
                    raise KernelLost(self.why)
        except Exception as error:
            why, told = self.why, self.told() or await self._told_elsewhere()
            if isinstance(error, TimeoutError):
                why = f"it did not answer within {timeout:g} s"
            raise KernelLost(
                f"A kernel did not start: {why or error or type(error).__name__}.{told}", end=self.ended_with
            ) from error
        self.began = time.monotonic()

    async def _greet(self, timeout: float) -> None:
        manager = self.manager

        async def open(client: AsyncClient) -> None:
            link = self.link = Link(find(manager), FROM_BYTES if self._kernels.is_local else None)
            link.loss, link.inquire = WorkerLost, self._inquire
            client._attach(link)
            await client._greet(timeout, self._lives)
            if not self._kernels.is_local:
                self.opens_on = (await client.ping())["host"]
            link.on_loss = self.hear_of_loss

        if self._kernels.is_local:
            client = self.client = MemberClient(open)
        else:
            client = self.client = FarMemberClient(open)
            client.carry(self, self._kernels.carrier)
        client.on_hung = self.hangs
        await client._open(client)

    async def _lives(self) -> bool:
        return not self._dead.is_set()

    def told(self) -> str:
        """The last lines that the kernel wrote outside of any call."""
        return quoted(self._last_words())

    def _last_words(self) -> str:
        output = None if self.manager is None else self.manager.output
        with suppress(OSError):
            if output is not None:
                return tail_of(output)
        return ""

    async def _told_elsewhere(self) -> str:
        tell = getattr(self.provisioner, "output_tail", None)
        if tell is not None:
            with suppress(SnakeError):
                return quoted("\n".join(await tell()))
        return ""

    # -- the watch over it -------------------------------------------------------------------------

    def _watch(self) -> None:
        pid = self.pid
        if pid is not None:
            self._process = Process(pid, self.provisioner.process)
            # Of a pool that nobody closed: it ends with this, at the latest when Python exits.
            self._abandoned = weakref.finalize(
                self, _abandon, self.provisioner.process, self.provisioner.pgid, os.getpid()
            )
        if pid is not None and hasattr(os, "pidfd_open"):
            # Where it is gone already, or the system forbids it, polling tells.
            with suppress(OSError):
                self._pidfd = os.pidfd_open(pid)
        if self._pidfd >= 0:
            self._loop.add_reader(self._pidfd, self._process_ended)
        else:
            self._polling = asyncio.ensure_future(self._poll())

    async def _poll(self) -> None:
        while await self.provisioner.poll() is None:
            await asyncio.sleep(_EVERY)
        self._process_ended()

    def _process_ended(self) -> None:
        self._note_end()
        self._unwatch()
        self._dead.set()
        if self.link is not None:
            # What it still sent is a result.
            self.link.pump()
        self._out_of_reach("its process ended")

    def _note_end(self) -> None:
        if self._process is not None and self.ended_with is None and not self.is_ending:
            end = self._process.end(self._last_words())
            sizes = {**end.sizes, **({} if self.memory is None else {"resident": self.memory})}
            self.ended_with = replace(end, sizes=sizes)
            self._noted.set()

    def what_ended_it(self) -> End | None:
        """What became of it; waits a moment for the loop to learn it. On any other thread."""
        self._noted.wait(_ALSO)
        return self.ended_with

    def how_it_ended(self) -> str:
        """The same in words, with what it wrote last."""
        return self.told() if self.ended_with is None else words(self.ended_with)

    def _inquire(self) -> End | None:
        """What became of its process; waits a moment for one whose sockets are gone. On the loop."""
        if self._pidfd >= 0 and not self.is_ending and Sleeper([self._pidfd]).sleep(_ALSO):
            self._note_end()
        return self.ended_with

    def hangs(self) -> None:
        """End it, for a call did not stop at its deadline and not even control answers. On the loop."""
        if self.ended_with is None:
            self.ended_with = End(cause="killed", stderr=self._last_words())
            self._noted.set()
            self._out_of_reach("it hung: not even control answered")

    def hear_of_loss(self) -> None:
        """A connection to it was lost; told before anybody learns of it. On any thread."""
        with suppress(RuntimeError):
            # Raised where the loop is closed, and with it the pool.
            self._loop.call_soon_threadsafe(self._connection_lost)

    def _connection_lost(self) -> None:
        self._out_of_reach("the connection to it was lost")

    def _out_of_reach(self, why: str) -> None:
        if self.is_ending:
            return
        self.break_off(why)
        # Before it was begun, its start fails.
        if self.began is not None:
            self._lost(self)

    def _unwatch(self) -> None:
        descriptor, self._pidfd = self._pidfd, -1
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)

    async def measure(self) -> int | None:
        """Bytes of its process tree now, or None where nobody tells."""
        pid, provisioner = self.pid, self.provisioner
        with suppress(SnakeError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                if pid is not None:
                    self.memory = await asyncio.to_thread(memory_of, pid)
                elif hasattr(provisioner, "memory_used"):
                    self.memory = await provisioner.memory_used()
                else:
                    usage = unpack_object((await self.client._on_control("usage_request")).content)
                    self.memory = usage.get("kernel_memory")
        return self.memory

    # -- its end -----------------------------------------------------------------------------------

    def break_off(self, why: str) -> None:
        """Use it no more: what waits for it, and what is asked of it from now on, fails with WorkerLost."""
        if not self.is_ending:
            self.is_ending, self.why = True, why
        if self.link is not None:
            self.link.end(f"The pool's kernel is gone: {why}.", self.ended_with)

    async def end(self, *, now: bool) -> None:
        """End it and remove what is left; returns when its process has ended for certain. Idempotent.

        Args:
            now: kill it, rather than ask it and wait for as long as ``patience``.
        """
        self.break_off("the pool has ended it")
        if self.client is not None:
            await self.client.end()
        manager = self.manager
        if manager is None:
            return
        if manager.has_kernel:
            if not now and not self._dead.is_set():
                patience = manager.provisioner.get_shutdown_wait_time(self._patience)
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        # What still runs would keep it from ending.
                        await manager.interrupt_kernel()
                        await manager.request_shutdown()
                        await self._dead.wait()
            await self._kill(manager.provisioner)
        await manager.cleanup_resources()
        self._kernels.forget(self.kernel_id)
        if self._polling is not None:
            self._polling.cancel()
        self._unwatch()

    async def _kill(self, provisioner: Any) -> None:
        # Of one that has ended, others of its process group may still run.
        group = provisioner.pgid if isinstance(provisioner, LocalProvisioner) else None
        await provisioner.kill()
        while (status := await provisioner.poll()) is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._dead.wait()
        self.status = status
        if self._abandoned is not None:
            self._abandoned.detach()
        await provisioner.wait()
        if group is not None and group != os.getpgrp():
            await _emptied(group)


async def _emptied(group: int) -> None:
    """Wait until nothing is left of a process group that was killed: to end takes a process a moment."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_EVERY):
            while True:
                # Raises where there is no such group any more.
                os.killpg(group, 0)
                await asyncio.sleep(_MOMENT)
