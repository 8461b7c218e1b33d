"""The process beside this one that is an engine's driver or client, and what this process knows through it.

Rules: one sidecar for each engine and set of connection options, shared by all kernels of this process; it
ends some time after its last kernel, and with this process. Every request has a time limit. Nothing here
belongs to an event loop: provisioners are used by blocking managers too, whose loops come and go. What the
engine's libraries do when their control plane is lost (Ray ends the process) happens to the sidecar alone;
its kernels are then told dead when their leases have certainly lapsed. Options and secrets go through the
channel, never through arguments or the environment.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import IO, Any, Final

import msgspec

from ..errors import (
    Denied,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    SnakeError,
    Unsupported,
    WorkerLost,
)
from ..kernel.fence import clock
from .channel import DECODER, ENCODER, FENCED, MARGIN, Answer, Ask, News

#: Seconds for which a sidecar without kernels stays, for the next one.
IDLE: Final = 10.0
_ERRORS: Final[dict[str, type[SnakeError]]] = {
    "denied": Denied,
    "invalid": InvalidRequest,
    "limit": LimitExceeded,
    "lost": WorkerLost,
    "not_found": NotFound,
    "unsupported": Unsupported,
}


class Watched:
    """What is known of one kernel."""

    def __init__(self, sidecar: Sidecar, name: str, lease: float) -> None:
        self.sidecar = sidecar
        self.name = name
        self._lease = lease
        self._news = News(name, True)
        self._blind_since: float | None = None

    @property
    def is_reachable(self) -> bool:
        """Whether its owner answers."""
        return self._news.is_reachable and self._blind_since is None

    @property
    def exit(self) -> int | None:
        """Its exit code, once it is dead for certain."""
        # Counted from the sidecar's end, for a renewal may have left it at that very moment.
        blind = self._blind_since
        if self._news.exit is None and blind is not None and clock() > blind + self._lease + MARGIN:
            self.hear(News(self.name, False, FENCED, True))
        return self._news.exit

    @property
    def is_fenced(self) -> bool:
        """Whether its end is known by its lease alone."""
        return self._news.is_fenced

    def hear(self, news: News) -> None:
        """Take news of it; the first exit code stays."""
        if self._news.exit is None:
            self._news = news

    def go_blind(self) -> None:
        """The sidecar is gone."""
        if self._blind_since is None:
            self._blind_since = clock()


class Sidecar:
    """A running sidecar. Made by ``take_part``."""

    def __init__(self, engine: str, options: dict[str, Any]) -> None:
        self.engine = engine
        self.users = 0
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.is_lost = False
        self._options = options
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._kernels: dict[str, Watched] = {}
        self._lock = threading.Lock()
        self._idle_since = clock()
        self._connection: Connection | None = None
        self._lines: collections.deque[str] = collections.deque(maxlen=50)
        self.thread = threading.Thread(target=self._run, name=f"sidecar for {engine}", daemon=True)
        self._started: Future[None] = Future()
        self.thread.start()
        self._opened = self._send("open", {"engine": engine, "options": options})

    # -- its process -------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Start the process, hear what it says, until it ends or is idle for long.

        Its parent is this thread: what ends it with its parent goes by that.
        """
        ours, theirs = socket.socketpair()
        # A file, for a process that dies of its engine's errors writes more than a pipe takes.
        with tempfile.TemporaryFile() as output:
            try:
                process = self._spawn(theirs, output)
            except OSError as error:
                ours.close()
                self.is_lost = True
                self._started.set_exception(Unsupported(f"The sidecar could not be started: {error}"))
                return
            finally:
                theirs.close()
            self._process, self.pid = process, process.pid
            connection = self._connection = Connection(ours.detach())
            self._started.set_result(None)
            try:
                while not self._is_idle():
                    if connection.poll(1.0):
                        self._hear(connection.recv_bytes())
            except (EOFError, OSError, msgspec.DecodeError):
                # What cannot be read ends it as well: nothing that follows could be trusted.
                pass
            with self._lock:
                self.is_lost = True
                self._connection = None
                waiting, self._waiting = self._waiting, {}
                kernels = list(self._kernels.values())
            _forget(self)
            connection.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            text = _last(output)
        for kernel in kernels:
            kernel.go_blind()
        for future in waiting.values():
            if not future.set_running_or_notify_cancel():
                continue
            future.set_exception(WorkerLost(f"The sidecar for {self.engine} ended. {text}".rstrip()))

    def _spawn(self, theirs: socket.socket, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "snakekernel.provisioners.driver", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C is for the program; its kernels are interrupted by their managers.
            start_new_session=True,
        )

    def _is_idle(self) -> bool:
        # Its last user may come back at this very moment: who takes part holds the same lock.
        with _registry_lock:
            if self.users or self._kernels or self._waiting or clock() - self._idle_since < IDLE:
                return False
            _forget_locked(self)
            return True

    def _hear(self, text: bytes) -> None:
        said = DECODER.decode(text)
        if isinstance(said, News):
            kernel = self._kernels.get(said.kernel)
            if kernel is not None:
                kernel.hear(said)
                if said.exit is not None:
                    self.forget(said.kernel)
        elif isinstance(said, Answer):
            with self._lock:
                future = self._waiting.pop(said.number, None)
            # Who asked may have given up; the answer is for nobody then.
            if future is None or not future.set_running_or_notify_cancel():
                return
            if said.kind:
                future.set_exception(_ERRORS.get(said.kind, OutcomeUnknown)(said.error))
            else:
                future.set_result(said.value)

    # -- what provisioners do ----------------------------------------------------------------------------

    def _send(self, method: str, arguments: dict[str, Any]) -> Future[Any]:
        self._started.result()
        future: Future[Any] = Future()
        number = next(self._numbers)
        text = ENCODER.encode(Ask(number, method, arguments))
        with self._lock:
            if self._connection is None:
                future.set_exception(WorkerLost(f"The sidecar for {self.engine} has ended."))
                return future
            self._waiting[number] = future
            try:
                self._connection.send_bytes(text)
            except OSError:
                del self._waiting[number]
                future.set_exception(WorkerLost(f"The sidecar for {self.engine} has ended."))
        return future

    async def ask(self, method: str, within: float, /, **arguments: Any) -> Any:
        """Have something done. Raises WorkerLost where no answer comes in time, and what the sidecar says."""
        future = self._send(method, arguments)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), within)
        except TimeoutError:
            raise WorkerLost(
                f"No answer to {method!r} from {self.engine} within {within:g} s: it, or the kernel's host, "
                f"is out of reach."
            ) from None

    async def opened(self, timeout: float) -> None:
        """Wait until it is connected to its engine. Raises what kept it from that."""
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._opened)), timeout)
        except TimeoutError:
            # The next kernel gets another one: what this one hangs in may be over.
            _forget(self)
            if self._process is not None:
                self._process.kill()
            raise WorkerLost(f"No connection to {self.engine} within {timeout:g} s.") from None
        except SnakeError:
            # It ends; the next kernel gets another one.
            _forget(self)
            raise

    def watch(self, name: str, lease: float) -> Watched:
        """Hear of a kernel, from before it is started."""
        kernel = Watched(self, name, lease)
        with self._lock:
            self._kernels[name] = kernel
            if self.is_lost:
                kernel.go_blind()
        return kernel

    def forget(self, name: str) -> None:
        """Hear of a kernel no more."""
        with self._lock:
            self._kernels.pop(name, None)
        self._idle_since = clock()

    def leave(self) -> None:
        """A user has gone."""
        with _registry_lock:
            self.users -= 1
            self._idle_since = clock()

    def close(self) -> None:
        """End it, and what runs through it. Waits."""
        _forget(self)
        with self._lock:
            if self._connection is not None:
                try:
                    self._connection.send_bytes(ENCODER.encode(Ask(0, "close")))
                except OSError:
                    pass
        self.thread.join(15)
        if self._process is not None and self.thread.is_alive():
            self._process.kill()
            self.thread.join(5)


_registry: Final[dict[tuple[str, bytes], Sidecar]] = {}
_registry_lock = threading.RLock()


def take_part(engine: str, options: dict[str, Any]) -> Sidecar:
    """This process's sidecar for an engine and the options of its connection; ``leave`` it when done."""
    key = (engine, msgspec.msgpack.encode(options, order="sorted"))
    with _registry_lock:
        sidecar = _registry.get(key)
        if sidecar is None or sidecar.is_lost:
            sidecar = _registry[key] = Sidecar(engine, options)
        sidecar.users += 1
        return sidecar


def _forget_locked(sidecar: Sidecar) -> None:
    for key, one in list(_registry.items()):
        if one is sidecar:
            del _registry[key]


def _forget(sidecar: Sidecar) -> None:
    with _registry_lock:
        _forget_locked(sidecar)


@atexit.register
def close_all() -> None:
    """End all sidecars of this process, and the kernels that run through them."""
    for sidecar in list(_registry.values()):
        sidecar.close()


def _in_child() -> None:
    # A forked child has no part in its parent's; a copy of the socket would keep it from ending.
    global _registry_lock
    _registry_lock = threading.RLock()
    for sidecar in _registry.values():
        if sidecar._connection is not None:
            sidecar._connection.close()
            sidecar._connection = None
            sidecar.is_lost = True
    _registry.clear()


os.register_at_fork(after_in_child=_in_child)


def _last(output: IO[bytes]) -> str:
    output.seek(0, os.SEEK_END)
    output.seek(max(0, output.tell() - 2_000))
    return output.read().decode(errors="replace").strip()
