"""Subshells that clients hold: threads of ipykernel's that serve requests beside the main shell.

Rules: ipykernel's own way to delete one waits for what it runs, and all of the shell waits with it. Here a
subshell that is let go takes nothing new at once, what runs in it is cancelled, what stands before it is
refused, and its thread ends behind that: a message of ours, the last in its queue, tells when. Nobody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ipykernel.subshell_manager import UnknownSubshellError

from ..commands.dispatch import Run
from ..wire.errors import LimitExceeded, NotFound, Unsupported
from ..wire.frame import BadFrame
from .incoming import Incoming
from .outgoing import RequesterOf, frames_to
from .serving import Serving, admitted

if TYPE_CHECKING:
    from .kernel import SnakeKernel

#: The last message that a subshell gets.
_END: Final = b"snakekernel: end of this subshell"
#: Each takes a thread and a dozen file descriptors, of which a process may have 1,024.
MOST: Final = 64


class Subshells:
    """The subshells opened for clients. ``retire`` may be called on any thread."""

    def __init__(self, kernel: SnakeKernel) -> None:
        self._kernel = kernel
        self._open: set[str] = set()
        #: What each of them serves.
        self._runs: dict[str, Run] = {}
        #: Those let go, until their thread has ended.
        self._ending: dict[str, Future[None]] = {}

    def start(self) -> None:
        """Have what is let go found by nobody any more; on the main thread, before requests come."""
        if self._kernel.shell_channel_thread is None:
            return
        manager = self._kernel.shell_channel_thread.manager
        find = manager.get_shell_channel_to_subshell_socket

        def find_open(subshell_id: str | None) -> Any:
            if subshell_id in self._ending:
                raise UnknownSubshellError(subshell_id)
            return find(subshell_id)

        manager.get_shell_channel_to_subshell_socket = find_open
        self._find = find

    async def open(self, count: int) -> list[str]:
        """Open some more; returns their ids.

        Raises Unsupported in a kernel without subshells, and LimitExceeded where there would be too many.
        """
        thread = self._kernel.shell_channel_thread
        if thread is None:
            raise Unsupported("This kernel has no subshells.", at="$")
        return await asyncio.wrap_future(self._on_channel(lambda: self._opened(thread.manager, count)))

    def _opened(self, manager: Any, count: int) -> list[str]:
        # On the channel thread, so that two clients are counted one after the other.
        there = len(self._open) + len(self._ending)
        if there + count > MOST:
            raise LimitExceeded(f"There are {there} subshells, and {MOST} are the most.", at="$.count")
        ids: list[str] = []
        try:
            for _ in range(count):
                ids.append(manager._create_subshell())
        finally:
            # Those that were made are let go where one cannot be: there may be no more threads.
            self._open.update(ids)
            if len(ids) < count:
                for id in ids:
                    self._retire(id)
        return ids

    def _on_channel(self, function: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # handed to whoever asked
                future.set_exception(error)

        loop = self._kernel.shell_channel_thread.io_loop.asyncio_loop
        loop.call_soon_threadsafe(work)
        return future

    def retire(self, subshell_id: str) -> None:
        """Let one go; where it is gone already, nothing happens."""
        with suppress(RuntimeError):  # the channel's loop is closed: the kernel ends
            self._on_channel(lambda: self._retire(subshell_id))

    def _retire(self, subshell_id: str) -> None:
        if subshell_id not in self._open:
            return
        self._open.discard(subshell_id)
        try:
            socket = self._find(subshell_id)
        except UnknownSubshellError:
            # Deleted by a stock request.
            return
        self._ending[subshell_id] = Future()
        socket.send_multipart([_END])
        self._stop(subshell_id)

    def is_ending(self, subshell_id: str | None) -> bool:
        """Whether a subshell was let go: it begins nothing any more."""
        return subshell_id in self._ending

    async def serve(self, serving: Serving, subshell_id: str) -> None:
        """Serve a request on the subshell's thread."""
        self._runs[subshell_id] = serving.run
        if self.is_ending(subshell_id):
            # Let go just now, when nobody saw that it runs.
            self._stop(subshell_id)
        try:
            await serving.finish(serving.begin())
        finally:
            del self._runs[subshell_id]

    def _stop(self, subshell_id: str) -> None:
        run = self._runs.get(subshell_id)
        if run is not None:
            self._kernel.stopping.stop(run.interrupts, "cancelled")

    def is_end(self, subshell_id: str | None, msg: Sequence[Any]) -> bool:
        """On a subshell's thread: whether a message is its last; then its thread ends."""
        if subshell_id is None or len(msg) != 1 or bytes(msg[0].buffer) != _END:
            return False
        with suppress(RuntimeError):  # the channel's loop is closed: the kernel ends
            self._on_channel(lambda: self._delete(subshell_id))
        return True

    def _delete(self, subshell_id: str) -> None:
        manager = self._kernel.shell_channel_thread.manager
        thread = manager._cache.get(subshell_id)
        if thread is not None:
            # Off the lane its last replies may still be on their way through this thread.
            thread.subshell_to_shell_channel.to_stream.flush()
            with suppress(UnknownSubshellError):
                manager._delete_subshell(subshell_id)
        self._ending.pop(subshell_id).set_result(None)

    def refuse(self, incoming: Incoming, unknown: UnknownSubshellError, stream: Any) -> None:
        """Answer a request for a subshell that is not there."""
        kernel = self._kernel
        try:
            requester = RequesterOf(kernel, incoming, "subshell")
            run = Run(admitted(kernel, incoming), kernel.runtime, "subshell", requester=requester)
        except BadFrame as error:
            kernel.dropped(error)
            return
        refusal = NotFound(
            f"{unknown}; create it first.", at="$header.subshell_id", ename="UnknownSubshellError"
        )
        kernel.callbacks.settle(run.frame, requester)
        packed = run.pack(run.fail(refusal))
        stream.send_multipart(frames_to(kernel, incoming, run.frame.session, run.reply_type, packed))

    async def ended(self, ids: Sequence[str], seconds: float) -> int:
        """Wait until subshells that were let go have ended, for so long at most; how many have not."""

        def waits() -> list[Future[None]]:
            return [self._ending[one] for one in ids if one in self._ending]

        # Asked where they are let go, so that none is missed.
        waiting = await asyncio.wrap_future(self._on_channel(waits))
        if not waiting:
            return 0
        _, busy = await asyncio.wait(map(asyncio.wrap_future, waiting), timeout=seconds)
        return len(busy)
