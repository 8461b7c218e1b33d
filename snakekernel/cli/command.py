"""What the subcommands share: options, parsing, and the kernel they talk to."""

from __future__ import annotations

import argparse
import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from jupyter_core.application import JupyterApp
from rich.console import Console
from traitlets import Bool, Float, TraitError, Unicode
from traitlets.config import KVArgParseConfigLoader
from traitlets.config.loader import ArgumentError, Config
from traitlets.config.loader import ArgumentParser as TraitletsParser

from .._version import __version__
from ..client.client import Client
from ..wire.errors import InvalidRequest
from .running import latest_kernel


@dataclass(frozen=True)
class Answer:
    """What a subcommand found: ``document`` for programs, ``show`` for people."""

    document: dict[str, Any]
    show: Callable[[Console], None]


class _Parser(TraitletsParser):
    """Options may stand anywhere between the words; a bad line is an exception, not an exit."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        return self.parse_intermixed_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"{message[:1].upper()}{message[1:]}.", at="command line")


class _Loader(KVArgParseConfigLoader):
    parser_class = _Parser

    def _handle_unrecognized_alias(self, arg: str) -> None:
        raise InvalidRequest(f"There is no option --{arg.lstrip('-')} here; see --help.", at="command line")


class Command(JupyterApp):
    """A subcommand.

    Attributes:
        words: the names of its positional words, for messages; the last may repeat (``"ARG..."``).
    """

    version = __version__
    words: ClassVar[str] = ""

    as_json = Bool(False, help="Print one JSON document, errors too.").tag(config=True)
    show_traceback = Bool(False, help="Show the traceback of what failed in the kernel.").tag(config=True)

    aliases: ClassVar[dict[Any, Any]] = {"config": "JupyterApp.config_file"}
    flags: ClassVar[dict[Any, Any]] = {
        "json": ({"Command": {"as_json": True}}, "Print one JSON document on stdout, errors too."),
        "traceback": (
            {"Command": {"show_traceback": True}},
            "Show the traceback of what failed in the kernel.",
        ),
        "debug": JupyterApp.flags["debug"],
    }

    @abstractmethod
    def answer(self) -> Answer:
        """Do the work."""

    def start(self) -> None:
        """Do the work and print the answer."""
        console = Console(width=None if sys.stdout.isatty() else 160, soft_wrap=not sys.stdout.isatty())
        answer = self.answer()
        if self.as_json:
            print_json(answer.document)
        else:
            answer.show(console)

    def take(self, least: int, most: int | None) -> list[str]:
        """The positional words, ``least`` to ``most`` of them."""
        words = list(self.extra_args)
        if len(words) < least or (most is not None and len(words) > most):
            takes = f"takes {self.words}" if self.words else "takes no words"
            hint = " A kernel is named as --existing=ID." if "--existing" in self.argv_text else ""
            raise InvalidRequest(f"{self.name} {takes}; {len(words)} came.{hint}", at="command line")
        return words

    @property
    def argv_text(self) -> str:
        """The command line as text."""
        return " ".join(self.argv)

    def parse_command_line(self, argv: Any = None) -> None:
        """Let ``--existing`` stand without a value, which means the latest kernel."""
        words = list(sys.argv[1:] if argv is None else argv)
        end = words.index("--") if "--" in words else len(words)
        head = ["--existing=" if word == "--existing" else word for word in words[:end]]
        super().parse_command_line(head + words[end:])

    def _create_loader(self, argv: Any, aliases: Any, flags: Any, classes: Any) -> KVArgParseConfigLoader:
        return _Loader(argv, aliases, flags, classes=classes, log=self.log, subcommands=self.subcommands)

    def update_config(self, config: Config) -> None:
        """Report a bad value as the error it is, before traitlets logs it."""
        try:
            super().update_config(config)
        except (TraitError, ArgumentError) as error:
            raise InvalidRequest(f"{error}", at="command line") from None


class KernelCommand(Command):
    """A subcommand that talks to a kernel: a running one, or one started for it alone."""

    existing = Unicode(
        None,
        allow_none=True,
        help="A running kernel: its id or connection file; without a value the latest one that runs.",
    ).tag(config=True)
    kernel_name = Unicode(
        None, allow_none=True, help="The kernelspec of a fresh kernel; by default this environment."
    ).tag(config=True)
    session_id = Unicode(
        None, allow_none=True, help="The session whose objects are used; by default the kernel-wide ones."
    ).tag(config=True)
    timeout = Float(None, allow_none=True, help="Seconds to wait for the answer.").tag(config=True)

    aliases: ClassVar[dict[Any, Any]] = {
        **Command.aliases,
        "existing": "KernelCommand.existing",
        "kernel": "KernelCommand.kernel_name",
        "session": "KernelCommand.session_id",
        "timeout": "KernelCommand.timeout",
    }

    @abstractmethod
    def ask(self, client: Client) -> Answer:
        """Do the work with this kernel."""

    def answer(self) -> Answer:
        """Reach or start the kernel, do the work, leave no kernel behind."""
        self.check()
        with self.client() as client:
            return self.ask(client)

    def check(self) -> None:
        """Read the words before any kernel starts; raises InvalidRequest."""

    def client(self) -> Client:
        """A client of the kernel that the options name."""
        if self.existing is None:
            # What the process itself writes must not mix with our answer on stdout.
            return Client.start(self.kernel_name or None, output=_stderr())
        if self.existing == "":
            return Client.connect(latest_kernel())
        return Client.connect(self.existing)


def _stderr() -> int | None:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        # Not a real file, as in a notebook or under a test runner.
        return None


def print_json(document: dict[str, Any]) -> None:
    """One document on stdout, on one line."""
    import json

    print(json.dumps(document, ensure_ascii=False, default=str), flush=True)


def command_name(argv: Sequence[str]) -> str:
    """The subcommand that a command line names, for messages."""
    return next((word for word in argv if not word.startswith("-")), "snakekernel")


__all__ = ["Answer", "Command", "KernelCommand", "argparse", "print_json"]
