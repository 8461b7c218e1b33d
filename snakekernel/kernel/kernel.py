"""The kernel: ipykernel's, with our messages served beside the notebook's.

Rules: this class only wires. A frame of ours is recognised by its header before stock dispatch unpacks
anything, runs through ``commands.dispatch`` on the thread it came to, and is answered through the stream of
that thread; everything else goes the stock way untouched. Our requests keep the order of their channel,
for dispatch is entered under ipykernel's own lock.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import sys
import threading
import time
from _signal import signal as swap_handler  # type: ignore[import-not-found]  # typeshed leaves it out
from collections.abc import Callable
from typing import Any, Final

from ipykernel.ipkernel import IPythonKernel
from ipykernel.subshell_manager import UnknownSubshellError
from traitlets import Bool, Float, Integer, List, Unicode

from .._version import __version__
from ..commands.dispatch import Outcome, Run
from ..commands.interrupts import Interrupts
from ..commands.outcomes import Packed
from ..commands.runtime import Runtime
from ..objects.policy import TargetPolicy
from ..objects.secrets import Secrets
from ..objects.sessions import SessionTable
from ..objects.store import Store
from ..plugins.load import CommandTable, PluginTable
from ..wire.errors import NotFound
from ..wire.frame import DELIMITER, BadFrame, Frame, unpack_header
from ..wire.names import CHANGED, COMM_TARGET, FEATURE, PROTOCOL_VERSION, Door, is_ours
from .activity import Activities
from .awaiting import awaited
from .changes import ChangeFeed
from .door import InspectorDoor
from .logs import keep_secrets_out
from .namespace import StoredNamespace, forget_outputs
from .session import KernelSession

_SIGINT: Final = int(signal.SIGINT)
_OURS: Final = b'"snake_'
#: JSON may spell any letter so.
_ESCAPED: Final = b"\\u"
_INLINE: Final = "matplotlib_inline.backend_inline"
#: Identities, the five signed parts, and the buffers as they came.
_Parts = tuple[list[bytes], list[bytes], list[Any]]


class SnakeKernel(IPythonKernel):  # type: ignore[misc]  # ipykernel ships no types that mypy can follow
    """A Python notebook kernel that also serves the snake protocol."""

    implementation = "snakekernel"
    implementation_version = __version__

    default_session_ttl = Float(
        3600.0, allow_none=True, help="Seconds that an unused session lives; None for no end."
    ).tag(config=True)
    max_sessions = Integer(10_000, help="How many sessions there may be at once.").tag(config=True)
    max_objects = Integer(1_000_000, help="How many objects may be stored at once.").tag(config=True)
    auto_sessions = Bool(
        True, help="Whether naming an unknown session in call, store or pipeline opens it."
    ).tag(config=True)
    allow_targets = List(
        Unicode(),
        ["*"],
        help="Shell patterns of importable targets that may be called. A guard rail, not a sandbox.",
    ).tag(config=True)
    deny_targets = List(
        Unicode(), [], help="Shell patterns of importable targets that may not be called."
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._main_loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._expiry: asyncio.TimerHandle | None = None
        self._expiry_due: float | None = None
        secrets = Secrets()
        keep_secrets_out(secrets)
        self._activities = Activities(lambda state, parent: self._publish_status(state, "shell", parent))
        if self.session is not None:
            KernelSession.adopt(self.session, self._activities, secrets)
        changes = ChangeFeed(self._call_later_on_control, self._publish_changed)
        self.runtime = Runtime(
            table=CommandTable(),
            frameworks=PluginTable(),
            clock=time.time,
            store=Store(on_drop=self._drop, on_change=changes, max_objects=self.max_objects),
            sessions=SessionTable(default_ttl=self.default_session_ttl, max_sessions=self.max_sessions),
            secrets=secrets,
            policy=TargetPolicy(allow=self.allow_targets, deny=self.deny_targets),
            auto_sessions=self.auto_sessions,
            buffers_bound=self._is_plain_tcp and not self._is_loopback,
            user_namespace=lambda: self.shell.user_ns,
            on_main=self._on_main,
        )
        self.stored = StoredNamespace(self.runtime.store, time.time, self._notebook_writer)
        self._offer_stored()
        # %reset clears the variables; the store outlives it and its name is put back.
        self.shell.events.register("post_execute", self._offer_stored)
        door = InspectorDoor(self.runtime, self._guarded)
        self.comm_manager.register_target(COMM_TARGET, door.opened)

    def start(self) -> None:
        """Start serving."""
        super().start()
        # Not asyncio's current loop: a kernel embedded in another program may find none set.
        self._main_loop = self.io_loop.asyncio_loop

    # -- what clients are told ---------------------------------------------------------------------

    @property
    def kernel_info(self) -> dict[str, Any]:
        """Jupyter's kernel info with our feature and its details."""
        info: dict[str, Any] = super().kernel_info
        info["supported_features"] = [*info["supported_features"], FEATURE]
        info[FEATURE] = {
            "protocol_version": PROTOCOL_VERSION,
            "operations": sorted(self.runtime.table),
            "frameworks": self.runtime.frameworks.available(),
            "version": __version__,
            "epoch": self.runtime.epoch,
        }
        return info

    # -- the seam with ipykernel -------------------------------------------------------------------

    async def shell_channel_thread_main(self, msg: list[Any]) -> None:
        """Route ours by a glance at the header: whoever serves a frame verifies it, once."""
        parts = self._ours(msg)
        if parts is None:
            await super().shell_channel_thread_main(msg)
            return
        async with self.shell_channel_thread.asyncio_lock:
            subshell_id = unpack_header(parts[1][1]).subshell_id
            try:
                if not isinstance(subshell_id, str | None):
                    raise UnknownSubshellError(subshell_id)
                socket = self.shell_channel_thread.manager.get_shell_channel_to_subshell_socket(subshell_id)
            except UnknownSubshellError as error:
                self._refuse_subshell(parts, error)
            else:
                socket.send_multipart(msg, copy=False)

    async def dispatch_shell(
        self, msg: list[Any], /, subshell_id: str | None = None, *, concurrent: bool = False
    ) -> None:
        """Serve ours here, all else the stock way."""
        parts = self._ours(msg)
        if parts is None:
            await super().dispatch_shell(msg, subshell_id, concurrent=concurrent)
            return
        door: Door = "shell" if subshell_id is None else "subshell"
        try:
            idents, frame, parent = self._admit(*parts)
        except BadFrame as error:
            self._dropped(error)
            return
        if self._supports_kernel_subshells:
            stream = self.shell_channel_thread.manager.get_subshell_to_shell_channel_socket(subshell_id)
        else:
            stream = self.shell_stream
        run = Run(frame, self.runtime, door)
        activity = self._activities.begin(parent)
        on_main = threading.current_thread() is threading.main_thread()
        saved = self._catch_interrupts(run.interrupts) if on_main else None
        try:
            self._adopt_parent(idents, parent)
            step = run.resume()
            while not isinstance(step, Outcome):
                step = await awaited(run, step.awaitable)
            self._end_if_forked()
            self._flush_output()
            packed = run.pack(step, output=activity.outputs)
            self._reply(stream, idents, run.reply_type, parts[1][1], packed)
        finally:
            self._activities.end(activity)
            if on_main:
                swap_handler(_SIGINT, saved)
            self._arm_expiry()

    async def process_control(self, msg: list[Any]) -> None:
        """Serve ours here, without any status, all else the stock way."""
        parts = self._ours(msg)
        if parts is None:
            await super().process_control(msg)
            return
        try:
            idents, frame, _ = self._admit(*parts)
        except BadFrame as error:
            self._dropped(error)
            return
        run = Run(frame, self.runtime, "control")
        step = run.resume()
        while not isinstance(step, Outcome):
            step = await awaited(run, step.awaitable)
        self._reply(self.control_stream, idents, run.reply_type, parts[1][1], run.pack(step))
        self._arm_expiry()

    def _refuse_subshell(self, parts: _Parts, unknown: UnknownSubshellError) -> None:
        try:
            idents, frame, _ = self._admit(*parts)
        except BadFrame as error:
            self._dropped(error)
            return
        run = Run(frame, self.runtime, "subshell")
        refusal = NotFound(
            f"{unknown}; create it first.", at="$header.subshell_id", ename="UnknownSubshellError"
        )
        self._reply(self.shell_stream, idents, run.reply_type, parts[1][1], run.pack(run.fail(refusal)))

    def _ours(self, msg: list[Any]) -> _Parts | None:
        """Identities, the five signed parts and the buffers, if the header is one of ours."""
        for index, part in enumerate(msg):
            if len(part) == len(DELIMITER) and part.bytes == DELIMITER:
                if len(msg) < index + 6:
                    return None
                header = msg[index + 2].bytes
                # A glance first: it spares stock messages a second decoding of their header.
                if _OURS not in header and _ESCAPED not in header:
                    return None
                try:
                    if not is_ours(unpack_header(header).msg_type):
                        return None
                except BadFrame:
                    # Stock dispatch drops it too; it is counted here.
                    self.runtime.frames_dropped += 1
                    return None
                parts = [p.bytes for p in msg[index + 1 : index + 6]]
                return [p.bytes for p in msg[:index]], parts, msg[index + 6 :]
        return None

    def _dropped(self, error: BadFrame) -> None:
        self.runtime.frames_dropped += 1
        self.log.error("Dropped a frame: %s", error)

    def _admit(self, idents: list[bytes], parts: list[bytes], raw: list[Any]) -> tuple[Any, Frame, Any]:
        header = self.session.admit(parts)
        frame = Frame(
            header["msg_type"],
            header["msg_id"],
            parts[4],
            parts[3],
            [memoryview(part) for part in raw],
        )
        parent = {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": {},
            "metadata": {},
            "content": {},
            "buffers": [],
        }
        return idents, frame, parent

    def _reply(self, stream: Any, idents: Any, msg_type: str, parent: bytes, packed: Packed) -> None:
        frames = self.session.reply_parts(
            idents, msg_type, parent, packed.content, packed.buffers, bind=self._is_plain_tcp
        )
        stream.send_multipart(frames)

    # -- interrupts --------------------------------------------------------------------------------

    def _catch_interrupts(self, interrupts: Interrupts) -> Any:
        # The C function under signal.signal, whose conversions to enums a small call would feel.
        return swap_handler(_SIGINT, lambda signum, frame: interrupts.request())

    def _guarded(self, run: Run, serve: Callable[[], Packed]) -> Packed:
        if threading.current_thread() is not threading.main_thread():
            return serve()
        saved = self._catch_interrupts(run.interrupts)
        try:
            return serve()
        finally:
            swap_handler(_SIGINT, saved)

    # -- the process around it ---------------------------------------------------------------------

    def _adopt_parent(self, idents: Any, parent: dict[str, Any]) -> None:
        try:
            self.set_parent(idents, parent, channel="shell")
        except BaseException:  # it tells sys.stdout, and user code may have put anything there
            self.log.warning("sys.stdout or sys.stderr was replaced by what cannot be told its request")

    def _end_if_forked(self) -> None:
        if os.getpid() != self._pid:
            # The call forked and its child came back to us: one reply is the parent's to send.
            os._exit(0)

    def _flush_output(self) -> None:
        inline = sys.modules.get(_INLINE)
        if inline is not None:
            try:
                # Cells flush their figures in post_execute, which our requests never fire.
                inline.flush_figures()
            except Exception:
                self.log.exception("Figures could not be shown")
        for name in ("stdout", "stderr"):
            try:
                stream = getattr(sys, name, None)
                # A flush waits for the iopub thread, which costs more than a small call.
                if stream is not None and getattr(stream, "_flush_pending", True):
                    stream.flush()
            except BaseException:  # a stream that user code put there may raise anything
                continue

    def _on_main(self, function: Callable[[], Any]) -> Any:
        loop = self._main_loop
        if threading.current_thread() is threading.main_thread() or loop is None:
            return function()
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def work() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # handed to the thread that asked
                future.set_exception(error)

        loop.call_soon_threadsafe(work)
        return future.result()

    def _drop(self, gone: list[Any]) -> None:
        # A dropped object's __del__ is user code: it runs on the main thread.
        if self._main_loop is None or threading.current_thread() is threading.main_thread():
            self._let_go(gone)
        else:
            self._main_loop.call_soon_threadsafe(self._let_go, gone)

    def _let_go(self, gone: list[Any]) -> None:
        try:
            forget_outputs(self.shell, gone)
        finally:
            gone.clear()

    def _arm_expiry(self) -> None:
        due = self.runtime.next_expiry()
        if due is None or self._main_loop is None:
            return
        if self._expiry_due is None or due < self._expiry_due:
            self._main_loop.call_soon_threadsafe(self._set_expiry, due)

    def _set_expiry(self, due: float) -> None:
        assert self._main_loop is not None
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry_due = due
        self._expiry = self._main_loop.call_later(max(0.05, due - time.time()), self._expire)

    def _expire(self) -> None:
        self._expiry = self._expiry_due = None
        self.runtime.expire(time.time())
        self._arm_expiry()

    def _call_later_on_control(self, delay: float, function: Callable[[], None]) -> None:
        # The main loop may be busy for long; a kernel without a control thread has no other.
        loop = self.control_thread.io_loop if self.control_thread is not None else self.io_loop
        loop.add_callback(loop.call_later, delay, function)

    def _publish_changed(self, content: dict[str, Any]) -> None:
        if self.session is not None:
            self.session.send(self.iopub_socket, CHANGED, content, ident=self._topic(CHANGED))

    def _offer_stored(self) -> None:
        self.shell.user_ns.setdefault("stored", self.stored)
        self.shell.user_ns_hidden.setdefault("stored", self.stored)

    def _notebook_writer(self) -> str:
        msg_id = (self.get_parent("shell") or {}).get("msg_id")
        return msg_id if isinstance(msg_id, str) else "notebook"

    @property
    def _is_plain_tcp(self) -> bool:
        app = self.parent
        if getattr(app, "curve_secretkey", None) is not None:
            return False
        return getattr(app, "transport", "tcp") == "tcp"

    @property
    def _is_loopback(self) -> bool:
        ip = getattr(self.parent, "ip", "127.0.0.1")
        return ip.startswith("127.") or ip in ("localhost", "::1")

    def do_shutdown(self, restart: bool) -> Any:
        """As stock; our thread ends too."""
        self._activities.close()
        return super().do_shutdown(restart)
