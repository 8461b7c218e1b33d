"""What became of a kernel's process, gathered once it has ended: its status, its last words, its last sizes.

Rules: nothing here waits for more than a moment. What is not known is left out, never guessed; that signal 9
may have been for want of memory is said as that.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from ..errors import Cause, End
from ..objects.secret_names import scrubbed
from .sizes import ControlGroup, address_limit, resident, tree

if sys.platform != "win32":
    import fcntl

#: Of what was written last, what an error keeps, and how much of that stands in its message.
_LINES, _BYTES, _SHOWN = 200, 16_384, 12
#: Bytes of a kernel's standard error that are read at once, and after which what was told is dropped.
_LARGE: Final = 1 << 20
#: Seconds for whoever asks the system for a process's status to have it: a zygote, which is another process.
_MOMENT: Final = 0.5
#: The system call that tells what an ended process had, before anybody reaps it.
_WAITID: Final = {"x86_64": 247, "aarch64": 95, "riscv64": 95}
_P_PID: Final = 1
#: Where ``ru_maxrss``, in KiB, stands among the numbers of ``struct rusage``.
_MAXRSS: Final = 4
#: In the frame that called the called code.
_OURS: Final = os.path.join("snakekernel", "commands", "calling.py")
#: What faulthandler writes above the stack of the thread that failed.
_CURRENT: Final = re.compile(r"^(Current thread|Stack \(most recent)")


def tail(text: bytes) -> str:
    """The last lines of what a process wrote, bounded in lines and bytes, less what looks like a secret."""
    if len(text) > _BYTES:
        # A line without its beginning is none: what says that its end is a secret may be missing.
        text = text[-_BYTES - 1 :].partition(b"\n")[2] or text[-_BYTES:]
    clean = scrubbed(text.decode(errors="replace"))[-_BYTES:]
    return "\n".join(clean.splitlines()[-_LINES:])


def tail_of(file: Path) -> str:
    """The last lines of a file, as those. Raises OSError."""
    with file.open("rb") as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - _BYTES - 1))
        return tail(opened.read())


def quoted(text: str) -> str:
    """What of a kernel's last words stands in an error's message: where it failed, if that is told."""
    lines = [line for line in text.splitlines() if line.strip()]
    fatal = next((n for n, line in enumerate(lines) if line.startswith("Fatal Python error")), None)
    if fatal is not None:
        stack = next((n for n in range(fatal, len(lines)) if _CURRENT.match(lines[n])), fatal + 1)
        # Below the called code are the kernel's own frames.
        ours = next((n for n in range(stack, len(lines)) if _OURS in lines[n]), len(lines))
        lines = [lines[fatal], *lines[stack : min(ours, stack + _SHOWN)]]
    else:
        lines = lines[-_SHOWN:]
    return "".join(["\nIt wrote:", *(f"\n  {line}" for line in lines)]) if lines else ""


def words(end: End) -> str:
    """A sentence on how a kernel ended; empty where nothing is known."""
    told = ""
    if end.cause == "killed":
        told = " It was killed from here."
    elif end.cause == "shutdown":
        told = " It was shut down."
    elif end.signal is not None:
        told = f" Its process was ended by {end.signal}."
    elif end.exit_code is not None:
        told = f" Its process exited with status {end.exit_code}."
    if end.memory:
        told += " Nobody here sent that signal: it may have been for want of memory"
        sizes = {name: f"{size / 2**20:,.0f} MiB" for name, size in end.sizes.items() if name != "oom_kills"}
        known = [f"{name} {size}" for name, size in sizes.items()]
        told += f" (last known: {', '.join(known)})" if known else ""
        killed = end.sizes.get("oom_kills")
        told += f"; the system ended {killed} processes for that meanwhile." if killed else "."
    return told + quoted(end.stderr)


class Stderr:
    """What a kernel's process writes to its standard error, while this process has it in a file.

    Args:
        output: the file that is given to the process; None for one without a name, that only we have.
        echo: whether what comes is copied to this process's own standard error, when somebody waits or asks.
    """

    def __init__(self, output: int | None = None, *, echo: bool = False) -> None:
        self._echo = echo
        self._tail = b""
        # One thread looks while another learns of the end; a signal handler may break into either.
        self._lock = threading.RLock()
        self.is_ours = output is None
        if output is None:
            with tempfile.TemporaryFile(buffering=0) as made:
                self.descriptor = os.dup(made.fileno())
            flags = fcntl.fcntl(self.descriptor, fcntl.F_GETFL)
            # Truncated, it has no hole where the kernel writes on.
            fcntl.fcntl(self.descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
        else:
            # Opened anew, for it may not be open for reading.
            self.descriptor = os.open(f"/proc/self/fd/{output}", os.O_RDONLY | os.O_CLOEXEC)
        self._told = os.fstat(self.descriptor).st_size
        self._close = weakref.finalize(self, os.close, self.descriptor)

    def look(self) -> None:
        """Take what has come, and copy it to our own standard error where that was asked for."""
        with self._lock:
            if self._close.alive:
                self._take()

    def _take(self) -> None:
        size = os.fstat(self.descriptor).st_size
        if size <= self._told:
            return
        text = os.pread(self.descriptor, min(size - self._told, _LARGE), max(self._told, size - _LARGE))
        self._told = size
        self._tail = (self._tail + text)[-_BYTES - 1 :]
        if self._echo and sys.stderr is not None:
            with suppress(OSError, ValueError):
                sys.stderr.write(text.decode(errors="replace"))
                sys.stderr.flush()
        if self.is_ours and size > _LARGE:
            # Read: it must not grow for as long as the kernel runs.
            os.ftruncate(self.descriptor, 0)
            self._told = 0

    def last(self) -> str:
        """The last lines since this was asked last, less what looks like a secret."""
        with self._lock:
            self.look()
            text, self._tail = self._tail, b""
        return tail(text)

    def close(self) -> None:
        """Copy what is left. Idempotent."""
        with self._lock:
            self.look()
            self._close()


def kept(output: int | IO[Any] | None) -> Stderr | None:
    """Where what a process writes to ``output``, as of ``start``, can be read; None for nowhere."""
    if sys.platform != "linux":
        return None
    try:
        if output is None or output == subprocess.DEVNULL:
            return Stderr(echo=output is None)
        number = output if isinstance(output, int) else output.fileno()
        # Of a pipe's text, what we read another one would miss.
        return Stderr(number) if number >= 0 and stat.S_ISREG(os.fstat(number).st_mode) else None
    except (OSError, ValueError):
        # No room for a file, or none that can be read: its words are told where they go.
        return None


class Process:
    """A kernel's process while it is watched.

    Args:
        pid: its number, of a process of this machine.
        process: as of ``subprocess``, where this process started it.
    """

    def __init__(self, pid: int, process: Any = None) -> None:
        self.pid = pid
        self._process = process
        self._group = ControlGroup(pid) if sys.platform == "linux" else None
        self._resident = 0
        self._limit: int | None = None

    def sample(self) -> None:
        """Note how large it is; about once a second."""
        if sys.platform == "linux":
            self._resident = sum(map(resident, tree(self.pid))) or self._resident
            self._limit = address_limit(self.pid) or self._limit

    def end(self, stderr: str, *, was_killed: bool = False) -> End:
        """What became of it; ``stderr`` is its last words, ``was_killed`` whether by this side."""
        peak = _peak(self.pid) if self._process is not None else 0
        status = self._status()
        code = status if status is not None and status >= 0 else None
        name = None
        if status is not None and status < 0:
            with suppress(ValueError):
                name = signal.Signals(-status).name
            name = name or f"signal {-status}"
        sizes = {"resident": self._resident, "peak": peak, "limit": self._limit or 0}
        killed = 0
        if self._group is not None:
            killed = self._group.killed()
            sizes["limit"] = min(filter(None, (self._limit, self._group.limit())), default=0)
        told: Cause = "connection" if status is None else "exit" if name is None else "signal"
        return End(
            cause="killed" if was_killed else told,
            signal=name,
            exit_code=code,
            stderr=stderr,
            memory=name == "SIGKILL" and not was_killed,
            sizes={**{key: size for key, size in sizes.items() if size}, "oom_kills": killed},
        )

    def _status(self) -> int | None:
        if self._process is None:
            return None
        with suppress(subprocess.TimeoutExpired):
            return int(self._process.wait(_MOMENT))
        return None


def _peak(pid: int) -> int:
    """The most bytes that an ended child had in memory, while nobody has reaped it; 0 where nobody tells."""
    number = _WAITID.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return 0
    usage, info = (ctypes.c_long * 18)(), (ctypes.c_char * 128)()
    options = os.WEXITED | os.WNOWAIT | os.WNOHANG
    found = ctypes.CDLL(None).syscall(number, _P_PID, pid, info, options, usage)
    return usage[_MAXRSS] * 1_024 if found == 0 else 0
