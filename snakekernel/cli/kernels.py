"""``start`` and ``ping``: running a kernel, and asking whether one answers."""

from __future__ import annotations

import signal
import sys
from inspect import cleandoc
from types import FrameType
from typing import Any

from rich.console import Console
from rich.text import Text
from traitlets import Enum, Unicode

from ..client.client import Client
from ..errors import KernelLost
from .command import Answer, Command, KernelCommand, check_kernel_name, merged
from .show import show_facts


class PingApp(KernelCommand):
    """Ask whether a kernel answers, and what it can do."""

    name = "snakekernel ping"
    description = cleandoc("""snakekernel ping

    Ask whether a kernel answers, and what it can do; it answers while it is busy too.
    """)
    examples = cleandoc("""
    snakekernel ping --existing
    """)

    def read_words(self) -> None:
        """It takes none."""
        self.take(0, 0)

    def ask(self, client: Client) -> Answer:
        """Ping."""
        content = client.ping(timeout=self.timeout)
        shown = {name: value for name, value in content.items() if name not in ("status", "output", "lossy")}
        return Answer(content, lambda console: show_facts(console, shown))


class StartApp(Command):
    """Start a kernel and keep it until Ctrl-C."""

    name = "snakekernel start"
    description = cleandoc("""snakekernel start

    Start a kernel, say how to reach it, and stay until Ctrl-C, which shuts it down. Other commands reach it
    with --existing.
    """)
    examples = cleandoc("""
    snakekernel start
    snakekernel start --transport=tcp --json
    """)

    kernel_name = Unicode(
        None, allow_none=True, help="The kernelspec to start; by default this environment."
    ).tag(config=True)
    transport = Enum(
        ("ipc", "tcp"), None, allow_none=True, help="By default ipc where the platform has it."
    ).tag(config=True)

    transport_encryption = Enum(
        ("required",), None, allow_none=True, help="required: TCP, encrypted with CurveZMQ."
    ).tag(config=True)

    aliases = merged(
        Command.aliases,
        {
            "kernel": "StartApp.kernel_name",
            "transport": "StartApp.transport",
            "transport-encryption": "StartApp.transport_encryption",
        },
    )

    def answer(self) -> Answer:
        """What to tell of the kernel that runs now."""
        info: dict[str, Any] = {
            "status": "ok",
            "connection_file": self._client.connection_file,
            "pid": self._client.manager.provisioner.pid,
        }

        def show(console: Console) -> None:
            file = info["connection_file"]
            for line in (
                f"A kernel runs (process {info['pid']}); Ctrl-C shuts it down.",
                f"connection file: {file}",
                f"from here:       snakekernel ping --existing={file}",
                f"from Python:     snakekernel.connect({file!r})",
                f"as a console:    jupyter console --existing {file}",
            ):
                console.print(Text(line), soft_wrap=True)

        return Answer(info, show)

    def start(self) -> None:
        """Start it, tell of it, wait for Ctrl-C or a termination signal, shut it down.

        Raises KernelLost where the kernel's process ends of its own with an error.
        """
        self.take(0, 0)
        check_kernel_name(self.kernel_name)
        # Shells start background jobs with Ctrl-C ignored; whoever signals us means it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _end)
        encrypted: dict[str, Any] = {}
        if self.transport_encryption is not None:
            encrypted["transport_encryption"] = self.transport_encryption
        output = sys.stderr.fileno()
        with Client.start(self.kernel_name, transport=self.transport, output=output, **encrypted) as client:
            self._client = client
            try:
                super().start()
                sys.stdout.flush()
                status = client.manager.provisioner.process.wait()
            except KeyboardInterrupt:
                return
        if status:
            raise KernelLost(f"The kernel's process ended with status {status}.")


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
