"""The owner of one kernel process on some host: makes its keys, starts it, ends it when its lease lapses.

Rules: no engine is known here. The kernel listens on this host's address under Curve, with keys made here,
in a folder of mode 0700; keys are in no argument and no environment variable. Instants are of this host's
own clock: who renews the lease says until when in the owner's time, so no clocks are compared. One thread
starts and reaps processes.
"""

from __future__ import annotations

import collections
import fcntl
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import IO, Any, Final

from ..kernel.fence import RENEWAL, VARIABLE, clock
from ..objects.secret_names import scrubbed
from .parcels import Given, Parcel
from .processes import memory_of_session

PORTS: Final = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
_FOLDER: Final = "snakekernel-owner-"
#: The last lines of what the kernel wrote, and the most of each.
_LINES: Final = 50
_LINE: Final = 2_000
#: Variables of the engine's own process that are none of the kernel's business; tokens are among them.
_NOT_FOR_KERNELS: Final = ("RAY_", "DASK_", "SNAKEKERNEL_")
#: Owners of this process, by name, for tasks that run beside them.
OWNERS: Final[dict[str, KernelOwner]] = {}


class StartFailed(Exception):
    """The kernel ended, or said nothing, before it listened; the text has its last lines."""


class KernelOwner:
    """Owns one kernel at a time. Its methods may be called from any thread.

    Args:
        name: of the owner, unique.
        ip: the address of this host that clients reach.
    """

    def __init__(self, name: str, ip: str) -> None:
        self.name = name
        self._ip = ip
        self._given = Given()
        self._lines: collections.deque[str] = collections.deque(maxlen=_LINES)
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        #: From before a process is started until its end is known.
        self._is_busy = False
        self._exit: int | None = None
        self._until = 0.0
        self._lapsed = False
        self._lease_pipe = -1
        self._connection: dict[str, Any] = {}
        self._orders: queue.SimpleQueue[tuple[dict[str, Any], queue.SimpleQueue[Any]] | None] = (
            queue.SimpleQueue()
        )
        _sweep()
        self._folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
        # Under its name only when it is locked, or whoever sweeps would take it for one of the dead.
        unlocked = self._folder / "unlocked"
        self._lock_file = os.open(unlocked, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        unlocked.rename(self._folder / "lock")
        self._is_open = True
        OWNERS[name] = self
        threading.Thread(target=self._run, name=f"kernel of {name}", daemon=True).start()
        threading.Thread(target=self._watch, name=f"lease of {name}", daemon=True).start()

    # -- its life ----------------------------------------------------------------------------------------

    def start(
        self,
        argv: list[str],
        env: dict[str, str],
        cwd: str | None,
        python: str | None,
        until: float,
        keep_ports: bool = False,
    ) -> dict[str, Any]:
        """Start the kernel; again after it has ended, with the same keys and, if asked, the same ports.

        ``argv`` has ``{connection_file}`` and ``{python}`` where those belong; ``until`` is the end of its
        lease, in this host's time: what comes after that was given up by whoever asked for it. Gives ``pid``,
        ``owner`` (its pid) and ``host``. Raises StartFailed.
        """
        with self._changed:
            if self._is_busy:
                raise StartFailed("A kernel runs already.")
            if until <= clock():
                raise StartFailed("The start came too late.")
            # The id of the one before may be another process's by now.
            self._process, self._exit = None, None
            self._is_busy, self._until, self._lapsed = True, until, False
        reply: queue.SimpleQueue[Any] = queue.SimpleQueue()
        try:
            words = {
                "{connection_file}": str(self._write_connection(keep_ports)),
                "{python}": python or sys.executable,
            }
            base = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_KERNELS)}
            options = {
                "args": [_filled(word, words) for word in argv],
                "env": {**base, **env, "JPY_PARENT_PID": str(os.getpid())},
                "cwd": cwd if cwd and os.path.isdir(cwd) else None,
            }
            with self._changed:
                if not self._is_open:
                    raise StartFailed("The owner is closed.")
                self._orders.put((options, reply))
        except BaseException:
            with self._changed:
                self._is_busy = False
            raise
        outcome = reply.get()
        if isinstance(outcome, Exception):
            raise StartFailed(f"The kernel's process could not be started: {outcome}") from outcome
        return {"pid": outcome, "owner": os.getpid(), "host": os.uname().nodename}

    def _write_connection(self, keep_ports: bool) -> Path:
        import zmq

        ports: dict[str, Any] = dict.fromkeys(PORTS, 0)
        if not self._connection:
            public, secret = zmq.curve_keypair()
            self._connection = {
                "transport": "tcp",
                "ip": self._ip,
                "key": uuid.uuid4().hex + uuid.uuid4().hex,
                "signature_scheme": "hmac-sha256",
                "curve_publickey": public.decode(),
                "curve_secretkey": secret.decode(),
            }
        elif keep_ports:
            ports = {name: self._connection[name] for name in PORTS}
        file = self._folder / "kernel.json"
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump({**self._connection, **ports}, stream)
        return file

    def listens(self, timeout: float) -> dict[str, Any]:
        """Wait until the kernel listens; its connection. Raises StartFailed; the kernel is ended then."""
        # The kernel takes free ports itself and writes them down, so nobody can take them before it.
        file = self._folder / "kernel.json"
        deadline = time.monotonic() + timeout
        while True:
            try:
                ports = {name: json.loads(file.read_bytes())[name] for name in PORTS}
                if all(ports.values()):
                    self._connection.update(ports)
                    return self._connection
            except (ValueError, KeyError, FileNotFoundError):
                # It is being written at this moment.
                pass
            with self._changed:
                ended = self._changed.wait_for(lambda: self._exit is not None, timeout=0.01)
            if ended:
                raise StartFailed(f"The kernel ended with {self._exit} at its start.\n{self._text()}")
            if time.monotonic() > deadline:
                self.send_signal(signal.SIGKILL)
                with self._changed:
                    self._changed.wait_for(lambda: self._exit is not None, timeout=5)
                raise StartFailed(f"The kernel did not listen within {timeout:g} s.\n{self._text()}")

    def _run(self) -> None:
        """Start each process and wait for its end."""
        while (order := self._orders.get()) is not None:
            options, reply = order
            try:
                process, writer = self._spawn(options)
            except (OSError, ValueError, TypeError) as error:
                with self._changed:
                    self._is_busy, self._exit = False, 127
                    self._changed.notify_all()
                reply.put(error)
                continue
            with self._changed:
                self._process, self._lease_pipe = process, writer
                if not self._is_open:
                    self._signal(signal.SIGKILL)
                # Its lease is watched from here on.
                self._changed.notify_all()
            assert process.stdout is not None
            threading.Thread(
                target=self._read, args=(process.stdout,), name=f"output of {self.name}", daemon=True
            ).start()
            reply.put(process.pid)
            self._reap(process)

    def _spawn(self, options: dict[str, Any]) -> tuple[subprocess.Popen[bytes], int]:
        """The process and our end of the pipe of its lease."""
        reader, writer = os.pipe()
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            options["env"][VARIABLE] = f"{reader}:{self._until}"
            process = subprocess.Popen(
                **options,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(reader,),
            )
        except BaseException:
            os.close(writer)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.close(reader)
        os.set_blocking(writer, False)
        return process, writer

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        # Left unreaped until the lock is held: its number stays its own while others send signals to it.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._changed:
            self._signal(signal.SIGKILL)
            self._exit, self._is_busy = process.wait(), False
            os.close(self._lease_pipe)
            self._lease_pipe = -1
            self._changed.notify_all()

    def _watch(self) -> None:
        """End the kernel when its lease has lapsed."""
        with self._changed:
            while self._is_open:
                if self._process is None or self._exit is not None or self._lapsed:
                    self._changed.wait()
                    continue
                left = self._until - clock()
                if left > 0:
                    # What is waited does not count while the host sleeps.
                    self._changed.wait(min(left, 1.0))
                    continue
                self._lapsed = True
                self._signal(signal.SIGKILL)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(_LINE):
                self._lines.append(line.decode(errors="replace").rstrip("\n"))

    # -- what its driver asks ----------------------------------------------------------------------------

    def beat(self, until: float, pause: float) -> tuple[float, int | None]:
        """Let the kernel run until then, in this host's time; a time past changes nothing.

        Waits ``pause`` seconds for the kernel's end. Gives now, and its exit code if it has ended.
        """
        with self._changed:
            if until > self._until and not self._lapsed:
                self._until = until
                self._changed.notify_all()
                if self._lease_pipe >= 0:
                    try:
                        os.write(self._lease_pipe, RENEWAL.pack(until))
                    except (BlockingIOError, BrokenPipeError):
                        # It does not read: it is stopped, or no kernel of ours.
                        pass
            self._changed.wait_for(lambda: self._exit is not None or not self._is_open, timeout=pause)
            return clock(), self._exit

    def send_signal(self, number: int) -> None:
        """To all of the kernel's process group; nothing where it has ended."""
        with self._changed:
            self._signal(number)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._exit is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass

    def stderr_tail(self) -> list[str]:
        """The last lines that the kernel wrote to its own standard output and error, less what looks like a
        secret."""
        return self._text().splitlines()

    def _text(self) -> str:
        return scrubbed("\n".join(list(self._lines)))

    def memory(self) -> int:
        """Bytes of memory of the kernel and of what it started."""
        process = self._process
        return 0 if process is None or self._exit is not None else memory_of_session(process.pid)

    def take(self, segments: list[dict[str, Any]]) -> Parcel:
        """Bytes of the kernel's segments, mapped here, for the engine to carry."""
        return Parcel.of(segments)

    def give(self, token: str, parcel: Parcel) -> list[dict[str, Any]]:
        """Put what came into segments of this process; where they are, until ``drop``."""
        return self._given.give(token, parcel)

    def drop(self, token: str) -> None:
        """Let go of what was given under that token."""
        self._given.drop(token)

    def close(self) -> int | None:
        """End the kernel and all that is kept here. Idempotent; waits for the end of its process.

        Gives its exit code, None where there was no kernel or it does not end.
        """
        OWNERS.pop(self.name, None)
        with self._changed:
            was_open, self._is_open = self._is_open, False
            self._signal(signal.SIGKILL)
            self._changed.notify_all()
            if self._process is not None:
                self._changed.wait_for(lambda: self._exit is not None, timeout=5)
        if was_open:
            self._orders.put(None)
            self._given.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock_file)
        return self._exit


def _filled(word: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        word = word.replace(name, value)
    return word


def _sweep() -> None:
    """Remove folders of owners that were killed: a living one holds the lock in its own."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        try:
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            # Somebody else's, or not complete yet.
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(descriptor)
