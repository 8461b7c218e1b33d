"""What the subcommands share: options, parsing, and the kernel they talk to."""

from __future__ import annotations

import json
import logging
import os
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_core.application import JupyterApp
from rich.console import Console
from traitlets import Bool, Float, TraitError, Unicode
from traitlets.config.loader import ArgumentError, Config, KVArgParseConfigLoader

from .._version import __version__
from ..client.client import Client
from ..wire.errors import InvalidRequest, NotFound
from .running import connect_latest

#: Columns of a table where nobody's terminal says how wide it is.
_WIDTH = 160


def merged(*options: Mapping[Any, Any]) -> dict[Any, Any]:
    """A command's aliases or flags: those of its base and its own."""
    return {name: value for some in options for name, value in some.items()}


@dataclass(frozen=True)
class Answer:
    """What a subcommand found: ``document`` for programs, ``show`` for people."""

    document: dict[str, Any]
    show: Callable[[Console], None]


class _Parser(KVArgParseConfigLoader.parser_class):  # type: ignore[valid-type,misc]  # traitlets keeps it private
    """Options may stand anywhere between the words; a bad line is an exception, not an exit."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        return self.parse_intermixed_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        hint = "see --help; words that begin with - go behind --"
        raise InvalidRequest(f"{message[:1].upper()}{message[1:]}; {hint}.")


class _Loader(KVArgParseConfigLoader):
    parser_class = _Parser

    def _handle_unrecognized_alias(self, arg: str) -> None:
        raise InvalidRequest(f"There is no option --{arg.lstrip('-')} here; see --help.")


class CommandLine(JupyterApp):
    """How every command line of ours is read: options anywhere, bad ones as errors of the protocol's kind."""

    version = __version__

    log_level = logging.WARNING
    as_json = Bool(False, help="Print one JSON document on stdout, errors too.").tag(config=True)
    show_traceback = Bool(False, help="Show the traceback of what failed in the kernel.").tag(config=True)

    aliases = merged({"config": "JupyterApp.config_file"})
    flags = merged(
        {
            "json": ({"CommandLine": {"as_json": True}}, "Print one JSON document on stdout, errors too."),
            "traceback": (
                {"CommandLine": {"show_traceback": True}},
                "Show the traceback of what failed in the kernel.",
            ),
            "debug": JupyterApp.flags["debug"],
        },
    )

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
            raise InvalidRequest(str(error)) from None


class Command(CommandLine):
    """A subcommand; it stands in ``app``'s table.

    Attributes:
        words: the positional words it takes, for messages and help.
    """

    words: ClassVar[str] = ""

    @abstractmethod
    def answer(self) -> Answer | None:
        """Do the work; None where its answer was printed already."""

    def start(self) -> None:
        """Do the work and print the answer."""
        answer = self.answer()
        if answer is None:
            return
        if self.as_json:
            print_json(answer.document)
        else:
            answer.show(console_here())

    def take(self, least: int, most: int | None) -> list[str]:
        """The positional words, ``least`` to ``most`` of them. Raises InvalidRequest on another number."""
        words = list(self.extra_args)
        if len(words) < least or (most is not None and len(words) > most):
            takes = f"{self.name} takes {self.words or 'no words'}"
            raise InvalidRequest(f"{takes}; {len(words)} came: {' '.join(words)!r}.")
        return words


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

    aliases = merged(
        Command.aliases,
        {
            "existing": "KernelCommand.existing",
            "kernel": "KernelCommand.kernel_name",
            "session": "KernelCommand.session_id",
            "timeout": "KernelCommand.timeout",
        },
    )

    @abstractmethod
    def ask(self, client: Client) -> Answer | None:
        """Do the work with this kernel; None where its answer was printed already."""

    @abstractmethod
    def read_words(self) -> None:
        """Read the positional words, before any kernel starts. Raises InvalidRequest."""

    def answer(self) -> Answer | None:
        """Reach or start the kernel, do the work, leave no kernel behind."""
        self.read_words()
        with self._client() as client:
            return self.ask(client)

    def _client(self) -> Client:
        if self.existing is None:
            check_kernel_name(self.kernel_name)
            # What the process itself writes must not mix with our answer on stdout.
            return Client.start(self.kernel_name, output=_stderr())
        if self.existing == "":
            return connect_latest()
        try:
            return Client.connect(os.path.expanduser(self.existing))
        except FileNotFoundError as error:
            raise NotFound(f"There is {error}.") from None
        except ValueError as error:
            raise InvalidRequest(f"{error}.") from None


def check_kernel_name(name: str | None) -> None:
    """Raise NotFound where no kernelspec has this name; None is this environment's own."""
    try:
        if name is not None:
            KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        raise NotFound(
            f"There is no kernelspec named {name!r}; `jupyter kernelspec list` shows those there are."
        ) from None


def _stderr() -> int | None:
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError):
        # No real file, as under a test runner.
        return None


def console_here() -> Console:
    """Standard output."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def print_json(document: dict[str, Any]) -> None:
    """One document on stdout, on one line, in ASCII: any terminal and any encoding can carry it."""
    print(json.dumps(document), flush=True)
