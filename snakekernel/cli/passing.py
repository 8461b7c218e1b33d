"""What a call puts out while it runs, passed on: text to where it belongs, progress as a bar on a terminal.

Rules: with ``--json`` standard output has the documents alone, and all else goes to standard error.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, Any, Self

from ..client.output import Output


class Passing:
    """Passes on what a call puts out; used as a context manager around it.

    Args:
        as_json: whether standard output is for documents.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.pause()

    @property
    def hears(self) -> dict[str, Any]:
        """The options of the client's that have it told."""
        return {"on_output": self.output, "on_progress": self.progress}

    def output(self, output: Output) -> None:
        """Pass on text, or of what is shown its text."""
        self.pause()
        stream: IO[str] = sys.stderr if self._as_json or output.kind == "stderr" else sys.stdout
        if output.kind in ("stdout", "stderr"):
            stream.write(output.text)
        elif output.kind != "clear" and output.text:
            stream.write(f"{output.text}\n")
        stream.flush()

    def progress(self, done: int, total: int, text: str) -> None:
        """Show how far it is, where somebody looks."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            # Loaded when there is something to show.
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            # Off before anything is written, so nothing is to be redirected.
            self._bar = Progress(
                *columns,
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._bar.add_task("")
            self._bar.start()
        # Text of the kernel's is no markup.
        shown = text.replace("[", "\\[")
        self._bar.update(self._task, completed=done, total=total or None, description=shown, refresh=True)

    def pause(self) -> None:
        """Take the bar off the terminal, before something else is written."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(BrokenPipeError):
                bar.stop()
