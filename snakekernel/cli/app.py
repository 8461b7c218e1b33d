"""The command ``snakekernel``, or ``jupyter snakekernel``: its subcommands, and what becomes of errors."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from inspect import cleandoc

from jupyter_core.application import NoStart
from rich.console import Console

from ..wire.errors import InvalidRequest, SnakeError
from .calls import CallApp, ExecuteApp, OutcomeApp, PipelineApp
from .command import Command, CommandLine, print_json
from .install import InstallApp
from .kernels import PingApp, StartApp
from .objects import DeleteApp, InspectApp, ListApp, RetrieveApp, StoreApp
from .pool import PoolApp
from .saving import CheckpointApp, RestoreApp
from .serve import ServeApp
from .show import show_error

#: What shells report for a command that Ctrl-C ended.
_INTERRUPTED = 130

_SUBCOMMANDS: dict[str, type[Command]] = {
    "install": InstallApp,
    "start": StartApp,
    "serve": ServeApp,
    "call": CallApp,
    "outcome": OutcomeApp,
    "store": StoreApp,
    "retrieve": RetrieveApp,
    "list": ListApp,
    "delete": DeleteApp,
    "inspect": InspectApp,
    "checkpoint": CheckpointApp,
    "restore": RestoreApp,
    "pipeline": PipelineApp,
    "execute": ExecuteApp,
    "ping": PingApp,
    "pool": PoolApp,
}


class SnakeApp(CommandLine):
    """The command itself."""

    name = "snakekernel"
    description = cleandoc("""
    A Jupyter kernel that is also a message server: call, keep and inspect Python objects.

    Each command talks to a kernel started for it alone, or with --existing[=ID|FILE] to a running one.
    """)
    examples = cleandoc("""
    snakekernel call math.hypot 3 4
    snakekernel start
    snakekernel call --existing pandas.read_csv data.csv --store-as=df
    snakekernel list --existing
    snakekernel install --user
    """)
    subcommands = {name: (app, (app.__doc__ or "").strip()) for name, app in _SUBCOMMANDS.items()}  # noqa: RUF012 - traitlets' own convention

    def start(self) -> None:
        """Run the subcommand; without one, say which there are."""
        if self.subapp is None:
            if self.extra_args:
                raise InvalidRequest(_no_command(self.extra_args[0]))
            self.print_help()
            return
        self.subapp.start()


def _no_command(word: str) -> str:
    if word in _SUBCOMMANDS:
        return f"Options come after the command: snakekernel {word} --option."
    return f"There is no command {word!r}. Commands: {', '.join(_SUBCOMMANDS)}."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status. 0: done, 1: an error, 130: Ctrl-C.

    ``SystemExit`` is raised for ``--help`` and ``--version`` alone, as argparse does.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    options = words[: words.index("--")] if "--" in words else words
    app = SnakeApp()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character must not fail the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app.initialize(words)
        app.start()
        return 0
    except NoStart:
        return 0
    except KeyboardInterrupt:
        print("interrupted; a call on a running kernel was asked to stop", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does; what Python still flushes goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SnakeError as error:
        _report(error, as_json="--json" in options, traceback="--traceback" in options)
        return 1
    finally:
        if app.subapp is not None:
            # traitlets keeps one instance of each; the next line in this process gets its own.
            type(app.subapp).clear_instance()


def _report(error: SnakeError, *, as_json: bool, traceback: bool) -> None:
    if not as_json:
        show_error(Console(stderr=True), error, traceback=traceback)
        return
    ours = {
        "status": "error",
        "code": error.code,
        "error": error.message,
        "at": error.at,
        "fault": error.fault,
        "ename": error.ename,
        "evalue": error.evalue,
        "traceback": error.traceback,
    }
    print_json({**ours, **error.reply})
