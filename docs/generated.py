"""Markdown made from the code: operations, error codes, the kernel's settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from snakekernel.testing.protocol import protocol

_COMMON_REQUEST: Final = ("session_id", "call_id", "epoch", "client")
_COMMON_REPLY: Final = ("status", "timestamp", "epoch", "output", "lossy")
_ALWAYS: Final = "always there"


def overview() -> str:
    """One row per operation: what it does and where it is served."""
    rows = ["| operation | what it does | control | comm |", "| --- | --- | --- | --- |"]
    for op, row in protocol()["operations"].items():
        channels = row["channels"]
        served = (" yes " if channels[name] else " " for name in ("control", "comm"))
        rows.append(f"| [`{op}`](#{op}) | {row['summary']} |{'|'.join(served)}|")
    return "\n".join(rows)


def operations() -> str:
    """A section per operation: its fields and those of its reply."""
    data = protocol()
    return "\n\n".join(_operation(op, row, data["$defs"]) for op, row in data["operations"].items())


def structures() -> str:
    """The objects that fields of requests are made of."""
    schemas = protocol()["$defs"]
    parts = []
    for name in (
        "SignatureSpec",
        "FieldSpec",
        "Quota",
        "Sort",
        "Filter",
        "Stream",
        "Tagged",
        "Published",
        "Segment",
    ):
        parts += [f"### {name}", _plain(schemas[name]["description"]), _fields(schemas[name], ())]
    return "\n\n".join(parts)


def common_request() -> str:
    """The fields that every request may have."""
    return _fields(protocol()["$defs"]["request"], ())


def common_reply() -> str:
    """The fields that every reply has."""
    return _fields(protocol()["$defs"]["reply"], ())


def error_reply() -> str:
    """The fields of an error reply beside the common ones."""
    return _fields(protocol()["$defs"]["error_reply"], _COMMON_REPLY, sent=_ALWAYS)


def changed() -> str:
    """The content of ``snake_changed``."""
    return _fields(protocol()["$defs"]["snake_changed"], (), sent=_ALWAYS)


def callback_request() -> str:
    """The content of ``snake_callback_request``."""
    return _fields(protocol()["$defs"]["snake_callback_request"], ())


def callback_reply() -> str:
    """The content of ``snake_callback_reply``."""
    return _fields(protocol()["$defs"]["snake_callback_reply"], ())


def callback_released() -> str:
    """The content of ``snake_callback_released``."""
    return _fields(protocol()["$defs"]["snake_callback_released"], ())


def progress() -> str:
    """The content of ``snake_progress``."""
    return _fields(protocol()["$defs"]["snake_progress"], (), sent=_ALWAYS)


def item() -> str:
    """The content of ``snake_item``."""
    return _fields(protocol()["$defs"]["snake_item"], (), sent=_ALWAYS)


def errors() -> str:
    """One row per error code."""
    rows = ["| code | meaning | usual `fault` |", "| --- | --- | --- |"]
    for code, error in protocol()["errors"].items():
        rows.append(f"| `{code}` | {_plain(error['meaning'])} | `{error['fault']}` |")
    return "\n".join(rows)


def traits() -> str:
    """The settings of the kernel class, beside those that ipykernel has."""
    from snakekernel.kernel.kernel import SnakeKernel

    rows = ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, trait in sorted(SnakeKernel.class_traits(config=True).items()):
        if not trait.this_class.__module__.startswith("snakekernel."):
            continue
        default = trait.default() if callable(trait.default) else trait.default_value
        rows.append(
            f"| `SnakeKernel.{name}` | {type(trait).__name__} | `{default!r}` | {_plain(trait.help)} |"
        )
    return "\n".join(rows)


def pool_options() -> str:
    """The options of a pool."""
    from snakekernel import KernelPool

    rows = ["| option | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, trait in sorted(KernelPool.class_traits(config=True).items()):
        rows.append(f"| `{name}` | {type(trait).__name__} | `{trait.default()!r}` | {_plain(trait.help)} |")
    return "\n".join(rows)


def _operation(op: str, row: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    request, reply = schemas[f"{op}_request"], schemas[f"{op}_reply"]
    served = ["shell", "subshells", *(name for name in ("control", "comm") if row["channels"][name])]
    facts = f"`{row['request_type']}` → `{row['reply_type']}`. Served on {', '.join(served)}."
    if row["task"]:
        facts += " There it runs as a [task](#tasks)" + (", with `run_code`." if op == "inspect" else ".")
    if row["creates_session"]:
        facts += " Naming an unknown session opens it."
    if row["names_session"]:
        facts += " Here `session_id` is an argument: the session itself is what the operation is about."
    if row["plugin"]:
        facts += f" Brought by the {row['plugin']} plugin."
    common: tuple[str, ...] = () if row["names_session"] else ("session_id",)
    common += tuple(name for name in _COMMON_REQUEST[1:] if row["idempotent"] or name != "call_id")
    return "\n\n".join(
        (
            f"### {op}",
            row["summary"],
            facts,
            f"**Request.** {_plain(request.get('description', ''))}",
            _fields(request, common),
            f"**Reply.** {_plain(reply.get('description', ''))}",
            _fields(reply, _COMMON_REPLY, sent=_ALWAYS),
        )
    )


def _fields(schema: Mapping[str, Any], leave_out: tuple[str, ...], *, sent: str = "required") -> str:
    required = set(schema.get("required", ()))
    fields = {name: kind for name, kind in schema["properties"].items() if name not in leave_out}
    if not fields:
        return "No fields of its own."
    rows = ["| field | type | default |", "| --- | --- | --- |"]
    for name, kind in sorted(fields.items(), key=lambda item: item[0] not in required):
        default = sent if name in required else f"`{json.dumps(kind.get('default'))}`"
        rows.append(f"| `{name}` | {_type(kind)} | {default} |")
    return "\n".join(rows)


def _type(kind: Mapping[str, Any]) -> str:
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in kind:
        return " or ".join(_type(option) for option in kind["anyOf"])
    if "enum" in kind:
        return ", ".join(f"`{json.dumps(value)}`" for value in kind["enum"])
    if kind.get("type") == "array":
        of = f" of {_type(kind['items'])}" if kind.get("items") else ""
        return f"array{of}{_bounds(kind, 'minItems', 'maxItems')}"
    if "type" in kind:
        return f"{kind['type']}{_bounds(kind, 'minLength', 'maxLength')}{_bounds(kind, 'minimum', 'maximum')}"
    return "any"


def _bounds(kind: Mapping[str, Any], least: str, most: str) -> str:
    words = []
    if least in kind:
        words.append(f"at least {kind[least]:,}")
    if "exclusiveMinimum" in kind and least == "minimum":
        words.append(f"above {kind['exclusiveMinimum']:,}")
    if most in kind:
        words.append(f"at most {kind[most]:,}")
    if "pattern" in kind and least == "minLength":
        words.append(f"matching `{kind['pattern']}`")
    return f" ({', '.join(words)})" if words else ""


def _plain(text: str) -> str:
    """A docstring of the code as Markdown on one line."""
    return " ".join(text.split()).replace("``", "`")


PARTS: Final[dict[str, Callable[[], str]]] = {
    "overview": overview,
    "operations": operations,
    "structures": structures,
    "common_request": common_request,
    "common_reply": common_reply,
    "error_reply": error_reply,
    "changed": changed,
    "progress": progress,
    "item": item,
    "snake_callback_request": callback_request,
    "snake_callback_reply": callback_reply,
    "snake_callback_released": callback_released,
    "errors": errors,
    "traits": traits,
    "pool_options": pool_options,
}
