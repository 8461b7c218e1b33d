"""The blocking client: ``with snakekernel.start() as snake: …``.

Rules: threads may share a client. One of the threads that wait reads the sockets for all (the leader); when
it has its own reply it wakes another to lead. A lost kernel ends every wait at once.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import IO, Any, Final

from ..errors import KernelLost, NotASnakeKernel, ReplyTimeout, from_reply
from ..memory.exchange import FROM_BYTES
from ..wire.frame import check_buffers, unpack_object
from ..wire.names import FEATURE, PROTOCOL_VERSION, request_type
from ..wire.path import Item
from .connection import find
from .launch import Launch
from .link import GONE, Channel, Link, Pipe, Received
from .operations import Operations
from .payload import Finish
from .proxy import StoredProxy
from .watch import Watch

#: Seconds that operations on control may take: they run no user code.
CONTROL_TIMEOUT: Final = 30.0
#: Seconds before a kernel that does not answer ours is asked what it is.
_ASK_AFTER: Final = 0.5
_NOT_STARTED: Final = "The kernel's process ended before it answered; what it wrote tells why."


def read_reply(received: Received) -> dict[str, Any]:
    """The content of a reply; raises the exception that an error reply stands for."""
    check_buffers(unpack_object(received.metadata), received.buffers, required=False)
    content = unpack_object(received.content)
    if content.get("status") != "ok":
        raise from_reply(content)
    return content


def check_identity(content: dict[str, Any]) -> None:
    """Raise NotASnakeKernel where a ping's or kernel info's details are not of our major version."""
    version = str(content.get("protocol_version", "0"))
    if version.partition(".")[0] != PROTOCOL_VERSION.partition(".")[0]:
        raise NotASnakeKernel(
            f"The kernel speaks version {version} of the protocol, this client {PROTOCOL_VERSION}. "
            "Install matching versions of snakekernel on both sides."
        )


def check_kernel_info(content: dict[str, Any]) -> None:
    """Raise NotASnakeKernel where a kernel info reply is not of a kernel of ours."""
    if FEATURE not in content:
        name = content.get("implementation") or "unknown"
        raise NotASnakeKernel(
            f"The kernel there is a plain {name} kernel and does not serve the snake protocol. "
            "Start one with snakekernel.start(), or choose the kernelspec 'snakekernel'."
        )
    check_identity(content[FEATURE])


class _Waiter:
    __slots__ = ("event", "msg_id", "result")

    def __init__(self) -> None:
        # Made by a thread that has to wait for another to lead; most calls never do.
        self.event: threading.Event | None = None
        self.msg_id = ""
        self.result: Received | BaseException | None = None


class Client(Operations):
    """A blocking client of one kernel; made by ``start`` or ``connect``.

    Attributes:
        manager: the kernel's manager where this client started it, else None.
    """

    def __init__(self, link: Link, launch: Launch | None = None) -> None:
        self._link = link
        self._launch = launch
        self._pipe = Pipe()
        self._leading = threading.Lock()
        self._leader: _Waiter | None = None
        self._leading_thread: int | None = None
        self._waiting: dict[_Waiter, None] = {}
        self._selector = self._new_selector()
        self._watch = None
        if launch is not None:
            self._watch = Watch(launch.manager, self._watch_descriptor, self._selector.unregister)

    def _new_selector(self) -> selectors.BaseSelector:
        # epoll would cost a descriptor; Windows has select only.
        selector: selectors.BaseSelector = getattr(selectors, "PollSelector", selectors.SelectSelector)()
        for descriptor in (*self._link.descriptors(), self._pipe.descriptor):
            selector.register(descriptor, selectors.EVENT_READ)
        return selector

    def _watch_descriptor(self, descriptor: int) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ)

    # -- opening and closing -----------------------------------------------------------------------

    @classmethod
    def start(
        cls,
        kernel_name: str | None = None,
        *,
        transport: str | None = None,
        timeout: float = 60.0,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
        output: int | IO[Any] | None = None,
        shared_memory: int | None = FROM_BYTES,
        **manager_options: Any,
    ) -> Client:
        """Start a kernel and connect to it; leaving the ``with`` block shuts it down.

        Args:
            kernel_name: an installed kernelspec; None starts one in this interpreter's environment.
            transport: ``"ipc"`` (default where there is one) or ``"tcp"``.
            timeout: seconds until it must answer.
            env, cwd: of the kernel process.
            output: what its process writes to stdout and stderr, outside of any call, goes to this file.
            shared_memory: bytes from which a buffer goes through shared memory, where the kernel is on this
                host; None for never.
            manager_options: traits of jupyter_client's KernelManager.
        """
        launch = Launch(kernel_name, transport, asynchronous=False, manager_options=manager_options)
        client = None
        try:
            launch.manager.start_kernel(**launch.process_options(env, cwd, output))
            client = cls(Link(find(launch.manager), shared_memory), launch)
            try:
                client._greet(timeout, launch.manager.is_alive)
            except KernelLost:
                raise KernelLost(_NOT_STARTED) from None
            return client
        except BaseException:
            # Whatever stops us, an interrupt included, no kernel is left behind.
            if client is not None:
                client.close()
            else:
                _end(launch)
            raise

    @classmethod
    def connect(cls, where: Any, *, timeout: float = 10.0, shared_memory: int | None = FROM_BYTES) -> Client:
        """Connect to a running kernel; closing the client leaves the kernel running.

        Args:
            where: path of a connection file, id of a running kernel, or jupyter_client's KernelManager,
                KernelClient or connection-info mapping.
            timeout: seconds until it must answer.
            shared_memory: as for ``start``.

        Raises:
            FileNotFoundError: there is no such kernel. ReplyTimeout: it does not answer.
            NotASnakeKernel: it does not speak this protocol, or another major version.
        """
        client = cls(Link(find(where), shared_memory))
        try:
            client._greet(timeout, lambda: True)
            return client
        except BaseException:
            client.close()
            raise

    def _greet(self, timeout: float, is_alive: Callable[[], bool]) -> None:
        deadline = time.monotonic() + timeout
        waiter = self._request(request_type("ping"), b"{}", (), "control")
        asked: _Waiter | None = None
        while True:
            left = deadline - time.monotonic()
            if self._wait(waiter, min(_ASK_AFTER, max(left, 0))):
                pong = read_reply(_unwrap(waiter))
                check_identity(pong)
                self._link.learn(pong)
                return
            if asked is not None and asked.result is not None:
                check_kernel_info(read_reply(_unwrap(asked)))
            if not is_alive():
                raise KernelLost(GONE)
            if left <= 0:
                raise ReplyTimeout(f"No kernel answers at {self._link.connection!r} within {timeout} s.")
            if asked is None:
                asked = self._request("kernel_info_request", b"{}", (), "control")

    @property
    def manager(self) -> Any:
        """The kernel manager of a kernel that this client started, or None."""
        return None if self._launch is None else self._launch.manager

    @property
    def connection_file(self) -> str | None:
        """Path of the connection file of a kernel that this client started, or None."""
        return None if self._launch is None else str(self._launch.manager.connection_file)

    def close(self) -> None:
        """Close the connection, and shut down a kernel that this client started. Idempotent."""
        self._link.close()
        # The leader is awake now; it must be gone before its descriptors are anybody else's. A signal
        # handler that broke into our own wait cannot wait for it.
        leads_itself = self._leading_thread == threading.get_ident()
        with nullcontext() if leads_itself else self._leading:
            self._pipe.close()
            if self._watch is not None:
                self._watch.close()
            self._selector.close()
        launch, self._launch = self._launch, None
        if launch is not None and launch.is_ours:
            _end(launch)

    def interrupt(self) -> None:
        """Interrupt what the kernel runs on its main thread."""
        # Asked of the kernel itself, not of its manager, whose blocking face makes an event loop for each
        # thread that uses it.
        waiter = self._request("interrupt_request", b"{}", (), "control")
        self._wait(waiter, CONTROL_TIMEOUT)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        session = f" session {self._session_id!r}" if self._session_id else ""
        return f"<snakekernel client of {self._link.connection!r}{session}>"

    @contextmanager
    def session(self, session_id: str | None = None, *, ttl: float | None = None) -> Iterator[Client]:
        """A view of this client in a session of its own, closed with the ``with`` block."""
        opened: str = self.create_session(session_id, ttl=ttl)
        try:
            yield self._in_session(opened)
        finally:
            try:
                self.close_session(opened)
            except KernelLost:
                # The session went with its kernel.
                pass

    # -- requests ----------------------------------------------------------------------------------

    def _submit(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        *,
        channel: Channel,
        timeout: float | None,
    ) -> Any:
        waiter = self._request(request_type(op), content, buffers, channel)
        if timeout is None and channel == "control":
            timeout = CONTROL_TIMEOUT
        try:
            if not self._wait(waiter, timeout):
                raise ReplyTimeout(f"No reply to {op!r} within {timeout} s; it may still run.")
        finally:
            if waiter.result is None:
                self._link.forget(waiter.msg_id)
        received = _unwrap(waiter)
        reply = read_reply(received)
        self._link.learn(reply)
        return finish(reply, received.buffers)

    def _request(
        self, msg_type: str, content: bytes, buffers: Sequence[memoryview], channel: Channel
    ) -> _Waiter:
        if self._watch is not None:
            self._watch.check()
        waiter = _Waiter()

        def slot(result: Received | BaseException) -> None:
            waiter.result = result
            if waiter.event is not None:
                waiter.event.set()
            if waiter is self._leader:
                # The leader sleeps on descriptors; another thread's send has read its reply.
                self._pipe.wake()

        waiter.msg_id = self._link.request(msg_type, content, slot, buffers=buffers, channel=channel)
        return waiter

    def _wait(self, waiter: _Waiter, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        self._waiting[waiter] = None
        try:
            while waiter.result is None:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                if self._leading.acquire(blocking=False):
                    self._leading_thread = threading.get_ident()
                    try:
                        self._lead(waiter, deadline, self._selector)
                    finally:
                        self._leader = self._leading_thread = None
                        self._leading.release()
                elif self._leading_thread == threading.get_ident():
                    # A signal handler that broke into our own wait: it leads within, and wakes us after.
                    with self._new_selector() as selector:
                        try:
                            self._lead(waiter, deadline, selector)
                        finally:
                            self._pipe.wake()
                elif waiter.event is None:
                    # Whoever leads now sees it when it ends; whoever ended before has left the lead free.
                    waiter.event = threading.Event()
                else:
                    waiter.event.wait(left)
                    if waiter.result is None:
                        # Woken to lead, not by a reply.
                        waiter.event.clear()
            return True
        finally:
            self._waiting.pop(waiter, None)
            self._promote()

    def _lead(self, waiter: _Waiter, deadline: float | None, selector: selectors.BaseSelector) -> None:
        while True:
            self._leader = waiter
            if waiter.result is not None:
                return
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            # Whoever used the sockets has read what was there: the descriptors tell of all that comes now.
            ready = {key.fd for key, _ in selector.select(left)}
            # From here on it is awake: what it reads itself needs no wake-up.
            self._leader = None
            if self._pipe.descriptor in ready:
                self._pipe.drain()
            self._link.pump()
            if self._watch is not None and self._watch.descriptor in ready:
                self._watch.ended()
                self._link.fail(GONE)

    def _promote(self) -> None:
        for other in list(self._waiting):
            if other.result is None:
                if other.event is not None:
                    other.event.set()
                return

    # -- assignment through proxies ----------------------------------------------------------------

    def _assign(self, path: tuple[Any, ...], value: Any) -> None:
        if len(path) == 2:
            self.store(path[1], value)
        else:
            self.set(list(path), value)

    def _delete(self, path: tuple[Any, ...]) -> None:
        if len(path) == 2:
            self.delete_stored(path[1])
            return
        owner, last = StoredProxy(self, path[1:-1]), path[-1]
        if isinstance(last, Item):
            self.call("operator.delitem", args=[owner, last.key], returns="none")
        else:
            self.call("builtins.delattr", args=[owner, last], returns="none")


def _end(launch: Launch) -> None:
    if launch.manager.has_kernel:
        # Asked first, so that the kernel's own atexit functions run and its children end.
        launch.manager.shutdown_kernel()
    launch.manager.cleanup_resources()
    launch.clean_up()


def _unwrap(waiter: _Waiter) -> Received:
    if isinstance(waiter.result, BaseException):
        raise waiter.result
    assert waiter.result is not None
    return waiter.result
