"""Tells when the process of a kernel that we started ends.

Rules: a lost connection says it as well, except where a child of the kernel lives on and holds its sockets
open; the process itself cannot be mistaken. Where the platform has no descriptor of a process (Linux has),
or the kernel is not of this machine, the connection alone has to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ..errors import KernelLost


class Watch:
    """Watches the process behind a kernel manager, the next one too after a restart.

    Args:
        manager: jupyter_client's kernel manager.
        lock: held while what is watched changes; threads share the client.
        register, unregister: add a descriptor to what the client sleeps on, and take it off; whoever sleeps
            calls ``ended`` when it becomes readable.
    """

    def __init__(
        self,
        manager: Any,
        lock: AbstractContextManager[Any],
        register: Callable[[int], None],
        unregister: Callable[[int], object],
    ) -> None:
        self._manager = manager
        self._lock = lock
        self._register = register
        self._unregister = unregister
        self._pid: int | None = None
        self._is_over = False
        #: The descriptor watched, or -1.
        self.descriptor = -1

    def check(self) -> None:
        """Watch the process there is now. Raises KernelLost where it is known to have ended."""
        provisioner = self._manager.provisioner
        pid = provisioner.pid if isinstance(provisioner, LocalProvisioner) else None
        if pid is not None and pid != self._pid:
            self._watch(pid)
        if self._is_over:
            raise KernelLost.unsent("The kernel's process has ended; nothing was sent.")

    def _watch(self, pid: int) -> None:
        with self._lock:
            if pid == self._pid:
                # Another thread was quicker.
                return
            self._pid, self._is_over = pid, False
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
            self._is_over = True
            self.close()
            return True

    def close(self) -> None:
        """Stop watching. Idempotent."""
        with self._lock:
            descriptor, self.descriptor = self.descriptor, -1
            if descriptor >= 0:
                self._unregister(descriptor)
                os.close(descriptor)
