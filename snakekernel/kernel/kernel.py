"""The kernel: ipykernel's, with our messages served beside the notebook's.

Rules: this class only wires. A frame of ours is recognised by its header before stock dispatch unpacks
anything, runs through ``commands.dispatch`` on the thread it came to, and is answered through the stream of
that thread; everything else goes the stock way untouched. Our requests keep the order of their channel,
for dispatch is entered under ipykernel's own lock.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ipykernel.subshell_manager import UnknownSubshellError
from traitlets import Bool, Dict, Enum, Float, Integer, List, Unicode

from .. import inspection
from .._version import __version__
from ..commands.dispatch import Run
from ..commands.runtime import Runtime
from ..memory.attachments import Attachments
from ..memory.exchange import FROM_BYTES
from ..memory.publications import Publications
from ..objects.policy import TargetPolicy
from ..objects.quotas import Account, Quota
from ..objects.secrets import Secrets
from ..objects.sessions import SessionTable
from ..objects.store import Store
from ..plugins.load import CommandTable, Installed, PluginTable
from ..wire.frame import BadFrame
from ..wire.names import CHANGED, COMM_TARGET, FEATURE, PROTOCOL_VERSION, Door
from . import threads
from .activity import Activities
from .audit import audit_cells, audit_of
from .callbacks import Callbacks
from .changes import ChangeFeed
from .completion import AnswersForStored
from .controlling import Controlling
from .debugger import DebuggerOnDemand
from .displays import register_displays
from .door import InspectorDoor
from .dropping import Dropping
from .expiry import Expiry
from .incoming import split
from .inspector import Inspector
from .keeping import KeepsObjects, restore_all
from .lane import Lane, LaneSelector, unusable
from .leasing import Leasing
from .magics import StoredMagics
from .namespace import StoredNamespace
from .notebook import Notebook
from .overlapping import Overlapping
from .parents import Parents
from .reports import Reports
from .secret_sources import guard
from .serving import InterruptsOfRequests, Serving
from .session import KernelSession
from .stopping import Stopping
from .subshells import Subshells
from .transport import is_loopback, is_plain_tcp
from .watching import Watching

T = TypeVar("T")


class SnakeKernel(KeepsObjects, AnswersForStored, DebuggerOnDemand):
    """A Python notebook kernel that also serves the snake protocol."""

    implementation = "snakekernel"
    implementation_version = __version__

    default_session_ttl = Float(
        3600.0, allow_none=True, help="Seconds that an unused session lives; None for no end."
    ).tag(config=True)
    max_sessions = Integer(10_000, help="How many sessions there may be at once.").tag(config=True)
    max_objects = Integer(1_000_000, help="How many objects may be stored at once.").tag(config=True)
    session_quota = Dict(
        key_trait=Enum(Quota.__struct_fields__),
        value_trait=Integer(min=0),
        help='What each session may use: {"objects": 1000, "bytes": 10**9, "calls": 10**6, "concurrent": 4}.',
    ).tag(config=True)
    kernel_quota = Dict(
        key_trait=Enum(Quota.__struct_fields__),
        value_trait=Integer(min=0),
        help="What the kernel-wide namespace may use, as for session_quota.",
    ).tag(config=True)
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
    audit_log = Unicode(
        "", help="File that gets a line of JSON for each request and each cell; empty for none."
    ).tag(config=True)

    fast_lane = Bool(
        True,
        help="Whether requests go from the socket to the main thread without another thread between. "
        "Off, or where it cannot be used, they go ipykernel's own way.",
    ).tag(config=True)

    # ipykernel's trait, of which mypy sees nothing.
    shell_stream: Any

    shared_memory_from = Integer(
        FROM_BYTES,
        allow_none=True,
        help="Bytes from which a buffer goes to a client on this host through shared memory; None for never.",
    ).tag(config=True)

    max_published_bytes = Integer(
        16 << 30, min=0, help="Bytes of shared memory that publications for other kernels hold together."
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: The main thread's; None before it runs.
        self.main_loop: asyncio.AbstractEventLoop | None = None
        self.lane: Lane | None = None
        self.interrupts = InterruptsOfRequests()
        self.stopping = Stopping(self)
        #: Whether this process is a child that user code forked.
        self.is_forked = False
        # Told, not looked up: asking for the process id is a system call.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
        self.binds_buffers = is_plain_tcp(self.parent)
        secrets = Secrets()
        guard(secrets, self.shell)
        self.controlling = Controlling(self)
        self.activities = Activities(lambda state, parent: self._publish_status(state, "shell", parent))
        # Without the price of a trait, for every request asks.
        self.envelope: Any = self.session
        self._own_shell: Any = self.shell
        if self.session is not None:
            session = KernelSession.adopt(self.session, self.activities, secrets, self.interrupts.after)
            session.on_drop = self._count_dropped
            session.outlive(getattr(self.parent, "abs_connection_file", None), self.log)
        #: Widgets of this process, told what clients are told; called on the control thread.
        self.change_listeners: set[Callable[[dict[str, Any]], None]] = set()
        durable = self.durable_objects()
        changes = ChangeFeed(self._call_later_on_control, self._publish_changed, durable.changed)
        installed = Installed()
        self.subshells = Subshells(self)
        self.callbacks = Callbacks(self, self._call_later_on_control)
        self.overlapping = Overlapping(self)
        self.runtime = Runtime(
            table=CommandTable(installed),
            frameworks=PluginTable(installed),
            clock=time.time,
            store=Store(
                on_drop=Dropping(self),
                on_change=changes,
                max_objects=self.max_objects,
                # Loaded when it is needed.
                estimate=lambda obj: inspection.estimate(obj),
            ),
            sessions=SessionTable(
                default_ttl=self.default_session_ttl,
                max_sessions=self.max_sessions,
                on_change=changes.session,
                quota=Quota(**self.session_quota),
            ),
            account=Account(Quota(**self.kernel_quota)) if self.kernel_quota else None,
            secrets=secrets,
            policy=TargetPolicy(allow=self.allow_targets, deny=self.deny_targets),
            auto_sessions=self.auto_sessions,
            buffers_bound=self.binds_buffers and not is_loopback(self.parent),
            user_namespace=self._user_namespace,
            hidden_variables=lambda: self._own_shell.user_ns_hidden,
            on_main=self._on_main,
            cancel=self.stopping.cancel,
            waits=self.stopping.has_waiting,
            stop_after=self.stopping.after,
            on_seen=changes.seen,
            durable=durable,
            leases=Leasing(self._call_later_on_control).leases,
            subshells=self.subshells,
            callbacks=self.callbacks,
            publications=Publications(most_bytes=self.max_published_bytes),
            attachments=Attachments(self.shared_memory_from, self._call_later_on_control),
        )
        self.runtime.audit = audit_of(self.audit_log, secrets, self.runtime.epoch)
        if self.runtime.audit is not None:
            audit_cells(self, self.runtime.audit)
        notebook = Notebook(self, self._own_shell)
        self.stored = StoredNamespace(self.runtime.store, time.time, notebook.writer, notebook.maker)
        self._offer_stored()
        StoredMagics(self).register()
        register_displays(self.shell)
        # %reset clears the variables; the store outlives it and its name is put back.
        self.shell.events.register("post_execute", self._offer_stored)
        self.parents = Parents(self)
        self.parents.install()
        self.reports = Reports(self)
        self.reports.install()
        self.expiry = Expiry(self.runtime)
        self.inspector = Inspector(self.expiry.arm)
        self.watches = self.runtime.watches
        self.watching = Watching(
            self.watches, lambda seconds: self.runtime.look(seconds).more, self._is_busy, time.time
        )
        # A cell's interrupt must leave no lock behind.
        self.shell.events.register("post_execute", partial(self.interrupts.after, self.watching.ended))
        self.door = InspectorDoor(self.runtime, self.inspector, self._guarded, self.interrupts.after)
        self.comm_manager.register_target(COMM_TARGET, self.door.opened)

    def start(self) -> None:
        """Start serving, on the fast lane where that can be."""
        selector: LaneSelector | None = getattr(self.parent, "selector", None)
        reason = unusable(self, selector) if self.fast_lane else "it is turned off"
        if selector is not None and reason is None:
            # Stock must not begin to read the socket.
            stream, self.shell_stream = self.shell_stream, None
            super().start()
            self.shell_stream = stream
            self.lane = Lane(self, selector)
            self.lane.start()
            self.interrupts.install()
        else:
            super().start()
            if self.fast_lane:
                self.log.warning("The fast lane is not used: %s.", reason)
        self.stopping.install()
        self.subshells.start()
        if self.restore_at_start:
            restore_all(self.runtime)
        # Not asyncio's current loop: a kernel embedded in another program may find none set.
        self.main_loop = self.expiry.loop = self.io_loop.asyncio_loop

    def _forked(self) -> None:
        self.is_forked = True

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
        """Route ours by their header: whoever serves a message verifies it, once."""
        try:
            incoming = split(msg)
        except BadFrame as error:
            self.dropped(error)
            return
        if incoming is None:
            await super().shell_channel_thread_main(msg)
            return
        async with self.shell_channel_thread.asyncio_lock:
            subshell_id = incoming.subshell_id
            try:
                if not isinstance(subshell_id, str | None):
                    raise UnknownSubshellError(subshell_id)
                socket = self.shell_channel_thread.manager.get_shell_channel_to_subshell_socket(subshell_id)
            except UnknownSubshellError as error:
                self.subshells.refuse(incoming, error, self.shell_stream)
            else:
                self.stopping.waits(incoming)
                socket.send_multipart(msg, copy=False)

    async def dispatch_shell(
        self, msg: list[Any], /, subshell_id: str | None = None, *, concurrent: bool = False
    ) -> None:
        """Serve ours here, all else the stock way."""
        try:
            incoming = split(msg)
        except BadFrame:
            # What ipykernel tells a subshell's thread, such as to end.
            incoming = None
        if incoming is None:
            if not self.subshells.is_end(subshell_id, msg):
                await super().dispatch_shell(msg, subshell_id, concurrent=concurrent)
            return
        if not self.stopping.begins(incoming):
            return
        if self._supports_kernel_subshells:
            stream = self.shell_channel_thread.manager.get_subshell_to_shell_channel_socket(subshell_id)
        else:
            stream = self.shell_stream
        if self.subshells.is_ending(subshell_id):
            self.subshells.refuse(incoming, UnknownSubshellError(subshell_id or ""), stream)
            return
        door: Door = "shell" if subshell_id is None else "subshell"
        try:
            serving = Serving(self, incoming, door, stream.send_multipart)
            serving.run.interrupts.came = self.stopping.came(incoming)
        except BadFrame as error:
            self.dropped(error)
        else:
            if subshell_id is None:
                await self.overlapping.serve(serving)
            else:
                await self.subshells.serve(serving, subshell_id)

    def pre_handler_hook(self) -> None:
        """As stock, which has interrupts raise; a message that is the inspector's runs no cell."""
        if self.door.is_for(self.get_parent("shell")):
            self.saved_sigint_handler = self.interrupts.hold()
        else:
            super().pre_handler_hook()

    def post_handler_hook(self) -> None:
        """As stock, which puts back the handler it found; an interrupt may have left it one that raises."""
        if self.lane is not None and threading.current_thread() is threading.main_thread():
            self.interrupts.hold()
        else:
            super().post_handler_hook()

    def dispatch_control(self, msg: list[Any]) -> Any:
        """As stock; what a call of a client's function waits for takes no turn of its own."""
        if self.callbacks.takes_at_once(msg):
            return None
        return super().dispatch_control(msg)

    async def process_control(self, msg: list[Any]) -> None:
        """Serve ours here, without any status, all else the stock way."""
        try:
            incoming = split(msg)
        except BadFrame as error:
            self.dropped(error)
            return
        if incoming is None:
            await super().process_control(msg)
        elif not self.callbacks.takes(incoming):
            self.controlling.serve(incoming)

    def _count_dropped(self) -> None:
        self.runtime.frames_dropped += 1

    def dropped(self, error: BadFrame) -> None:
        """Count and log a message that cannot be trusted."""
        self._count_dropped()
        self.log.error("Dropped a frame: %s", error)

    def _is_busy(self) -> bool:
        return self.activities.any or self._main_asyncio_lock.locked()

    def _guarded(self, run: Run, serve: Callable[[], T]) -> T:
        if threading.current_thread() is not threading.main_thread():
            return serve()
        caught = self.interrupts.catch(run.interrupts)
        try:
            return serve()
        finally:
            self.interrupts.release(caught, was_long=True)

    # -- the process around it ---------------------------------------------------------------------

    def _user_namespace(self) -> Any:
        return self._own_shell.user_ns

    def _on_main(self, function: Callable[[], T]) -> T:
        return threads.on_main(self.main_loop, function)

    def _call_later_on_control(self, delay: float, function: Callable[[], None]) -> None:
        # The main loop may be busy for long.
        loop = self.control_loop
        loop.add_callback(loop.call_later, delay, function)

    @property
    def control_loop(self) -> Any:
        """The control thread's; a kernel without one has no other loop."""
        return self.control_thread.io_loop if self.control_thread is not None else self.io_loop

    def _publish_changed(self, content: dict[str, Any]) -> None:
        for listener in list(self.change_listeners):
            listener(content)
        if self.session is not None:
            self.session.send(self.iopub_socket, CHANGED, content, ident=self._topic(CHANGED))

    def _offer_stored(self) -> None:
        self.shell.user_ns.setdefault("stored", self.stored)
        self.shell.user_ns_hidden.setdefault("stored", self.stored)

    def do_shutdown(self, restart: bool) -> Any:
        """As stock; our threads end too, tasks are answered, and nobody waits for a client any more."""
        self.callbacks.close()
        self.inspector.close()
        self.watching.close()
        self.activities.close()
        self.runtime.durable.close()
        return super().do_shutdown(restart)
