"""The server's kernel manager: each kernel that it starts is checked out of a pool.

Rules: what the pool keeps ready is not seen here. A kernel that is shut down, culled or restarted goes back
to the pool, which ends it and never gives it to another. A named session is held while somebody is connected
to it; when the pool has ended it, nobody sees it any more. A kernel that dies is replaced under the same id,
but for a named session, which a client opens anew.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final, Never
from weakref import WeakValueDictionary

import zmq
from jupyter_client.session import Session
from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web
from tornado.ioloop import PeriodicCallback
from traitlets import Instance, default

from ..client.websocket_address import PASSING
from ..errors import InvalidRequest, PoolClosed, PoolFull, QueueTimeout, SnakeError, WorkerLost
from .connection import ServedConnection
from .kernel import ServedKernel
from .pools import DEFAULT, Pools

#: Seconds for whoever opened a named session to connect, and between two looks at what the pool has ended.
_GRACE, _EVERY = 30.0, 5.0
_STATUS: Final[dict[type[SnakeError], int]] = {
    PoolFull: 429,
    QueueTimeout: 503,
    PoolClosed: 503,
    InvalidRequest: 400,
}


def refuse(error: SnakeError) -> Never:
    """Answer a request with what the pool refused with; our clients raise it again by its name."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    raise web.HTTPError(status, str(error), reason=type(error).__name__) from None


class ServedKernels(AsyncMappingKernelManager):  # type: ignore[misc]  # jupyter_server ships no types for it
    """Jupyter Server's kernels, out of pools."""

    pools: Any = Instance(Pools)

    @default("pools")
    def _of_the_server(self) -> Pools:
        pools: Pools = self.parent.served
        return pools

    @default("default_kernel_name")
    def _of_the_default_pool(self) -> str:
        return DEFAULT

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Of all sockets to kernels: at its high-water mark iopub would drop what a call puts out.
        self.context.setsockopt(zmq.RCVHWM, 0)
        self.context.setsockopt(zmq.SNDHWM, 0)
        self._tasks: set[asyncio.Task[Any]] = set()
        #: By pool and session, for as long as somebody opens it: no session waits for another.
        self._opening: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._sweeping = PeriodicCallback(self._sweep, 1000 * _EVERY)
        #: Whether kernels that end are not replaced any more.
        self.is_draining = False

    # -- starting and ending -----------------------------------------------------------------------

    async def _async_start_kernel(
        self,
        *,
        kernel_id: str | None = None,
        path: Any = None,
        kernel_name: str | None = None,
        **options: Any,
    ) -> str:
        """As stock: the id of a kernel of the pool of that name."""
        if kernel_id is not None and kernel_id in self:
            return kernel_id
        kernel_id = kernel_id or str(uuid.uuid4())
        kernel = await self._check_out(kernel_id, kernel_name or DEFAULT, f"kernel-{uuid.uuid4().hex}", False)
        if path is not None:
            # Where the notebook is, as a kernel that is started for it would be; not there on other hosts.
            with suppress(SnakeError):
                await kernel.member.client.call("os.chdir", args=[self.cwd_for_path(path)], returns="none")
        return kernel_id

    start_kernel = _async_start_kernel

    async def open_session(self, pool_name: str, session_id: str) -> str:
        """The id of the kernel of a named session, which is opened where it is not yet."""
        lock = self._opening.setdefault((pool_name, session_id), asyncio.Lock())
        async with lock:
            self._sweep()
            for kernel_id, kernel in list(self._kernels.items()):
                if kernel.named and (kernel.kernel_name, kernel.session_id) == (pool_name, session_id):
                    await self._hold(kernel_id, kernel)
                    return str(kernel_id)
            kernel_id = str(uuid.uuid4())
            kernel = await self._check_out(kernel_id, pool_name, session_id, True)
            self._let_go_later(kernel_id, kernel)
            return kernel_id

    async def close_session(self, pool_name: str, session_id: str) -> None:
        """End a named session, if there is one."""
        for kernel_id, kernel in list(self._kernels.items()):
            if kernel.named and (kernel.kernel_name, kernel.session_id) == (pool_name, session_id):
                await self.shutdown_kernel(kernel_id)

    async def _check_out(self, kernel_id: str, name: str, session_id: str, named: bool) -> ServedKernel:
        if self.is_draining:
            refuse(PoolClosed("The server is told to stop; nothing was started."))
        try:
            pool = await self.pools.find(name)
        except KeyError:
            raise web.HTTPError(404, f"There is no pool {name!r}") from None
        kernel = ServedKernel(
            pool,
            session_id,
            named,
            parent=self,
            context=self.context,
            log=self.log,
            kernel_name=name,
            kernel_spec_manager=self.kernel_spec_manager,
        )
        kernel.kernel_id = kernel_id
        try:
            await kernel.check_out()
        except SnakeError as error:
            refuse(error)
        self._kernels[kernel_id] = kernel
        self._kernel_connections[kernel_id] = 0
        self._begin(kernel_id, kernel)
        if not self._initialized_culler:
            self.initialize_culler()
        if not self._sweeping.is_running():
            self._sweeping.start()
        return kernel

    async def _async_shutdown_kernel(self, kernel_id: str, now: bool = False, restart: bool = False) -> None:
        self._check_kernel_id(kernel_id)
        kernel = self._kernels[kernel_id]
        self._forget(kernel_id)
        await kernel.give_back()
        self.last_kernel_activity = utcnow()

    shutdown_kernel = _async_shutdown_kernel

    async def _async_restart_kernel(self, kernel_id: str, now: bool = False) -> None:
        """As stock: another kernel of the pool, fresh, under the same id."""
        self._check_kernel_id(kernel_id)
        kernel = self._kernels[kernel_id]
        async with kernel.changing:
            # It may be gone meanwhile.
            self._check_kernel_id(kernel_id)
            kernel.unsettle()
            await kernel.give_back()
            await self._replace(kernel_id, kernel)

    restart_kernel = _async_restart_kernel

    async def _async_shutdown_all(self, now: bool = False) -> None:
        self.is_draining = True
        self._sweeping.stop()
        for task in self._tasks:
            task.cancel()
        for kernel_id in list(self._kernels):
            self._forget(kernel_id)
        await self.pools.close()

    shutdown_all = _async_shutdown_all

    # -- ends that nobody asked for ----------------------------------------------------------------

    async def _ended(self, kernel_id: str, kernel: ServedKernel) -> None:
        async with kernel.changing:
            if self._kernels.get(kernel_id) is not kernel or self.is_draining or kernel.handle is not None:
                # Or somebody restarted it meanwhile.
                return
            self.log.warning("Kernel %s ended: %s", kernel_id, kernel.member.why or "its session is over")
            if kernel.named:
                kernel.settle(WorkerLost("The session's kernel is gone."))
                self._forget(kernel_id)
                return
            try:
                await self._replace(kernel_id, kernel)
            except web.HTTPError as error:
                self.log.warning("Kernel %s is not replaced: %s", kernel_id, error.log_message)

    async def _replace(self, kernel_id: str, kernel: ServedKernel) -> None:
        """A fresh process under the same id; whoever was connected is told and connects again."""
        kernel.execution_state = "restarting"
        kernel.tell("restart")
        self.stop_watching_activity(kernel_id)
        self._disconnect(kernel_id)
        if not kernel.named:
            kernel.session_id = f"kernel-{uuid.uuid4().hex}"
        kernel.handle = None
        # What was learned of the process before.
        kernel.__dict__.pop("_kernel_info_future", None)
        try:
            await kernel.check_out(again=True)
        except SnakeError as error:
            kernel.execution_state = "dead"
            kernel.settle(error)
            kernel.tell("dead")
            if self._kernels.get(kernel_id) is kernel:
                self._forget(kernel_id)
            refuse(error)
        await self._check_still_there(kernel_id, kernel)
        self._begin(kernel_id, kernel)

    async def _check_still_there(self, kernel_id: str, kernel: ServedKernel) -> None:
        """Raise HTTPError where it was shut down while a process was checked out for it, which ends."""
        if self._kernels.get(kernel_id) is not kernel:
            await kernel.give_back()
            raise web.HTTPError(404, f"Kernel does not exist: {kernel_id}")

    def _begin(self, kernel_id: str, kernel: ServedKernel) -> None:
        kernel.on_end = lambda: self._spawn(self._ended(kernel_id, kernel))
        self._kernel_ports[kernel_id] = kernel.ports
        # It answered before it was given.
        kernel.execution_state = "idle"
        self.start_watching_activity(kernel_id)
        self.last_kernel_activity = utcnow()

    def start_watching_activity(self, kernel_id: str) -> None:
        """As stock, but for kernels that do several things at once."""
        super().start_watching_activity(kernel_id)
        kernel = self._kernels[kernel_id]
        session = Session(config=kernel.session.config, key=kernel.session.key)
        kernel._activity_stream.on_recv(partial(self._saw, kernel, session))

    def _saw(self, kernel: ServedKernel, session: Session, frames: list[bytes]) -> None:
        message = session.deserialize(session.feed_identities(frames)[1], content=False)
        kind, parent = message["msg_type"], message["parent_header"]
        is_tracked = self.track_message_type(parent.get("msg_type"))
        if is_tracked or self.track_message_type(kind) or kernel.execution_state == "busy":
            self.last_kernel_activity = kernel.last_activity = utcnow()
        if kind == "status" and is_tracked:
            kernel.saw(session.unpack(message["content"])["execution_state"], parent.get("msg_id", ""))

    def _forget(self, kernel_id: str) -> None:
        """Nothing of it is seen any more; whoever is connected is disconnected."""
        self._disconnect(kernel_id)
        self.stop_watching_activity(kernel_id)
        self.stop_buffering(kernel_id)
        kernel = self._kernels.pop(kernel_id)
        self._kernel_connections.pop(kernel_id, None)
        self._kernel_ports.pop(kernel_id, None)
        kernel.on_end = _nothing

    def _disconnect(self, kernel_id: str) -> None:
        ServedConnection.disconnect_all(kernel_id)

    def _sweep(self) -> None:
        """Look for named sessions that the pool has ended while nobody used them."""
        for kernel_id, kernel in list(self._kernels.items()):
            if kernel.named and kernel.handle is None and kernel.is_over:
                self._forget(kernel_id)

    # -- leases ------------------------------------------------------------------------------------

    async def _hold(self, kernel_id: str, kernel: ServedKernel) -> None:
        before = kernel.member
        try:
            await kernel.check_out()
        except SnakeError as error:
            refuse(error)
        await self._check_still_there(kernel_id, kernel)
        if kernel.member is not before:
            # The session ended just when it was asked for, and was opened anew.
            self.stop_watching_activity(kernel_id)
            self._begin(kernel_id, kernel)
        self._let_go_later(kernel_id, kernel)

    def _let_go_later(self, kernel_id: str, kernel: ServedKernel) -> None:
        """Whoever asked has a moment to connect."""
        asyncio.get_running_loop().call_later(_GRACE, self._let_go, kernel_id, kernel)

    def _let_go(self, kernel_id: str, kernel: ServedKernel) -> None:
        if self._kernels.get(kernel_id) is kernel and not self._kernel_connections.get(kernel_id):
            kernel.let_go()

    async def hold(self, kernel_id: str) -> None:
        """A connection comes: a named session is held from now on. Raises HTTPError where it is over."""
        self._check_kernel_id(kernel_id)
        kernel = self._kernels[kernel_id]
        if kernel.named and kernel.handle is None:
            if kernel.is_over:
                self._forget(kernel_id)
                raise web.HTTPError(404, f"Kernel does not exist: {kernel_id}")
            await self._hold(kernel_id, kernel)

    def notify_connect(self, kernel_id: str) -> None:
        """As stock; a session that was let go of while a busy kernel kept the connection waiting is held."""
        super().notify_connect(kernel_id)
        kernel = self._kernels.get(kernel_id)
        if kernel is not None and kernel.named and kernel.handle is None:
            self._spawn(self._hold_still(kernel_id))

    async def _hold_still(self, kernel_id: str) -> None:
        with suppress(web.HTTPError):
            await self.hold(kernel_id)

    def notify_disconnect(self, kernel_id: str) -> None:
        """As stock; the last one to leave a named session lets go of it."""
        super().notify_disconnect(kernel_id)
        kernel = self._kernels.get(kernel_id)
        if kernel is not None and kernel.named:
            self._let_go(kernel_id, kernel)

    def start_buffering(self, kernel_id: str, session_key: str, channels: Any) -> None:
        """As stock, but for connections that never come back."""
        if f":{PASSING}" in session_key:
            for stream in channels.values():
                stream.close()
            return
        super().start_buffering(kernel_id, session_key, channels)

    # -- draining ----------------------------------------------------------------------------------

    def busy_kernels(self) -> list[str]:
        """The ids of those that run something now, or did a moment ago."""
        now = utcnow()
        return [
            kernel_id
            for kernel_id, kernel in self._kernels.items()
            if kernel.execution_state == "busy" or (now - kernel.last_activity).total_seconds() < _MOMENT
        ]

    def disconnect_idle(self) -> list[str]:
        """Disconnect whoever is connected to a kernel that runs nothing; the ids of those that do."""
        busy = self.busy_kernels()
        for kernel_id in self._kernels:
            if kernel_id not in busy:
                self._disconnect(kernel_id)
        return busy

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


#: Seconds without any message after which a kernel that tells of nothing runs nothing.
_MOMENT: Final = 0.2


def _nothing() -> None:
    return
