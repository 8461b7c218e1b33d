"""The protocol as data, generated from the command table and the message types.

``python -m snakekernel.testing.protocol --write docs/protocol.json`` writes the file that other languages
build their clients from; ``--check`` compares it and fails with a diff, so that no change of the wire goes
unseen. Rules: the built-in operations and those of this distribution's own plugins, whatever else is
installed; sorted and deterministic; JSON Schema 2020-12 for every request and reply.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import msgspec

from snakekernel.commands.command import Command
from snakekernel.commands.table import BUILTINS
from snakekernel.plugins.load import COMMANDS
from snakekernel.wire import names
from snakekernel.wire.errors import BY_CODE
from snakekernel.wire.model import (
    CallbackReleased,
    CallbackReply,
    CallbackRequest,
    Changed,
    ErrorReply,
    Item,
    Progress,
    Reply,
    Request,
)

_DISTRIBUTION: Final = "snakekernel"
_REF: Final = "#/$defs/{name}"
_MOST_DIFF_LINES: Final = 200
#: Messages that are no replies: the channel each goes by, where "request" is the one that was asked on, and
#: its content.
_EVENTS: Final[dict[str, tuple[str, type[msgspec.Struct]]]] = {
    names.CHANGED: ("iopub", Changed),
    names.PROGRESS: ("iopub", Progress),
    names.ITEM: ("request", Item),
    names.CALLBACK: ("request", CallbackRequest),
    names.CALLBACK_REPLY: ("control", CallbackReply),
    names.CALLBACK_RELEASED: ("request", CallbackReleased),
}


def own_commands() -> dict[str, Command]:
    """The commands of this distribution, built-ins first; those of other packages are left out."""
    commands = dict(BUILTINS)
    for point in entry_points(group=COMMANDS):
        if point.dist is not None and point.dist.name == _DISTRIBUTION:
            commands.setdefault(point.name, point.load())
    return commands


def protocol() -> dict[str, Any]:
    """The whole protocol as plain JSON data; see ``protocol.json`` for its shape."""
    commands = own_commands()
    types: dict[str, type[msgspec.Struct]] = {
        "request": Request,
        "reply": Reply,
        "error_reply": ErrorReply,
        **{name: content for name, (_, content) in _EVENTS.items()},
    }
    for op, command in commands.items():
        types[f"{op}_request"] = command.request
        types[f"{op}_reply"] = command.reply
    return {
        "protocol_version": names.PROTOCOL_VERSION,
        "feature": names.FEATURE,
        "comm_target": names.COMM_TARGET,
        "operations": {op: _operation(command) for op, command in commands.items()},
        "common": {
            "request": _ref("request"),
            "reply": _ref("reply"),
            "error_reply": _ref("error_reply"),
        },
        "errors": {
            code: {"meaning": cleandoc(cls.__doc__ or ""), "fault": cls.default_fault}
            for code, cls in BY_CODE.items()
        },
        "events": {
            name: {"channel": channel, "content": _ref(name)} for name, (channel, _) in _EVENTS.items()
        },
        "$defs": _schemas(types),
    }


def text() -> str:
    """``protocol.json`` as it is committed."""
    return json.dumps(protocol(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def difference(committed: str, current: str, name: str) -> list[str]:
    """Lines of a unified diff from the committed text to the one that the types give now."""
    lines = difflib.unified_diff(
        committed.splitlines(), current.splitlines(), name, "the message types", lineterm="", n=4
    )
    return list(lines)


def _operation(command: Command) -> dict[str, Any]:
    op = command.op
    return {
        "summary": command.summary,
        "request_type": names.request_type(op),
        "reply_type": names.reply_type(op),
        "channels": {
            "shell": True,
            "subshell": True,
            "control": command.control,
            "comm": command.control or command.comm,
        },
        "creates_session": command.creates_session,
        "names_session": command.names_session,
        "idempotent": command.idempotent,
        "task": bool(command.task),
        "plugin": None if op in BUILTINS else command.run.__module__.split(".")[2],
        "request": _ref(f"{op}_request"),
        "reply": _ref(f"{op}_reply"),
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def _schemas(types: Mapping[str, type[msgspec.Struct]]) -> dict[str, Any]:
    references, components = msgspec.json.schema_components(types.values(), ref_template=_REF)
    # msgspec names the classes of many modules by their full paths; operations are what a reader knows.
    renamed = {
        reference["$ref"].removeprefix(_REF.format(name="")): name
        for name, reference in zip(types, references, strict=True)
    }
    return {renamed.get(name, name): _tidy(schema, renamed) for name, schema in components.items()}


def _tidy(schema: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(schema, list):
        return [_tidy(item, renamed) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return dict(_tidied(schema, renamed))


def _tidied(schema: Mapping[str, Any], renamed: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    prefix = _REF.format(name="")
    for key, value in schema.items():
        if key == "$ref" and isinstance(value, str):
            name = value.removeprefix(prefix)
            yield key, prefix + renamed.get(name, name)
        elif key == "description" and isinstance(value, str):
            yield key, cleandoc(value)
        elif key == "title" and value in ("Request", "Reply"):
            # Every operation's classes have these names.
            continue
        else:
            yield key, _tidy(value, renamed)


def main(argv: list[str] | None = None) -> int:
    """Print, write or check ``protocol.json``; exit code 1 where the file differs or is missing."""
    parser = argparse.ArgumentParser(prog="python -m snakekernel.testing.protocol", description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", metavar="FILE", type=Path, help="compare FILE; exit 1 where it differs")
    action.add_argument("--write", metavar="FILE", type=Path, help="write FILE")
    options = parser.parse_args(argv)
    current = text()
    if options.write is not None:
        options.write.write_text(current, encoding="utf-8")
    elif options.check is not None:
        return _check(options.check, current)
    else:
        sys.stdout.write(current)
    return 0


def _check(file: Path, current: str) -> int:
    committed = file.read_text(encoding="utf-8") if file.exists() else ""
    if committed == current:
        return 0
    lines = difference(committed, current, str(file))
    print("\n".join(lines[:_MOST_DIFF_LINES]))
    if len(lines) > _MOST_DIFF_LINES:
        print(f"… {len(lines) - _MOST_DIFF_LINES} more lines")
    print(
        f"\n{file} is not what the message types say. If the change is meant, write it down in CHANGELOG.md\n"
        f"and run: python -m snakekernel.testing.protocol --write {file}",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
