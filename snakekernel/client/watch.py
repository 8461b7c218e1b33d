"""Tells when the process of a kernel that we started ends, and what became of it.

Rules: a lost connection says it as well, except where a child of the kernel lives on and holds its sockets
open; the process itself cannot be mistaken. Where the platform has no descriptor of a process (Linux has),
or the kernel is not of this machine, the connection alone has to do.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ..errors import End, KernelLost
from .ending import Process, Stderr, words
from .link import GONE, Link
from .sleeper import Sleeper

#: Seconds between two looks at how large the kernel is and what it wrote, while somebody waits.
EVERY: Final = 1.0
#: Seconds from the loss of a connection within which the process that had it ends, if that was why.
_MOMENT: Final = 0.25


class Watch:
    """Watches the process behind a kernel manager, the next one too after a restart.

    Args:
        manager: jupyter_client's kernel manager.
        lock: held while what is watched changes; threads share the client.
        register, unregister: add a descriptor to what the client sleeps on, and take it off; whoever sleeps
            calls ``ended`` when it becomes readable.
        stderr: where the process writes its standard error, if that can be read.
    """

    def __init__(
        self,
        manager: Any,
        lock: AbstractContextManager[Any],
        register: Callable[[int], None],
        unregister: Callable[[int], object],
        stderr: Stderr | None,
    ) -> None:
        self._manager = manager
        self._lock = lock
        self._register = register
        self._unregister = unregister
        self._stderr = stderr
        self._pid: int | None = None
        self._process: Process | None = None
        #: What became of the process, once it has ended.
        self._end: End | None = None
        #: Whether this side killed it.
        self.was_killed = False
        #: The descriptor watched, or -1.
        self.descriptor = -1

    def check(self) -> None:
        """Watch the process there is now. Raises KernelLost where it is known to have ended."""
        provisioner = self._manager.provisioner
        pid = provisioner.pid if isinstance(provisioner, LocalProvisioner) else None
        if pid is not None and pid != self._pid:
            self._watch(pid, provisioner.process)
        if self._end is not None:
            raise KernelLost.unsent(
                f"The kernel's process has ended; nothing was sent.{words(self._end)}", self._end
            )

    def _watch(self, pid: int, process: Any) -> None:
        with self._lock:
            if pid == self._pid:
                # Another thread was quicker.
                return
            if self._pid is not None and self._stderr is not None:
                # What the process before it wrote is not its.
                self._stderr.last()
            self._pid, self._end, self.was_killed = pid, None, False
            self._process = Process(pid, process)
            descriptor = -1
            if hasattr(os, "pidfd_open"):
                # Where it is gone already, or the system forbids it, the connection tells.
                with suppress(OSError):
                    descriptor = os.pidfd_open(pid)
            # Closed after the new one was opened: who sleeps on the old one must not take it for the new.
            self.close()
            if descriptor >= 0:
                self.descriptor = descriptor
                self._register(descriptor)

    def ended(self, descriptor: int) -> bool:
        """The descriptor became readable; whether it is the one watched, whose process ended so."""
        with self._lock:
            if descriptor != self.descriptor:
                return False
            self._note()
            return True

    def inquire(self) -> End | None:
        """What became of the process, where it has ended; waits a moment for one whose sockets are gone."""
        with self._lock:
            if self._end is None and self.descriptor >= 0 and Sleeper([self.descriptor]).sleep(_MOMENT):
                self._note()
            return self._end

    def _note(self) -> None:
        assert self._process is not None
        end = self._process.end(
            "" if self._stderr is None else self._stderr.last(), was_killed=self.was_killed
        )
        # A kernel that ends in order, whoever asked it to, ends with status 0.
        self._end = end.asked_for() if end.exit_code == 0 or self._manager.shutting_down else end
        self.close()

    def look(self) -> None:
        """Note how large the process is, and what it wrote."""
        if self._process is not None and self.descriptor >= 0:
            self._process.sample()
        if self._stderr is not None:
            self._stderr.look()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        with self._lock:
            descriptor, self.descriptor = self.descriptor, -1
            if descriptor >= 0:
                self._unregister(descriptor)
                os.close(descriptor)


class LoopWatch(Watch):
    """The same on the running event loop, which is told by itself, and looks by itself.

    Args:
        link: the connection that fails with the process.
    """

    def __init__(self, manager: Any, link: Link, stderr: Stderr | None) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._link = link

        def register(descriptor: int) -> None:
            loop.add_reader(descriptor, self._tell, descriptor)

        super().__init__(manager, link.lock, register, loop.remove_reader, stderr)
        link.inquire = self.inquire
        self._looking = self._look_later()

    def _tell(self, descriptor: int) -> None:
        # What it still sent is a result.
        self._link.pump()
        if self.ended(descriptor):
            self._link.fail(GONE)

    def _look_later(self) -> asyncio.TimerHandle:
        # Not kept alive by it: nobody may close the client.
        own = weakref.ref(self)

        def look() -> None:
            watch = own()
            if watch is not None:
                watch.look()
                watch._looking = watch._look_later()

        return self._loop.call_later(EVERY, look)

    def end(self) -> None:
        """Stop watching for good, on the loop. Idempotent."""
        self._looking.cancel()
        self.close()
