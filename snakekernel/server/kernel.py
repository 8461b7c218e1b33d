"""A kernel of a pool as Jupyter Server's kernel manager holds it: a place that keeps its id, whatever process
is in it.

Rules: the process is the pool's; this connects to it and says what the server asks. A restart gives it back
and checks another out. Who is told of a restart is told before the connections end. It is busy until all that
it runs at once has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jupyter_client.connect import port_names
from jupyter_client.kernelspec import KernelSpec
from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from traitlets import Bool

from ..pool.pool import KernelPool
from ..pool.session import PoolSession


class ServedKernel(ServerKernelManager):  # type: ignore[misc]  # jupyter_server ships no types for it
    """One kernel id of the server.

    Attributes:
        pool, session_id: whose kernel it is. named: whether it is a session that clients asked for by name.
        handle: the lease of the session; None while nobody uses a named one.
    """

    owns_kernel = Bool(False)

    def __init__(self, pool: KernelPool, session_id: str, named: bool, **options: Any) -> None:
        super().__init__(owns_kernel=False, **options)
        self.pool = pool
        self.session_id = session_id
        self.named = named
        self.handle: PoolSession | None = None
        self.member: Any = None
        #: Held while its process is exchanged or ended.
        self.changing = asyncio.Lock()
        self._running: set[str] = set()
        #: Called when the pool ends the session, whatever for.
        self.on_end: Callable[[], object] = _nothing
        self._told: dict[str, list[Callable[[], object]]] = {"restart": [], "dead": []}

    # -- the process -------------------------------------------------------------------------------

    async def check_out(self, *, again: bool = False) -> None:
        """Have a lease of the session, and be connected to its kernel.

        Args:
            again: in place of a process that it had, which may have to end before the next can start.

        Raises PoolFull, QueueTimeout, PoolClosed, WorkerLost or KernelLost: the pool gives none.
        """
        if self.handle is not None:
            return
        patience = self.pool.queue_timeout
        if again and patience is not None:
            # Neither is a wait for others.
            patience += self.pool.stop_timeout + self.pool.start_timeout
        handle = self.pool.session(self.session_id, queue_timeout=patience)
        await handle.open()
        if self.handle is not None:
            # Somebody else was quicker.
            handle.close()
            return
        handle.on_end = self._ended
        self.handle = handle
        if handle.member is not self.member:
            self.member = handle.member
            # Ports that are set already would be kept.
            for name in port_names:
                setattr(self, name, 0)
            self.load_connection_info(self.member.manager.get_connection_info())
            self._running.clear()
        self.settle(None)

    def unsettle(self) -> None:
        """Its process goes: whoever connects from now on waits for the next."""
        if self.ready.done():
            self._ready = None

    def settle(self, error: Exception | None) -> None:
        """There is a process, or none is to be had."""
        if self.ready.done():
            return
        if error is None:
            self.ready.set_result(None)
        else:
            self.ready.set_exception(error)
            # Read here, for where nobody waits.
            self.ready.exception()

    def let_go(self) -> None:
        """Give the lease back; the session lives on for its time."""
        handle, self.handle = self.handle, None
        if handle is not None:
            handle.close()

    def _ended(self) -> None:
        self.handle = None
        self.unsettle()
        self.on_end()

    def saw(self, state: str, request: str) -> None:
        """The kernel told that it is ``busy`` or ``idle`` with a request, by its id."""
        if state == "busy":
            self._running.add(request)
        else:
            self._running.discard(request)
        self.execution_state = "busy" if self._running else state

    def replied(self, parent: Callable[[], str]) -> None:
        """The kernel replied to a request; the message that it is idle may be lost in much output."""
        if self._running:
            self.saw("idle", parent())

    @property
    def is_over(self) -> bool:
        """Whether the process can be used no more."""
        return self.member is None or self.member.is_ending

    async def give_back(self) -> None:
        """End the session and its kernel."""
        self.on_end = _nothing
        self.handle = None
        await self.pool.close_session(self.session_id)

    # -- what the server asks ----------------------------------------------------------------------

    @property
    def has_kernel(self) -> bool:
        """As stock."""
        return not self.is_over

    @property
    def kernel_spec(self) -> KernelSpec:
        """As stock."""
        spec: KernelSpec = self.kernel_spec_manager.get_kernel_spec(self.kernel_name)
        return spec

    async def is_alive(self) -> bool:
        """As stock."""
        return not self.is_over

    async def interrupt_kernel(self) -> None:
        """As stock."""
        if not self.is_over:
            await self.member.manager.interrupt_kernel()

    async def signal_kernel(self, signum: int) -> None:
        """As stock."""
        if not self.is_over:
            await self.member.manager.signal_kernel(signum)

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """As stock: the kernel goes back to the pool, which ends it."""
        await self.give_back()

    def add_restart_callback(self, callback: Callable[[], object], event: str = "restart") -> None:
        """As stock."""
        self._told[event].append(callback)

    def remove_restart_callback(self, callback: Callable[[], object], event: str = "restart") -> None:
        """As stock."""
        with suppress(ValueError):
            self._told[event].remove(callback)

    def tell(self, event: str) -> None:
        """Tell those who asked for it of a ``restart``, or that the kernel is ``dead``."""
        for callback in tuple(self._told[event]):
            callback()


def _nothing() -> None:
    return
