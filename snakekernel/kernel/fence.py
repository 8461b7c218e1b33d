"""A kernel that must not outlive its owner: it ends when its lease lapses, or with the process that owns it.

Rules: ``SNAKEKERNEL_LEASE`` is ``descriptor:until``; the descriptor is the end of a pipe on which the owner
writes until when the kernel may run, eight bytes of this host's clock at a time. What ends the kernel is
SIGKILL to all of its process group: nothing of it may go on writing anywhere. Where no Python code of it gets
to run, for C code holds the interpreter or the host slept, a timer of the system's ends its process.
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
#: Seconds after which the timer does what the thread should have done; whoever counts has a larger margin.
_AFTER: Final = 1.0


def clock() -> float:
    """Seconds that go on while the host sleeps, the same in all processes of the host."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


class _Event(ctypes.Structure):
    """``struct sigevent``."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    )


class Deadline:
    """SIGKILL for this process at some instant of ``clock``, whatever it does then; nothing without Linux.

    The system's timer needs no thread that runs, ends a stopped process too, and goes off at once when a host
    wakes up. Neither children nor what is executed have it.
    """

    def __init__(self) -> None:
        self._timer: ctypes.c_void_p | None = None
        if sys.platform != "linux":
            return
        self._library = ctypes.CDLL(None)
        timer, event = ctypes.c_void_p(), _Event(signal=signal.SIGKILL)
        try:
            made = self._library.timer_create(time.CLOCK_BOOTTIME, ctypes.byref(event), ctypes.byref(timer))
        except AttributeError:
            # Old C libraries have it elsewhere.
            return
        if made == 0:
            self._timer = timer

    def set(self, instant: float) -> None:
        """Move it."""
        if self._timer is not None:
            seconds, part = divmod(max(instant, 0.001), 1.0)
            times = (ctypes.c_long * 4)(0, 0, int(seconds), int(part * 1e9))
            self._library.timer_settime(self._timer, 1, times, None)


def guard() -> None:
    """Keep to the lease that this process was started under, if it was."""
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return
    descriptor, _, instant = text.partition(":")
    pipe, until = int(descriptor), float(instant)
    # Held by this process alone, or a child that lives on would take the owner for alive.
    os.set_inheritable(pipe, False)
    # The end of the pipe tells of the owner's; a signal with its death would leave our children running.
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if poll.poll(0):
        # Renewed while this process came up.
        until = _read(pipe, until)
    deadline = Deadline()
    deadline.set(until + _AFTER)
    threading.Thread(target=_watch, args=(pipe, poll, until, deadline), name="Lease", daemon=True).start()


def _read(pipe: int, until: float) -> float:
    """Until when, by what is on the pipe too; 0 at its end."""
    text = os.read(pipe, RENEWAL.size * 512)
    return max(until, *(renewed for (renewed,) in RENEWAL.iter_unpack(text))) if text else 0.0


def _watch(pipe: int, poll: select.poll, until: float, deadline: Deadline) -> None:
    while True:
        left = max(0.0, until - clock())
        if poll.poll(left * 1000):
            until = _read(pipe, until)
        if until <= clock():
            break
        deadline.set(until + _AFTER)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
