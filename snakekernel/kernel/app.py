"""Starting the kernel process: ipykernel's app with our kernel class."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

import zmq
from ipykernel.kernelapp import IPKernelApp
from traitlets import Bool, Dict, Integer, TraitError, Type, Unicode, default

from . import threads
from .confined import GivenHeartbeat, settle
from .fence import guard
from .kernel import SnakeKernel
from .lane import LaneLoop, LaneSelector
from .limits import set_limits
from .seen import seen_file

#: Bytes of the longest subscription.
_SMALL: Final = 64 << 10


class SnakeKernelApp(IPKernelApp):  # type: ignore[misc]  # ipykernel ships no types that mypy can follow
    """``python -m snakekernel -f <connection file>``."""

    name = "snakekernel-kernel"
    description = "A Python notebook kernel that also serves the snake protocol."
    classes = [SnakeKernel, *IPKernelApp.classes]  # noqa: RUF012 - traitlets' own convention
    kernel_class = Type(SnakeKernel, klass="ipykernel.kernelbase.Kernel", help="The kernel class.").tag(
        config=True
    )

    #: Of the main loop, where that is ours.
    selector: LaneSelector | None = None
    #: Descriptors of sockets that listen already, by their ports.
    given: Mapping[int, int] = MappingProxyType({})

    limits = Dict(
        key_trait=Unicode(),
        value_trait=Integer(min=0),
        help="Resource limits of the kernel's process, by the names of setrlimit(2): "
        '{"as": bytes, "nofile": 256, …}. Also as JSON in the environment variable SNAKEKERNEL_LIMITS.',
    ).tag(config=True)

    @default("limits")
    def _limits_of_whoever_started_it(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads(os.environ.get("SNAKEKERNEL_LIMITS", "{}"))
        except ValueError as error:
            raise TraitError(f"SNAKEKERNEL_LIMITS is no JSON: {error}") from None
        return found

    max_frame_bytes = Integer(
        4 << 30,
        min=1 << 20,
        help="Bytes of one part of a message that may be sent to the kernel. The connection of who announces "
        "more is closed before any memory is taken.",
    ).tag(config=True)

    identity_handover = Bool(
        True,
        help="Whether a client that connects under the identity of a connected one takes its place and gets "
        "its replies. Without the key, on plain TCP, that is theft; off, the second one is not heard. But a "
        "stock client that connects again at once may be the second for a moment, and has to do it anew.",
    ).tag(config=True)

    # As stock, but named by a string it would be imported at every start.
    blocking_class = Type(klass=object)

    @default("blocking_class")
    def _the_usual_client(self) -> type:
        from jupyter_client.blocking.client import BlockingKernelClient

        return BlockingKernelClient

    @default("config_files")
    def _read_the_config_of_ipykernel_too(self) -> list[str]:
        # What a person configured for stock kernels holds here as well; ours comes last.
        return ["ipython_kernel_config.py", self.config_file_name]

    def initialize(self, argv: Any = None) -> None:
        """Undo what a parent may have left us with, then start as ipykernel does."""
        guard()
        self.given = settle()
        if sys.platform != "win32":
            # Some launchers block SIGINT, and children inherit the mask: interrupts would be lost.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            loop = LaneLoop()
            self.selector = loop.selector
            asyncio.set_event_loop(loop)
        super().initialize(argv)

    def init_connection_file(self) -> None:
        """As stock; the configuration is read and nothing is open yet, so the limits hold for all of it."""
        set_limits(self.limits)
        super().init_connection_file()

    def _bind_socket(self, s: Any, port: int) -> Any:
        if s.type == zmq.ROUTER:
            # At its high-water mark a ROUTER drops what it sends. Replies are as many as requests and items
            # as many as were granted, so what waits for a slow client is bounded by that client.
            s.sndhwm = 0
            s.maxmsgsize = self.max_frame_bytes
        else:
            # Nothing but subscriptions and heartbeats comes there.
            s.maxmsgsize = _SMALL
        if port in self.given:
            s.setsockopt(zmq.USE_FD, self.given[port])
        return super()._bind_socket(s, port)

    def write_connection_file(self, **kwargs: Any) -> None:
        """As stock; on given sockets the file says it all, and cannot be written."""
        if not self.given:
            super().write_connection_file(**kwargs)

    def cleanup_connection_file(self) -> None:
        """As stock, of a kernel that nobody gave one; what belongs to the file goes too."""
        super().cleanup_connection_file()
        with suppress(OSError):
            seen_file(self.abs_connection_file).unlink()

    def init_heartbeat(self) -> None:
        """As stock; on its given socket where there is one."""
        if self.hb_port not in self.given:
            super().init_heartbeat()
            return
        keys = {"curve_publickey": self.curve_publickey, "curve_secretkey": self.curve_secretkey}
        # In a context of its own, as stock: the interpreter's lock must not keep it from answering.
        self.heartbeat = GivenHeartbeat(zmq.Context(), (self.transport, self.ip, self.hb_port), **keys)
        self.heartbeat.descriptor = self.given[self.hb_port]
        self.heartbeat.start()

    def init_sockets(self) -> None:
        """As stock, which lets identities be taken over."""
        super().init_sockets()
        if not self.identity_handover:
            for socket in (self.shell_socket, self.stdin_socket, self.control_socket):
                socket.router_handover = 0

    def close(self) -> None:
        """As stock; the lane lets go of the shell socket first."""
        lane = getattr(getattr(self, "kernel", None), "lane", None)
        try:
            if lane is not None:
                lane.stop()
        finally:
            super().close()

    def patch_io(self) -> None:
        """As stock, and have a crash tell where it was; stock leaves that to whoever knows of it."""
        super().patch_io()
        # Where the process's own go: the descriptor of that number leads to a thread that has crashed too.
        faulthandler.enable(getattr(sys.stderr, "_original_stdstream_copy", 2))

    def init_iopub(self, context: Any) -> None:
        """As stock; the thread that publishes is not taken for ended while it runs."""
        super().init_iopub(context)
        # Where it is, each thread sends on its socket itself: two at once, and interrupts half a message.
        threads.lives_with(self.iopub_thread.thread, self.iopub_thread.io_loop.asyncio_loop)

    def init_kernel(self) -> None:
        """As stock; what a start makes is made, and garbage is collected again (see ``__main__``)."""
        super().init_kernel()
        # Set aside: looking through all of it now and then took a fifth of what the steps of pipelines take.
        gc.freeze()
        gc.enable()


def main() -> None:
    """Run a kernel until it is shut down."""
    SnakeKernelApp.launch_instance()
