"""A kernel that a zygote forked, as its host sees it: a process that is no child of the host's.

Rules: what becomes of it is told on its status socket, whose end says as surely as a message that the zygote
is gone; its pidfd never means another process. Nothing here waits but ``wait``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import IO, Any, Final

#: The longest message on a status socket, in bytes.
_MESSAGE: Final = 1 << 16


class ForkedProcess:
    """A kernel that a zygote forked, with the interface of ``subprocess.Popen``."""

    stdin: IO[bytes] | None = None
    stdout: IO[bytes] | None = None
    stderr: IO[bytes] | None = None

    def __init__(self, args: Sequence[str], pid: int, pidfd: int, status: socket.socket) -> None:
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = pidfd
        self._status = status
        self._lock = threading.Lock()
        self._host = os.getpid()

    def __repr__(self) -> str:
        return f"<ForkedProcess {self.pid}: {'running' if self.returncode is None else self.returncode}>"

    def __del__(self) -> None:
        if self.returncode is not None:
            return
        if os.getpid() == self._host:
            self._close()
        else:
            # A copy in a forked child: the host's own end stays what it is.
            self._status.close()
            os.close(self._pidfd)

    def poll(self) -> int | None:
        """The exit status, negative for a signal's number; None while the process lives."""
        with self._lock:
            if self.returncode is None and self._is_readable(0):
                self._hear()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises ``subprocess.TimeoutExpired`` after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                assert timeout is not None
                raise subprocess.TimeoutExpired(list(self.args), timeout)
            # Short turns, for another thread may hear of the end and close what this one waits on.
            self._is_readable(0.1 if left is None else min(0.1, left))
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal to this very process, never to another one that came to have its id."""
        if self.poll() is None:
            try:
                signal.pidfd_send_signal(self._pidfd, signum)
            except ProcessLookupError:
                pass

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _is_readable(self, seconds: float) -> bool:
        poll = select.poll()
        try:
            poll.register(self._status, select.POLLIN)
        except ValueError:
            return False
        return bool(poll.poll(seconds * 1000))

    def _hear(self) -> None:
        message, _ = read(self._status)
        if message is not None:
            self.returncode = message[1]
        elif has_ended(self._pidfd):
            # The zygote died, and the system killed its kernels.
            self.returncode = -signal.SIGKILL
        else:
            return
        self._close()

    def _close(self) -> None:
        hang_up(self._status)
        os.close(self._pidfd)


def read(status: socket.socket) -> tuple[list[Any] | None, int | None]:
    """The next message and its descriptor; None at the end of the stream."""
    try:
        data, descriptors, _, _ = socket.recv_fds(
            status, _MESSAGE, 1, socket.MSG_DONTWAIT | getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        )
    except ConnectionError:
        return None, None
    return (json.loads(data) if data else None), (descriptors[0] if descriptors else None)


def hang_up(one: socket.socket) -> None:
    """Close a socket, and the copies that children forked meanwhile may have of it."""
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    one.close()


def has_ended(pidfd: int) -> bool:
    """Whether the process of this descriptor has."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
