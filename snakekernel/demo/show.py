"""Prints what the demo calls and what comes back, for a person on a terminal or in a log.

Rules: what is printed is made from the very arguments that are sent, so it cannot drift from them; secrets
are shown as ``…``; without a terminal the output is plain text of a fixed width.
"""

from __future__ import annotations

import io
import json
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from ..client.description import Description
from ..wire.errors import SnakeError
from ..wire.model import Reply
from ..wire.path import Ref, Step

_PLAIN_WIDTH = 100
_LONGEST_STRING = 200
_MOST_LINES = 16
_COMMON_FIELDS = frozenset(Reply.__struct_fields__)
_NEXT_ITEM = ",\n     "


class DemoFailed(Exception):
    """A step's result is not what it must be; the text says which claim broke."""


def make_console() -> Console:
    """A console for standard output: colours and the window's width on a terminal, plain text elsewhere."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an output of ASCII alone gets "?" rather than an error
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


class Narrator:
    """Performs requests through a client and tells the reader what it does.

    Args:
        client: a blocking client; a request is the name of one of its methods and the method's arguments.
        secrets: strings never to print.
    """

    def __init__(self, client: Any, console: Console, *, secrets: Sequence[str] = ()) -> None:
        self.client = client
        self.console = console
        self.secrets = tuple(secrets)
        self.requests = 0
        self.claims = 0
        self._seen: list[str] = []
        plain = console.options.ascii_only
        self._arrow, self._tick = ("<-", "ok") if plain else ("←", "✓")

    def chapter(self, title: str, text: str) -> None:
        """Open a part of the demo."""
        self.console.print()
        characters = "-" if self.console.options.ascii_only else "─"
        self.console.print(Rule(Text(title, style="bold"), align="left", characters=characters))
        self.console.print(Text(text, style="italic"))

    def say(self, text: str) -> None:
        """A remark between requests."""
        self.console.print()
        self.console.print(Text(text))

    def do(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Print a request, perform it, print its result, and return the result."""
        result, milliseconds = self._perform(method, args, kwargs)
        self._result(result, milliseconds)
        return result

    def refused(self, claim: str, error: type[SnakeError], method: str, *args: Any, **kwargs: Any) -> None:
        """Perform a request that must fail with ``error``, as ``claim`` says; raise `DemoFailed` if not."""
        try:
            result, _ = self._perform(method, args, kwargs)
        except error as raised:
            text = f"{type(raised).__name__} [{raised.code}]: {raised}"
            self._seen.append(text)
            self._answer(text, style="yellow")
            self.must(claim, True)
            return
        raise DemoFailed(f"{claim}; yet {method} gave {result!r}")

    def must(self, claim: str, holds: bool) -> None:
        """Print ``claim`` as kept, or raise `DemoFailed`."""
        if not holds:
            raise DemoFailed(claim)
        self.claims += 1
        self.console.print(Text(f"  {self._tick} {claim}", style="green"))

    def never_shown(self, secret: str) -> bool:
        """Whether ``secret`` stands in no result so far."""
        return not any(secret in text for text in self._seen)

    def end(self, title: str, lines: Sequence[str]) -> None:
        """A closing box."""
        self.console.print()
        self.console.print(Panel(Text("\n".join(lines)), title=title, title_align="left", safe_box=True))

    def _perform(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, float]:
        self.console.print()
        text = request_text(method, args, kwargs, width=self.console.width - 2, hidden=self.secrets)
        self._line(Text(textwrap.indent(text, "  "), style="bold cyan"))
        function: Callable[..., Any] = getattr(self.client, method)
        self.requests += 1
        start = time.perf_counter()
        result = function(*args, **kwargs)
        return result, (time.perf_counter() - start) * 1000

    def _result(self, result: Any, milliseconds: float) -> None:
        # A description's repr is cut; what came with it is searched for secrets all the same.
        self._seen += [
            repr(result),
            *(repr(item.raw) for item in _flat(result) if isinstance(item, Description)),
        ]
        self._answer(result_text(result, width=self.console.width - 6), after=f"  ({milliseconds:,.0f} ms)")

    def _answer(self, text: str, *, style: str = "", after: str = "") -> None:
        lines = text.splitlines()
        if len(lines) > _MOST_LINES:
            lines = [*lines[:_MOST_LINES], f"… {len(lines) - _MOST_LINES} more lines"]
        first, *rest = lines or [""]
        body = "".join(f"\n      {line}" for line in rest)
        self._line(Text.assemble((f"    {self._arrow} ", "dim"), (first + body, style), (after, "dim")))

    def _line(self, text: Text) -> None:
        # Code and tables keep their lines; the terminal wraps what is longer than its window.
        self.console.print(text, soft_wrap=True)


def _flat(result: Any) -> list[Any]:
    return result if isinstance(result, list) else [result]


def result_text(result: Any, *, width: int) -> str:
    """A result for a person: tables as they are, long dictionaries a key a line, lists in short."""
    if isinstance(result, str):
        return result
    text = repr(result)
    if isinstance(result, list) and any(isinstance(item, Description | dict) for item in result):
        return "\n".join(f"[{i}] {_in_short(item, width - 5)}" for i, item in enumerate(result))
    if isinstance(result, dict) and len(text) > width:
        told = {name: value for name, value in result.items() if name not in _COMMON_FIELDS}
        return "\n".join(_cut(f"{name}: {value!r}", width) for name, value in told.items())
    return "\n".join(_cut(line, 2 * width) for line in text.splitlines())


def _in_short(item: Any, width: int) -> str:
    shape = item.raw.get("shape") if isinstance(item, Description) else None
    first = repr(item).partition("\n")[0]
    return f"{first} of shape {shape}" if shape else _cut(repr(item), width)


def _cut(text: str, width: int) -> str:
    first, more, _ = text.partition("\n")
    return f"{first[: width - 2]} …" if more or len(first) > width else first


def request_text(
    method: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, width: int, hidden: Sequence[str] = ()
) -> str:
    """A request as Python that a reader could type: one line if that fits ``width``, else many."""
    given = [("", value) for value in args] + [(f"{name}=", value) for name, value in kwargs.items()]
    line = f"snake.{method}({', '.join(name + literal(value, hidden=hidden) for name, value in given)})"
    if len(line) <= width:
        return line
    parts = [f"snake.{method}("]
    for name, value in given:
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            parts += [
                f"  {name}[",
                *(f"    {_dict_text(item, width - 5, hidden)}," for item in value),
                "  ],",
            ]
        else:
            parts.append(f"  {name}{literal(value, hidden=hidden)},")
    return "\n".join([*parts, ")"])


def _dict_text(value: dict[str, Any], width: int, hidden: Sequence[str]) -> str:
    """A dictionary on one line if it fits, else an item a line."""
    items = [f"{literal(key)}: {literal(item, hidden=hidden)}" for key, item in value.items()]
    line = f"{{{', '.join(items)}}}"
    return line if len(line) <= width else f"{{{_NEXT_ITEM.join(items)}}}"


def literal(value: Any, *, hidden: Sequence[str] = ()) -> str:
    """``value`` as Python source, long strings shortened and ``hidden`` ones left out."""
    if isinstance(value, str):
        if value in hidden:
            return '"…"'
        short = value if len(value) <= _LONGEST_STRING else f"{value[:_LONGEST_STRING]}…"
        return json.dumps(short, ensure_ascii=False)
    if isinstance(value, Ref | Step):
        name, first = ("ref", value.id) if isinstance(value, Ref) else ("step", value.index)
        return f"{name}({', '.join(literal(part, hidden=hidden) for part in (first, *value.steps))})"
    if isinstance(value, list):
        return f"[{', '.join(literal(item, hidden=hidden) for item in value)}]"
    if isinstance(value, dict):
        items = (
            f"{literal(key, hidden=hidden)}: {literal(item, hidden=hidden)}" for key, item in value.items()
        )
        return f"{{{', '.join(items)}}}"
    return repr(value)
