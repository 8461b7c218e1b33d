"""The blocking client: ``with snakekernel.start() as snake: …``.

Rules: threads may share a client; how they wait is in ``waiting``. A lost kernel ends every wait at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, Final

from ..errors import KernelLost, ReplyTimeout
from ..memory.exchange import FROM_BYTES
from ..wire.names import request_type
from .batch import Batch
from .calls_back import ThreadFunctions
from .connection import find
from .future import Future
from .greeting import ASK_AFTER, check_identity, check_kernel_info, not_started, patience
from .hanging import Hanging, OnHang
from .hearing import Outputs, begin_heard, stop_hearing
from .keeper import ThreadKeeper
from .lanes import Spare
from .launch import Launch
from .link import Link
from .message import Channel, Message
from .parallel import Parallel
from .payload import Finish, whole
from .record import Record
from .streams import Stream
from .unwanted import unwanted
from .waiting import Turns
from .websocket_link import bridge_to, bridged

if TYPE_CHECKING:
    from .websocket import Bridge

#: Seconds that operations on control may take: they run no user code.
CONTROL_TIMEOUT: Final = 30.0


class Client(Hanging, Parallel):
    """A blocking client of one kernel; made by ``start`` or ``connect``.

    A signal handler may use it while its thread waits. Where the handler breaks into the sending or reading
    of a message it gets a RuntimeError.

    Attributes:
        manager: the kernel's manager where this client started it, else None.
    """

    def __init__(self, link: Link, launch: Launch | None = None) -> None:
        self._link = link
        self._launch = launch
        self._turns = Turns(link, launch)
        self._keeper = ThreadKeeper(link, self._turns)
        self._functions = link.functions = ThreadFunctions(self, link, self._turns)
        self._spare = Spare()
        self._bridge: Bridge | None = None

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
        on_hang: OnHang = "tell",
        sandbox: bool | Mapping[str, Any] = False,
        durable: str | PathLike[str] | None = None,
        restore: bool = False,
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
            on_hang: what becomes of a kernel that does not stop a call at its deadline: ``"tell"`` raises
                KernelHung alone, ``"kill"`` interrupts the kernel and kills it where that does not help.
            sandbox: True for a kernel that sees next to nothing of this machine (Linux, bubblewrap); a
                mapping has settings, such as ``{"read_only": ["/data"]}``.
            durable: the file of durable objects, a name or a path; None: what the environment says, or none.
            restore: whether what that file holds is stored again when the kernel starts, and restarts.
            manager_options: traits of jupyter_client's KernelManager.
        """
        launch = Launch(
            kernel_name, transport, asynchronous=False, sandbox=sandbox, manager_options=manager_options
        )
        client = None
        try:
            launch.manager.start_kernel(**launch.process_options(env, cwd, output, durable, restore))
            client = cls(Link(find(launch.manager), shared_memory), launch)
            client._on_hang = on_hang
            try:
                client._greet(timeout, launch.manager.is_alive)
            except KernelLost as error:
                raise not_started(error) from None
            return client
        except BaseException:
            # Whatever stops us, an interrupt included, no kernel is left behind.
            if client is not None:
                client.close()
            else:
                launch.end()
            raise

    @classmethod
    def connect(
        cls,
        where: Any,
        *,
        timeout: float | None = None,
        shared_memory: int | None = FROM_BYTES,
        token: str | None = None,
        kernel_name: str | None = None,
        session: str | None = None,
        pool: str | None = None,
        ca_file: str | None = None,
        verify: bool = True,
    ) -> Client:
        """Connect to a running kernel, or to one behind a Jupyter Server.

        Closing the client leaves the kernel running, but for one that a server started for it.

        Args:
            where: path of a connection file, id of a running kernel, or jupyter_client's KernelManager,
                KernelClient or connection-info mapping; or the address of a Jupyter Server, which starts a
                kernel, or of one of its kernels, ``https://host:8888/api/kernels/<id>``.
            timeout: seconds until it must answer; 10 by default, 60 behind a server.
            shared_memory: as for ``start``; never used behind a server.
            token: what the server lets us in for; sent in a header only.
            kernel_name: the kernelspec that the server starts, or the pool of ``snakekernel serve``.
            session, pool: a named session of a pool of ``snakekernel serve``: whoever gives the same name
                gets the same kernel, which stays for the session's next client.
            ca_file: certificates that the server's may be signed by. verify: False trusts any.

        Raises:
            FileNotFoundError: there is no such kernel. ReplyTimeout: it does not answer.
            NotASnakeKernel: it does not speak this protocol, or another major version.
            Denied: the server does not know the token. KernelLost: no server answers, or not a trusted one.
        """
        bridge = bridge_to(
            where,
            token=token,
            kernel_name=kernel_name,
            session=session,
            pool=pool,
            ca_file=ca_file,
            verify=verify,
        )
        timeout = patience(timeout, bridge)
        client = None
        try:
            if bridge is not None:
                bridge.wait_until_open(timeout)
            client = cls(Link(find(where), shared_memory) if bridge is None else bridged(bridge))
            client._bridge = bridge
            client._greet(timeout, lambda: True)
            return client
        except BaseException:
            if client is not None:
                client.close()
            elif bridge is not None:
                bridge.close()
            raise

    def _greet(self, timeout: float, is_alive: Callable[[], bool]) -> None:
        deadline = time.monotonic() + timeout
        pinged = self._on_control(request_type("ping"))
        asked: Future | None = None
        while True:
            left = deadline - time.monotonic()
            if self._turns.wait(pinged, min(ASK_AFTER, max(left, 0))):
                check_identity(pinged.result())
                return
            if asked is not None and asked.done():
                check_kernel_info(asked.result())
            if not is_alive():
                raise self._link.lost()
            if left <= 0:
                raise ReplyTimeout(f"No kernel answers at {self._link.connection!r} within {timeout} s.")
            if asked is None:
                asked = self._on_control("kernel_info_request")

    def _on_control(self, msg_type: str) -> Future:
        return self._turns.request(self._link.message(msg_type, b"{}", channel="control"), msg_type, whole)

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
        self._link.check_free()
        try:
            try:
                if self._launch is None:
                    self._close_spare()
            finally:
                self._keeper.close()
                self._link.close()
        finally:
            try:
                self._turns.close()
                self._functions.close()
            finally:
                launch, self._launch = self._launch, None
                try:
                    if launch is not None and launch.is_ours:
                        launch.end()
                finally:
                    if self._bridge is not None:
                        self._bridge.close()

    def interrupt(self) -> None:
        """Interrupt what the kernel runs on its main thread."""
        # Asked of the kernel itself, not of its manager, whose blocking face makes an event loop for each
        # thread that uses it.
        self._on_control("interrupt_request").result(CONTROL_TIMEOUT)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        session = f" session {self._session_id!r}" if self._session_id else ""
        return f"<snakekernel client of {self._link.connection!r}{session}>"

    @contextmanager
    def session(
        self,
        session_id: str | None = None,
        *,
        ttl: float | None = None,
        quota: Mapping[str, int] | None = None,
    ) -> Iterator[Client]:
        """A view of this client in a session of its own, closed with the ``with`` block."""
        opened: str = self.create_session(session_id, ttl=ttl, quota=quota)
        try:
            yield self._in_session(opened)
        finally:
            try:
                self.close_session(opened)
            except KernelLost:
                # The session went with its kernel.
                pass

    def batch(self, *, timeout: float | None = None, session_id: str | None = None) -> Batch:
        """Collect operations and send them together when the block ends: ``with snake.batch() as batch: …``.

        Args:
            timeout: seconds to wait for all results; None waits as long as the kernel lives.
            session_id: the session whose namespace is used.
        """
        return Batch(self._in_session(session_id), timeout)

    def record(self, *, timeout: float | None = None, session_id: str | None = None) -> Record:
        """Note what is done with objects of the kernel and send it as one message when the block ends:
        ``with snake.record() as r: total = r.modules.pandas.read_csv("x.csv")["v"].sum()``.

        Args:
            timeout, session_id: as for ``batch``.
        """
        return Record(self._in_session(session_id), timeout)

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
        if timeout is None and channel == "control":
            timeout = CONTROL_TIMEOUT
        message, lane = self._routed(op, content, buffers, channel)
        turns = self._functions if self._functions.any else self._turns
        if lane is None:
            return turns.call(message, op, finish, timeout)
        try:
            return turns.call(message, op, finish, timeout)
        finally:
            lane.leave()

    def _number_of(self, future: Any) -> int:
        if not isinstance(future, Future | Stream) or future._turns is not self._turns:
            raise TypeError(f"a call id, or a future or stream of this client, is needed, not {future!r}")
        return future._number

    def _begin(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        outputs: Outputs | None = None,
    ) -> Future:
        message, lane = self._routed(op, content, buffers, keep=True)
        begin = partial(self._begun, message, op, finish, outputs)
        return begin() if lane is None else lane.send(begin)

    def _begun(self, message: Message, op: str, finish: Finish, outputs: Outputs | None) -> Future:
        if outputs is None:
            return self._turns.request(message, op, finish)
        return begin_heard(self._turns, message, op, finish, outputs)

    def _streamed(
        self,
        content: bytes,
        buffers: Sequence[memoryview],
        credit: int,
        timeout: float | None,
        outputs: Outputs | None,
    ) -> Stream:
        message, lane = self._routed("call", content, buffers, keep=True)
        return Stream(self, self._turns, message, lane, credit, timeout, outputs)

    def _listened(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        outputs: Outputs,
        timeout: float | None,
    ) -> Any:
        future = self._begin(op, content, buffers, finish, outputs)
        try:
            return future.result(timeout)
        finally:
            stop_hearing(self._link, future._number)
            outputs.end()
            if future._came is None:
                unwanted(self._link, future._number)
