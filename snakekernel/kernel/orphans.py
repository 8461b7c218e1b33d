"""A kernel ends with the process that started it, whatever it does then, and so does its process group.

Rules: who watches is a process of its own, forked before the kernel has threads, memory or limits.
ipykernel's thread looks once a second and needs the interpreter, which C code may hold. A thread
of the starter's that ends means nothing. The guard is no child of the kernel, whose code may wait for its own
children; it holds nothing that the kernel has open, and ends with it. Where nobody claims the kernel (a
manager's ``independent``, a shell) there is no such process.
"""

from __future__ import annotations

import os
import sys

#: Set by Jupyter's managers: the process that the kernel belongs to.
_VARIABLE = "JPY_PARENT_PID"
#: The same, seen by what a kernel starts: what it inherits says nothing of whom that belongs to.
_CLAIMED = "SNAKEKERNEL_CLAIMED"
#: An engine's kernel has a lease instead, see ``fence``.
_LEASE = "SNAKEKERNEL_LEASE"
#: One above any descriptor that a starter has left open, and the shell's standard ones below.
_MOST = 65_536


def end_with_starter() -> None:
    """Have this kernel end with its starter. Called first of all, while there is one thread."""
    claimed = os.environ.get(_VARIABLE, "")
    if claimed and claimed == os.environ.get(_CLAIMED):
        # An independent kernel that code of another kernel has started.
        del os.environ[_VARIABLE]
        return
    os.environ[_CLAIMED] = claimed
    if claimed == "1":
        # All that is in a process table ends with its first process.
        return
    if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open") or _LEASE in os.environ:
        return
    try:
        starter = int(claimed)
        between = _up_to(starter)
        parent, kernel = os.pidfd_open(starter), os.pidfd_open(os.getpid())
    except (OSError, ValueError, LookupError):
        # Nobody's, or of another pid namespace; ipykernel's own watch is all there is then.
        return
    # A group that something outside of the starter leads is not ours to end.
    group = os.getpgid(0) if os.getpgid(0) in between else 0
    child = os.fork()
    if child == 0:
        try:
            # Twice, so that the kernel has no child that it knows nothing of.
            if os.fork() == 0:
                _guard(parent, kernel, group)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(parent)
    os.close(kernel)


def _up_to(starter: int) -> list[int]:
    """This process and its ancestors below the starter. Raises LookupError where that is none of them."""
    found: list[int] = []
    pid = os.getpid()
    while pid > 1:
        if pid == starter:
            return found
        found.append(pid)
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name may have spaces and brackets; the parent is the second number after it.
            pid = int(file.read().rpartition(b")")[2].split()[1])
    if pid == starter:
        return found
    raise LookupError(starter)


def _guard(parent: int, kernel: int, group: int) -> None:
    import select
    import signal

    # Those of the terminal and of whoever interrupts the kernel's group are not for it.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    # A reader of the kernel's output is not to wait for it.
    kept = sorted((parent, kernel))
    for first, last in zip((-1, *kept), (*kept, _MOST), strict=True):
        os.closerange(first + 1, last)
    poll = select.poll()
    poll.register(parent, select.POLLIN)
    poll.register(kernel, select.POLLIN)
    ended = [descriptor for descriptor, _ in poll.poll()]
    if kernel in ended:
        # As long as it lives its number, and that of its group, is nobody else's.
        return
    # First the kernel, which may have left its group; the guard itself is still of it.
    signal.pidfd_send_signal(kernel, signal.SIGKILL)
    if group:
        os.killpg(group, signal.SIGKILL)
