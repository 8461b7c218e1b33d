"""Finding a peer's memory: descriptors opened through /proc, and the ledger that two peers share.

Rules: what is opened must carry the random name that the peer announced in a signed message; so a wrong
process, a reused number or a process of another host is noticed, never read. The ledger is one page of
which each byte says one thing and is written by one side.
"""

from __future__ import annotations

import errno
import os
import sys
import uuid
from collections.abc import Callable
from typing import Final

_PREFIX: Final = "snakekernel-"
#: Whether this system has all that shared memory needs.
SUPPORTED: Final = sys.platform == "linux" and hasattr(os, "memfd_create") and hasattr(os, "pidfd_open")
LEDGER_SIZE: Final = 4096

#: Bytes of the ledger. The first says how the client is, each other one that a lease was taken.
READY: Final = 1
CLOSED: Final = 2


def create() -> tuple[int, str]:
    """A fresh anonymous file: its descriptor and its random name. Raises OSError."""
    name = uuid.uuid4().hex
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    return os.memfd_create(_PREFIX + name, flags), name


def open_of(pid: int, descriptor: int, name: str, flags: int) -> int:
    """Open what process ``pid`` has as ``descriptor``, if it carries this name and is of our user (the
    superuser may open anybody's). Raises OSError."""
    path, target = f"/proc/{pid}/fd/{descriptor}", f"/memfd:{_PREFIX}{name} (deleted)"
    # Looked at first, for opening something else may have effects, and after, for it may change in between.
    if os.readlink(path) == target:
        ours = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
        if os.readlink(f"/proc/self/fd/{ours}") == target and os.fstat(ours).st_uid == os.geteuid():
            return ours
        os.close(ours)
    raise OSError(errno.ENOENT, "no segment of that name is there")


class Ledger:
    """A page of bytes shared by a client and its kernel: how the client is, and which leases it has taken."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.descriptor = descriptor
        self.name = name

    @classmethod
    def new(cls) -> Ledger:
        """The client's own. Raises OSError."""
        descriptor, name = create()
        os.ftruncate(descriptor, LEDGER_SIZE)
        return cls(descriptor, name)

    @classmethod
    def of(cls, pid: int, descriptor: int, name: str) -> Ledger:
        """A peer's. Raises OSError where this is none."""
        ledger = cls(open_of(pid, descriptor, name, os.O_RDWR), name)
        if os.fstat(ledger.descriptor).st_size != LEDGER_SIZE:
            ledger.close()
            raise OSError(errno.EINVAL, "no ledger is there")
        return ledger

    def read(self) -> bytes:
        """All of it."""
        return os.pread(self.descriptor, LEDGER_SIZE, 0)

    def write(self, slot: int, value: int) -> None:
        """Set one byte."""
        os.pwrite(self.descriptor, bytes((value,)), slot)

    def close(self, close: Callable[[int], None] = os.close) -> None:
        """Let go of it. Idempotent."""
        # The name is bound here because that of the module may be gone when Python ends.
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            close(descriptor)

    def __del__(self) -> None:
        # Also where an exception of a signal handler kept it from being closed.
        self.close()
