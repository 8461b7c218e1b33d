"""A kernel that must not outlive its owner: it ends when its lease lapses, or with the process that owns it.

Rules: ``SNAKEKERNEL_LEASE`` is ``descriptor:seconds``; the descriptor is the end of a pipe on which the owner
writes until when the kernel may run, eight bytes of this host's clock at a time. What ends the kernel is
SIGKILL to all of its process group: nothing of it may go on writing anywhere.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import sys
import threading
import time
from typing import Final

#: What the owner sets and children of the kernel never see.
VARIABLE: Final = "SNAKEKERNEL_LEASE"
#: One renewal on the pipe.
RENEWAL: Final = struct.Struct("=d")
_PR_SET_PDEATHSIG: Final = 1


def clock() -> float:
    """Seconds that go on while the host sleeps, the same in all processes of the host."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


def guard() -> None:
    """Keep to the lease that this process was started under, if it was."""
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return
    descriptor, _, seconds = text.partition(":")
    pipe, until = int(descriptor), clock() + float(seconds)
    # Held by this process alone, or a child that lives on would take the owner for alive.
    os.set_inheritable(pipe, False)
    if sys.platform == "linux":
        # It ends the kernel while C code holds the interpreter too. Where the owner has gone before this
        # line, the pipe has come to its end.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch, args=(pipe, until), name="Lease", daemon=True).start()


def _watch(pipe: int, until: float) -> None:
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while (left := until - clock()) > 0:
        if not poll.poll(left * 1000):
            continue
        text = os.read(pipe, RENEWAL.size * 64)
        if not text:
            break
        for (renewed,) in RENEWAL.iter_unpack(text[: len(text) - len(text) % RENEWAL.size]):
            until = max(until, renewed)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
