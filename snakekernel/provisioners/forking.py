"""The host's side of zygotes: one per kind of kernel, started when first needed, asked for forked kernels.

Rules: usable from any thread and any event loop, and nothing here waits but ``ForkedProcess.wait`` and
``close_zygotes``. A request goes to the zygote at once, even while that still imports; its answer comes on a
socket of the request's own, whose end says as surely as a message that the zygote is gone. A child that the
host forks has no zygotes.
"""

from __future__ import annotations

import asyncio
import atexit
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .forked import ForkedProcess, hang_up, read

#: Requests to a zygote; only the first has descriptors.
FORK: Final = b"F"
RETIRE: Final = b"R"
#: So many stay for the next kernel; of more, the one that was longest not asked ends with its last kernel.
MOST_ZYGOTES: Final = 8
#: Bytes that a zygote's command line has room for at least: its kernels write their own there.
_TITLE: Final = 1024
#: Seconds that a zygote has to end in when it was asked to.
_END: Final = 5.0


class Unfit(Exception):
    """No kernel can be forked this way. ``library`` names what must not be preloaded, if that is why."""

    def __init__(self, reason: str, library: str = "") -> None:
        super().__init__(reason)
        self.library = library


class ZygoteLost(Exception):
    """The zygote ended before it answered; another one may do."""


@dataclass(frozen=True)
class Kind:
    """What the kernels of one zygote have in common: what was settled when its imports ran."""

    interpreter: tuple[str, ...]
    environment: frozenset[tuple[str, str]]
    preload: tuple[str, ...]
    idle_timeout: float


class Zygote:
    """One zygote process, as its host sees it."""

    def __init__(self, kind: Kind) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            words = [str(theirs.fileno()), str(os.getpid()), str(kind.idle_timeout)]
            words.append(",".join(kind.preload).ljust(_TITLE))
            try:
                self.process = subprocess.Popen(
                    [*kind.interpreter, "-m", "snakekernel.provisioners.zygote_process", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=dict(kind.environment),
                    cwd="/",
                    pass_fds=[theirs.fileno()],
                    # Ctrl-C in the host's terminal is not for it.
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise Unfit(f"its zygote cannot be started: {error}") from None
        self._requests = ours

    def ask(self, descriptors: Sequence[int]) -> None:
        """Send a request.

        Raises ZygoteLost where it has ended, BlockingIOError where many wait already, Unfit where the
        descriptors cannot be sent.
        """
        try:
            socket.send_fds(self._requests, [b"\0"], descriptors, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS):
                raise BlockingIOError(error.errno, error.strerror) from None
            if error.errno == errno.EBADF and self._requests.fileno() >= 0:
                raise Unfit("a standard stream of this process is closed") from None
            raise ZygoteLost from None

    def retire(self) -> None:
        """It ends with its last kernel."""
        try:
            self._requests.send(RETIRE, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            # Too busy to be told: its idle timeout ends it.
            pass

    def let_go(self) -> None:
        """It ends, and its kernels with it. Idempotent."""
        hang_up(self._requests)

    def end(self) -> None:
        """Wait until it has ended."""
        self.let_go()
        try:
            self.process.wait(_END)
        except subprocess.TimeoutExpired:
            # Some library's import does not return.
            self.process.kill()
            self.process.wait()


_zygotes: Final[dict[Kind, Zygote]] = {}
#: Those that get no more requests and may not have ended yet.
_ending: Final[list[Zygote]] = []
#: What an interpreter cannot preload: it is not tried again.
_unfit: Final[set[tuple[tuple[str, ...], str]]] = set()
_lock: Final = threading.Lock()


def zygote_of(kind: Kind) -> Zygote:
    """The zygote for such kernels, started if need be. Raises Unfit."""
    with _lock:
        for other, zygote in list(_zygotes.items()):
            if zygote.process.poll() is not None:
                del _zygotes[other]
                zygote.let_go()
        for zygote in list(_ending):
            if zygote.process.poll() is not None:
                _ending.remove(zygote)
                zygote.let_go()
        # Kept in the order of their use.
        zygote = _zygotes.pop(kind) if kind in _zygotes else Zygote(kind)
        _zygotes[kind] = zygote
        if len(_zygotes) > MOST_ZYGOTES:
            oldest = _zygotes.pop(next(iter(_zygotes)))
            oldest.retire()
            _ending.append(oldest)
        return zygote


def forget(kind: Kind, zygote: Zygote) -> None:
    """Ask a zygote that did not do no more; kernels that it has live on."""
    with _lock:
        if _zygotes.get(kind) is zygote:
            del _zygotes[kind]
            _ending.append(zygote)
            zygote.retire()


def exclude(interpreter: tuple[str, ...], library: str) -> None:
    """From now on this interpreter preloads a library no more."""
    _unfit.add((interpreter, library))


def is_excluded(interpreter: tuple[str, ...], library: str) -> bool:
    """Whether a library was found to be unfit."""
    return (interpreter, library) in _unfit


def close_zygotes() -> None:
    """End all zygotes of this process and the kernels they forked; blocks until the zygotes have ended."""
    with _lock:
        zygotes = [*_zygotes.values(), *_ending]
        _zygotes.clear()
        _ending.clear()
    for zygote in zygotes:
        zygote.let_go()
    for zygote in zygotes:
        zygote.end()


def _forked() -> None:
    # The parent's: a copy kept open would have it outlive the parent's wish to end it.
    global _lock
    _lock = threading.Lock()  # type: ignore[misc]  # another thread may have held it
    for zygote in (*_zygotes.values(), *_ending):
        zygote._requests.close()
        # Not our child: nothing to wait for, and nothing to warn of.
        zygote.process.returncode = 0
    _zygotes.clear()
    _ending.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(close_zygotes)


async def fork_kernel(
    zygote: Zygote,
    argv: Sequence[str],
    env: Mapping[str, str],
    folder: int,
    streams: Sequence[int],
    timeout: float,
) -> ForkedProcess:
    """A kernel from a zygote. Descriptors stay the caller's.

    Raises:
        Unfit: this zygote cannot fork, or did not in ``timeout`` seconds.
        ZygoteLost: it ended.
        OSError: what Popen would have raised.
    """
    deadline = time.monotonic() + timeout
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        request = os.memfd_create("snakekernel-request", os.MFD_CLOEXEC)
        try:
            with open(request, "wb", closefd=False) as file:
                file.write(json.dumps({"argv": list(argv), "env": dict(env)}).encode())
            os.lseek(request, 0, os.SEEK_SET)
            while True:
                try:
                    zygote.ask([request, theirs.fileno(), folder, *streams])
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Unfit("its zygote takes no requests") from None
                    await asyncio.sleep(0.01)
        finally:
            theirs.close()
            os.close(request)
        try:
            await asyncio.wait_for(_readable(ours), deadline - time.monotonic())
        except TimeoutError:
            raise Unfit(f"its zygote gave no answer in {timeout:g} s") from None
        message, pidfd = read(ours)
        if message is None:
            raise ZygoteLost
        if message[0] == "started":
            assert pidfd is not None
            return ForkedProcess(argv, message[1], pidfd, ours)
        if message[0] == "unfit":
            raise Unfit(message[2], message[1])
        if message[0] == "error":
            raise OSError(message[1], message[2])
        raise Unfit(f"the kernel ended before it began, with status {message[1]}")
    except BaseException:
        _abandon(ours)
        raise


async def _readable(status: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(status, tell)
    try:
        await readable
    finally:
        loop.remove_reader(status)


def _abandon(status: socket.socket) -> None:
    """Nobody wants this kernel any more; one that has started meanwhile is killed."""
    try:
        # From here on a child cannot tell that it started, and ends itself.
        status.shutdown(socket.SHUT_RDWR)
        _, pidfd = read(status)
        if pidfd is not None:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
    except OSError:
        pass
    status.close()


def can_fork() -> str:
    """Why this system cannot fork kernels; empty where it can."""
    if sys.platform != "linux":
        return "forked kernels need Linux"
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return "this Python has no pidfds"
    return ""
