"""The zygote: a process that has imported the kernel and the libraries named, and forks kernels on demand.

Rules: it belongs to one host process and ends with it, killed or not; its kernels end with it. It has one
thread when it forks, makes nothing that a kernel must have for itself (no zmq context, loop, session or
random state) and runs no user code but imports. A kernel gets its environment, folder and standard streams
with the request, as new as from ``exec``; everything else that is the zygote's is closed in it.

A request is one message of one byte. Without descriptors it says that none will follow. Those of one that
asks for a kernel are, in order: a memfd with ``{"argv", "env"}`` as
JSON, the kernel's own status socket, its folder, its stdin, stdout and stderr. On the status socket come
``["started", pid]`` with a pidfd, or ``["unfit", library, reason]``, or ``["error", errno, text]``; in the
end ``["exited", returncode]``, after which the kernel is a zombie until the host lets go of the socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import random
import select
import signal
import socket
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from ..kernel.deferred import defer_clients

_PR_SET_PDEATHSIG: Final = 1
_STANDARD: Final = 3
#: Seconds that a library's threads have to end in once they were told to by a fork.
_THREADS_END: Final = 1.0
#: Threads whose library holds its locks while it is forked, and does without the thread after it. pyarrow's
#: allocator has one.
_SURVIVES: Final = ("jemalloc_bg_thd",)

#: The kernel, and what it imports while it starts.
_KERNEL: Final = (
    "snakekernel.kernel.app",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "faulthandler",
    "sqlite3",
    "tornado.platform.asyncio",
)


@dataclass
class _Kernel:
    """A forked kernel; ``pidfd`` is -1 once it has ended, and its zombie waits to be let go of."""

    pid: int
    pidfd: int
    status: socket.socket


@dataclass(frozen=True)
class Birth:
    """What a forked child is to become."""

    argv: list[str]

    def run(self) -> None:
        """Be the kernel until it is shut down."""
        from ..kernel.app import SnakeKernelApp

        after = self.argv.index("snakekernel") + 1
        sys.orig_argv[:] = self.argv
        sys.argv[:] = [os.path.join(os.path.dirname(os.path.dirname(__file__)), "__main__.py")]
        sys.argv += self.argv[after:]
        # It dies with the zygote by itself: 1 is for ipykernel a parent that need not be watched.
        SnakeKernelApp.launch_instance(self.argv[after:], parent_handle=1)


@dataclass(frozen=True)
class Unfit:
    """Why this zygote must not fork: the library that makes it so, and how."""

    library: str
    reason: str


class Zygote:
    """Serves one host process."""

    def __init__(self, requests: socket.socket, host: int, idle_timeout: float) -> None:
        self._requests = requests
        self._host = os.pidfd_open(host)
        self._idle_timeout = idle_timeout
        self._idle_since = 0.0
        self._kernels: dict[int, _Kernel] = {}
        self._poll = select.poll()
        self._poll.register(requests, select.POLLIN)
        self._poll.register(self._host, select.POLLIN)
        self._pid = os.getpid()
        # Loaded before the fork: each kernel would do it anew.
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._kept: set[int] = set()
        self.unfit: Unfit | None = None

    def preload(self, libraries: list[str]) -> None:
        """Import the kernel, then the libraries; what cannot be imported, the kernel may live without."""
        own = _descriptors()
        # matplotlib reads it when imported; a kernel sets the same before.
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        _import_kernel()
        for library in libraries:
            try:
                import_module(library)
            except Exception as error:
                print(f"zygote: cannot preload {library}: {error!r}", file=sys.stderr, flush=True)
            if not _is_single_threaded():
                self.unfit = Unfit(library, "it starts threads when imported, which forks do not survive")
                break
        # What libraries have opened stays open, for they may read it in a kernel.
        self._kept = _descriptors() - own
        # What was made so far is nobody's garbage; looking through it would copy its pages.
        gc.freeze()

    def serve(self) -> Birth | None:
        """Serve until the host is gone or has nothing to do for us; a child returns what it is to be."""
        self._idle_since = time.monotonic()
        while True:
            waiting: float | None = None
            if not self._kernels:
                waiting = max(0.0, self._idle_since + self._idle_timeout - time.monotonic()) * 1000
            came = self._poll.poll(waiting)
            if not came:
                return None
            for descriptor, _ in came:
                if descriptor == self._host:
                    return None
                if descriptor != self._requests.fileno():
                    self._look_after(self._kernels[descriptor])
                    continue
                data, descriptors, _, _ = socket.recv_fds(
                    self._requests, 1, 16, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
                )
                if not data:
                    return None
                if not descriptors:
                    # Retired: the last kernel's end is ours.
                    self._idle_timeout = 0.0
                    continue
                birth = self._answer(descriptors)
                if birth is not None:
                    return birth

    def _answer(self, descriptors: list[int]) -> Birth | None:
        request, number, *given = descriptors
        status = socket.socket(fileno=number)
        unfit = self.unfit
        if unfit is None and not _is_single_threaded():
            unfit = Unfit("", "its zygote has more than one thread")
        if unfit is not None:
            _tell(status, ["unfit", unfit.library, unfit.reason])
            status.close()
        else:
            try:
                pid = _fork()
            except OSError as error:
                _tell(status, ["error", error.errno, f"cannot fork: {error.strerror}"])
                status.close()
            else:
                if pid == 0:
                    return self._become(request, status, *given)
                kernel = _Kernel(pid, os.pidfd_open(pid), status)
                self._kernels[kernel.pidfd] = kernel
                self._poll.register(kernel.pidfd, select.POLLIN)
        for descriptor in (request, *given):
            os.close(descriptor)
        return None

    def _look_after(self, kernel: _Kernel) -> None:
        """Tell that a kernel has ended; bury it when the host has heard, so that its id stays its own."""
        if kernel.pidfd >= 0:
            ended = os.waitid(os.P_PIDFD, kernel.pidfd, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            _tell(kernel.status, ["exited", code])
            del self._kernels[kernel.pidfd]
            self._poll.unregister(kernel.pidfd)
            os.close(kernel.pidfd)
            kernel.pidfd = -1
            self._kernels[kernel.status.fileno()] = kernel
            # Hanging up is told without being asked for.
            self._poll.register(kernel.status, 0)
            return
        self._poll.unregister(kernel.status)
        del self._kernels[kernel.status.fileno()]
        kernel.status.close()
        os.waitpid(kernel.pid, 0)
        self._idle_since = time.monotonic()

    def end_groups(self) -> None:
        """Kill the kernels that are left, with all of their process groups."""
        for kernel in self._kernels.values():
            # Its zombie is still there, so that the group's number is nobody else's.
            with contextlib.suppress(OSError):
                os.killpg(kernel.pid, signal.SIGKILL)

    def _become(
        self, request: int, status: socket.socket, folder: int, stdin: int, stdout: int, stderr: int
    ) -> Birth:
        """In the child: take on what the request gives, let go of what is the zygote's."""
        os.setsid()
        self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self._pid:
            os._exit(1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, stream in enumerate((stdin, stdout, stderr)):
            os.dup2(stream, number)
        with open(request, "rb", closefd=False) as file:
            asked: dict[str, Any] = json.load(file)
        os.environ.clear()
        os.environ.update(asked["env"])
        try:
            os.fchdir(folder)
        except OSError as error:
            _tell(status, ["error", error.errno, error.strerror])
            os._exit(1)
        _renew()
        _set_title(asked["argv"])
        pidfd = os.pidfd_open(os.getpid())
        if not _tell(status, ["started", os.getpid()], pidfd):
            # Nobody waits any more.
            os._exit(1)
        os.close(pidfd)
        # Closed by their objects, which would close what comes to have the same numbers.
        status.close()
        self._requests.close()
        for kernel in self._kernels.values():
            kernel.status.close()
        for descriptor in _descriptors() - self._kept:
            if descriptor >= _STANDARD:
                os.close(descriptor)
        return Birth(asked["argv"])


def _import_kernel() -> None:
    defer_clients()
    for name in _KERNEL:
        # What another version of a dependency has not, its kernels do not need.
        with contextlib.suppress(ImportError):
            import_module(name)


def _descriptors() -> set[int]:
    numbers = set()
    for name in os.listdir("/proc/self/fd"):
        # One was that of the folder itself.
        with contextlib.suppress(OSError):
            os.fstat(int(name))
            numbers.add(int(name))
    return numbers


def _is_single_threaded() -> bool:
    """Whether a fork is safe. Native threads that their library ends when it is told of a fork do no harm."""
    if threading.active_count() > 1:
        return False
    if _native_threads() == 1:
        return True
    # OpenBLAS ends its threads before a fork and starts them again when it has work, in each process.
    child = _fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    deadline = time.monotonic() + _THREADS_END
    while _native_threads() > 1:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _native_threads() -> int:
    count = 0
    for name in os.listdir("/proc/self/task"):
        # One may end while we look.
        with contextlib.suppress(OSError):
            count += Path("/proc/self/task", name, "comm").read_text().strip() not in _SURVIVES
    return count


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns of any other thread; we have looked at them.
        warnings.simplefilter("ignore")
        return os.fork()


def _renew() -> None:
    """Give the child what no two kernels may share. (``random`` itself does so when forked.)"""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()
    if "multiprocessing.process" in sys.modules:
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
    random.seed()
    # The objects were made for the zygote's own streams.
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:
            stream.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]


def _set_title(argv: list[str]) -> None:
    """Have ``ps`` show a kernel's command line, in the room that the host made in ours."""
    # The name may have spaces and brackets; the numbers after it are proc(5)'s from the third on.
    numbers = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(numbers[45]), int(numbers[46])
    room = end - start
    if start and room > 1:
        title = os.fsencode(" ".join(argv))[: room - 2]
        # A last byte other than zero tells the system that this is a title, which ends at its first zero.
        ctypes.memmove(start, title.ljust(room - 1, b"\0") + b" ", room)


def _tell(status: socket.socket, message: list[Any], *descriptors: int) -> bool:
    """Send a message to who asked; False where nobody listens."""
    try:
        socket.send_fds(status, [json.dumps(message).encode()], descriptors, socket.MSG_NOSIGNAL)
    except OSError:
        return False
    return True


def main() -> None:
    """Serve the host named in the arguments: descriptor, process id, idle timeout, libraries."""
    descriptor, host, idle_timeout, libraries = sys.argv[1:]
    gc.disable()
    # Whoever interrupts a kernel does not mean all of them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The thread that started us may have blocked some; kernels would inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    requests = socket.socket(fileno=int(descriptor))
    requests.set_inheritable(False)
    zygote = Zygote(requests, int(host), float(idle_timeout))
    if os.getppid() != int(host):
        os._exit(0)
    zygote.preload([name for name in libraries.strip().split(",") if name])
    birth = zygote.serve()
    if birth is None:
        # Nothing of ours is worth finalising; kernels that are left are killed by the system.
        zygote.end_groups()
        os._exit(0)
    # A kernel must not keep its zygote's bookkeeping alive.
    del zygote, requests
    birth.run()


if __name__ == "__main__":
    # A user's folder must not shadow modules, as in ``snakekernel.__main__``.
    del sys.path[0]
    main()
