"""Tells when the process of a kernel that we started ends.

Rules: a lost connection says it as well, except where a child of the kernel lives on and holds its sockets
open; the process itself cannot be mistaken. Where the platform has no descriptor of a process (Linux has),
or the kernel is not of this machine, the connection alone has to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ..errors import KernelLost


class Watch:
    """Watches the process behind a kernel manager, the next one too after a restart.

    Args:
        manager: jupyter_client's kernel manager.
        register, unregister: add a descriptor to what the client sleeps on, and take it off; whoever sleeps
            calls ``ended`` when it becomes readable.
    """

    def __init__(
        self, manager: Any, register: Callable[[int], None], unregister: Callable[[int], object]
    ) -> None:
        self._manager = manager
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
            raise KernelLost("The kernel's process has ended; nothing was sent.")

    def _watch(self, pid: int) -> None:
        self.close()
        self._pid, self._is_over = pid, False
        if not hasattr(os, "pidfd_open"):
            return
        try:
            self.descriptor = os.pidfd_open(pid)
        except OSError:
            # It is gone already, or the system forbids it: the connection tells.
            return
        self._register(self.descriptor)

    def ended(self) -> None:
        """The descriptor became readable."""
        self._is_over = True
        self.close()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            self._unregister(descriptor)
            os.close(descriptor)
