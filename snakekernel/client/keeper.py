"""Tells the kernel, once a second, that this client is there and what it holds no more.

Rules: a kernel hears of nobody who is gone, so what it holds for a client (streams, functions, references) it
holds for a few seconds, and a client that holds something asks again in time. It asks while anything is held
and no longer. What finalizers and signal handlers call takes note and does nothing else: they may have broken
into any lock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from _thread import allocate_lock
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from typing import Any, Final
from weakref import WeakValueDictionary

from ..errors import KernelLost
from ..wire.frame import pack_json
from ..wire.names import request_type
from .link import Link
from .message import Received
from .payload import whole
from .shield import Shield
from .waiting import Turns

#: Seconds for which the kernel holds things after it last heard of this client.
LEASE: Final = 5.0
#: Seconds between two renewals.
_EVERY: Final = 1.0
#: Seconds after which an unanswered renewal is followed by another.
_PATIENCE: Final = 3 * _EVERY
#: References that may wait for their release before they are told of with the next one that comes.
_MANY: Final = 1_000
#: References released by one message.
_MOST: Final = 10_000


class Keeper(ABC):
    """What one client holds, over all its sessions; each holder says so by ``hold`` and ``let_go``."""

    def __init__(self, link: Link) -> None:
        self._link = link
        #: The remote objects that are held, by the kernel process and their name.
        self.objects: WeakValueDictionary[tuple[str | None, str], Any] = WeakValueDictionary()
        #: +1 and -1, not counted up yet.
        self._changes: deque[int] = deque()
        self._held = 0
        #: The kernel process and the name of references held no more.
        self._released: deque[tuple[str | None, str]] = deque()
        #: Requests that a finalizer could not send: the operation and the content.
        self._unsent: deque[tuple[str, bytes]] = deque()
        self._is_closed = False

    def hold(self) -> None:
        """Something is held from now on; the request that asked for it named ``LEASE``. On any thread."""
        self._changes.append(1)
        self._begin()
        if len(self._released) > _MANY:
            self._tell()

    def let_go(self) -> None:
        """Something is held no more. On any thread, also from finalizers and signal handlers."""
        self._changes.append(-1)

    def release(self, name: str, epoch: str | None) -> None:
        """A reference of that kernel process is held no more, and the kernel is to be told. As ``let_go``."""
        self._released.append((epoch, name))
        self._changes.append(-1)

    def say(self, op: str, content: bytes) -> None:
        """Have a request sent soon, on control, whose reply nobody needs, while something is held. As
        ``let_go``."""
        self._unsent.append((op, content))
        self._hurry()

    def _send_unsent(self) -> None:
        with suppress(IndexError):
            while True:
                op, content = self._unsent.popleft()
                message = self._link.message(request_type(op), content, channel="control")
                with Shield():
                    self._link.send(message, _ignore)

    def refuse(self, name: str) -> None:
        """A reference came that nobody takes: it is let go while something is held. As ``let_go``."""
        self._released.append((self._link.last_epoch, name))

    @abstractmethod
    def _hurry(self) -> None:
        """Have what waits sent now, by whoever ticks. Takes no lock."""

    @abstractmethod
    def _begin(self) -> None:
        """See to it that the kernel is asked again, from now on."""

    @abstractmethod
    def _tell(self) -> None:
        """Send what waits, where this thread may."""

    def _is_idle(self) -> bool:
        """Whether there is nothing to renew and nothing to tell. Called by whoever ticks, and it alone."""
        while self._changes:
            self._held += self._changes.popleft()
        return self._held <= 0 and not self._released and not self._unsent

    def _contents(self) -> list[bytes]:
        """The requests that tell of all references held no more; one at least."""
        names: dict[str | None, list[str]] = {}
        with suppress(IndexError):
            while True:
                epoch, name = self._released.popleft()
                names.setdefault(epoch, []).append(name)
        # What another process held went with it, and its names may mean other things here.
        known = self._link.last_epoch
        gone = names.get(known, [])
        contents = []
        for first in range(0, len(gone) or 1, _MOST):
            content: dict[str, Any] = {"lease": LEASE, "release": gone[first : first + _MOST]}
            if gone and known is not None:
                content["epoch"] = known
            contents.append(pack_json(content))
        return contents


def _ignore(answer: Received | BaseException) -> None:
    """A slot for replies that tell nothing."""


class ThreadKeeper(Keeper):
    """The blocking client's: a daemon thread, which ends when nothing is held."""

    def __init__(self, link: Link, turns: Turns) -> None:
        super().__init__(link)
        self._turns = turns
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        #: Held but when the thread is to wake up.
        self._asleep = allocate_lock()
        self._asleep.acquire()

    def _begin(self) -> None:
        if self._thread is None and not self._is_closed:
            with Shield(), self._lock:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="snakekernel-keeper", daemon=True)
                    self._thread = thread
                    thread.start()

    def _run(self) -> None:
        answer: Any = None
        asked = 0.0
        while not self._is_closed:
            self._asleep.acquire(True, _EVERY)
            if self._is_closed or self._is_over():
                return
            with suppress(KernelLost):
                is_late = time.monotonic() - asked > _PATIENCE
                if self._released or self._unsent or answer is None or answer.done() or is_late:
                    asked = time.monotonic()
                    answer = self._ask()
                self._turns.look()

    def _is_over(self) -> bool:
        """Whether this thread ends; whoever holds something afterwards starts another."""
        if not self._is_idle():
            return False
        thread, self._thread = self._thread, None
        if not self._changes:
            return True
        with self._lock:
            # Somebody came in between, and has started another or seen this one.
            if self._thread is not None:
                return True
            self._thread = thread
            return False

    def _hurry(self) -> None:
        with suppress(RuntimeError):
            # Raised where it is awake already.
            self._asleep.release()

    def _ask(self) -> Any:
        self._send_unsent()
        future = None
        for content in self._contents():
            message = self._link.message(request_type("renew"), content, channel="control")
            future = self._turns.request(message, "renew", whole)
        return future

    def _tell(self) -> None:
        with suppress(KernelLost):
            self._ask()

    def close(self) -> None:
        """Ask no more; the client is being closed. Idempotent."""
        self._is_closed = True
        self._hurry()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and not self._link.is_foreign():
            thread.join()


class LoopKeeper(Keeper):
    """The async client's: a timer of its event loop.

    Args:
        send: sends a request's message; returns a future of its reply.
    """

    def __init__(self, link: Link, loop: asyncio.AbstractEventLoop, send: Any) -> None:
        super().__init__(link)
        self._loop = loop
        self._send = send
        self._timer: asyncio.TimerHandle | None = None
        self._is_ticking = False
        self._answer: asyncio.Future[Any] | None = None
        self._asked = 0.0

    def _begin(self) -> None:
        if not self._is_ticking and not self._is_closed:
            self._is_ticking = True
            self._loop.call_soon_threadsafe(self._wait)

    def _wait(self) -> None:
        if not self._is_closed:
            self._timer = self._loop.call_later(_EVERY, self._tick)

    def _tick(self) -> None:
        if self._is_idle():
            self._is_ticking = False
            # Somebody may have come in between and seen it tick.
            if self._changes:
                self._begin()
            return
        is_late = self._loop.time() - self._asked > _PATIENCE
        if self._released or self._unsent or self._answer is None or self._answer.done() or is_late:
            self._asked = self._loop.time()
            self._tell()
        self._wait()

    def _hurry(self) -> None:
        with suppress(RuntimeError):
            # Raised where the loop is closed, and with it the client's connection.
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        # Elsewhere the next tick tells.
        if is_here:
            with suppress(KernelLost):
                self._send_unsent()
                for content in self._contents():
                    message = self._link.message(request_type("renew"), content, channel="control")
                    self._answer = self._send(message)

    def close(self) -> None:
        """Ask no more; the client is being closed. Idempotent."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
