"""What people see: values, descriptions, lists and errors as readable text.

Rules: text from a kernel is shown as it is, never read as markup; a value that has no readable form here
(its library is not installed) is shown as it came.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.pretty import Pretty
from rich.table import Table
from rich.text import Text

from ..client.description import Description
from ..inspection.words import size_text
from ..values import Decoder
from ..wire.errors import SnakeError
from ..wire.path import Ref, path_text


def note_of(buffers: Sequence[memoryview]) -> dict[str, Any]:
    """What a JSON document says of the binary parts that it cannot hold."""
    if not buffers:
        return {}
    size = sum(buffer.nbytes for buffer in buffers)
    return {"note": f"{len(buffers)} binary buffers ({size} bytes) are left out of this document."}


def show_result(
    console: Console,
    raw: Mapping[str, Any] | None,
    buffers: Sequence[memoryview],
    stored_as: str | None = None,
) -> None:
    """A described result: its value where it has one, else its description."""
    if stored_as is not None:
        console.print(Text(f"stored as {stored_as}", style="dim"))
    if raw is None:
        return
    if "value" not in raw:
        show_description(console, raw)
        return
    try:
        value = Decoder(buffers).decode(raw["value"])
    except (SnakeError, ImportError):
        # The kernel knows types that this environment does not.
        value = raw["value"]
    show_value(console, value)


def show_value(console: Console, value: Any) -> None:
    """A Python value."""
    if isinstance(value, Ref):
        console.print(Text(f"stored.{value.id}{path_text(value.steps)}"))
    elif isinstance(value, (dict, list, tuple, set, frozenset)):
        console.print(Pretty(value))
    else:
        # soft_wrap: a long line is the reader's to wrap, and a program's to read whole.
        console.print(Text(str(value)), soft_wrap=True)


def show_description(console: Console, raw: Mapping[str, Any]) -> None:
    """What the kernel says of an object that has no lossless value."""
    described = Description(dict(raw))
    console.print(Text(f"{described.module}.{described.type}", style="bold"))
    if described.string_repr:
        console.print(Text(described.string_repr), soft_wrap=True)
    if described.attributes:
        table = _table("attribute", "type", "value")
        for name, one in described.attributes.items():
            table.add_row(Text(name), Text(str(one.get("type", ""))), Text(_brief(one)))
        console.print(table)


def show_objects(console: Console, content: Mapping[str, Any]) -> None:
    """The list of stored objects."""
    table = _table("name", "type", "module", "size", "created", "last used", "writer")
    for one in content["objects"]:
        table.add_row(
            Text(one["name"]),
            Text(one["type"]),
            Text(one["module"]),
            Text(size_text(one["size"]), justify="right"),
            _clock(one["created"]),
            _clock(one["last_used"]),
            Text(str(one["writer"])),
        )
    console.print(table)
    console.print(Text(f"{len(content['objects'])} of {content['count']} objects", style="dim"))


def show_inspection(console: Console, inspection: Mapping[str, Any]) -> None:
    """What ``inspect`` found."""
    facts = _facts()
    for name in ("type", "module", "callable", "signature", "length", "shape", "dtype", "size"):
        if inspection.get(name) is not None:
            facts.add_row(name, Text(str(inspection[name])))
    console.print(facts)
    for name in ("string_repr", "docstring"):
        if inspection.get(name):
            console.print(Text(f"\n{name}", style="bold"))
            console.print(Text(str(inspection[name])), soft_wrap=True)
    if inspection.get("attributes"):
        console.print(Text("\nattributes", style="bold"))
        console.print(Text(", ".join(inspection["attributes"])))
    children = inspection.get("children") or []
    if children:
        table = _table("key", "type", "value")
        for child in children:
            table.add_row(Text(str(child.get("key"))), Text(str(child.get("type", ""))), Text(_brief(child)))
        console.print(Text(f"\nchildren ({len(children)} of {inspection.get('total')})", style="bold"))
        console.print(table)


def show_facts(console: Console, content: Mapping[str, Any]) -> None:
    """A document's fields, one a line."""
    facts = _facts()
    for name, value in content.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        facts.add_row(name, Text(str(shown)))
    console.print(facts)


def show_error(console: Console, error: SnakeError, *, traceback: bool) -> None:
    """One line, and where asked for the remote traceback."""
    what = f"{error.ename}: " if error.code == "raised" and error.ename else ""
    text = what + (error.evalue if what else error.message)
    at = f" (at {error.at})" if error.at else ""
    console.print(Text.assemble(("error ", "bold red"), f"[{error.code}] {text}{at}"), soft_wrap=True)
    if traceback:
        for line in error.traceback:
            console.print(Text.from_ansi(line), soft_wrap=True)


def _brief(description: Mapping[str, Any]) -> str:
    text = str(description["value"]) if "value" in description else str(description.get("string_repr", ""))
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def _clock(seconds: float) -> Text:
    return Text(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _facts() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table
