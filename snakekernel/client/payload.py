"""The contents of requests and replies: Python values into data of the grammar, and fields out again.

Rules: only what a request holds of the user's own (arguments, values, configuration) is data and encoded;
proxies and descriptions in it become references. What has no lossless form is refused here, with its path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..values import Encoder, NotLossless
from ..values.bounds import member
from ..wire.errors import Unserializable
from ..wire.path import Attr, Item, Ref
from .description import Description
from .proxy import ModuleProxy, StoredProxy

#: Fields that are lists or mappings of data, and those that are one datum.
_MANY: Final = {"args", "kwargs", "config", "inputs"}
_ONE: Final = "value"

#: Turns a reply's content and buffers into the result.
Finish = Callable[[dict[str, Any], Sequence[memoryview]], Any]
Target = str | Sequence[Any]


def encode_request(
    op: str, fields: Mapping[str, Any], keep_none: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[memoryview]]:
    """A request's content and buffers. Fields that are None are left out, but for those to be kept.

    Raises:
        Unserializable: a value has no lossless form. LimitExceeded: it is too deep or too large.
    """
    encoder = Encoder(extra=_REFERENCES)
    if op != "pipeline":
        return _encode_fields(encoder, "$", fields, keep_none), encoder.buffers
    steps = [
        _encode_fields(encoder, f"$.steps[{index}]", step, ("to",))
        for index, step in enumerate(fields["steps"])
    ]
    return {**fields, "steps": steps}, encoder.buffers


def _encode_fields(
    encoder: Encoder, at: str, fields: Mapping[str, Any], keep_none: tuple[str, ...]
) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in fields.items():
        where = f"{at}.{name}"
        if name == _ONE:
            content[name] = _encode_datum(encoder, where, value)
        elif value is None:
            if name in keep_none:
                content[name] = None
        elif name == "target":
            content[name] = _encode_target(encoder, where, value)
        elif name not in _MANY:
            content[name] = value
        elif isinstance(value, Mapping):
            content[name] = {
                key: _encode_datum(encoder, where + member(key), item) for key, item in value.items()
            }
        else:
            content[name] = [
                _encode_datum(encoder, f"{where}[{index}]", item) for index, item in enumerate(value)
            ]
    return content


def _encode_datum(encoder: Encoder, at: str, value: Any) -> Any:
    try:
        return encoder.encode(value)
    except NotLossless as error:
        raise Unserializable(
            f"An argument has no lossless form: {error.reason}", at=f"{at}{error.path}", fault="caller"
        ) from None


def _encode_target(encoder: Encoder, at: str, target: Any) -> Any:
    if isinstance(target, Description):
        target = target.proxy
    if isinstance(target, StoredProxy):
        target = ["stored", *target._path]
    elif isinstance(target, ModuleProxy):
        target = ".".join(target._names)
    if isinstance(target, str):
        return target
    parts: list[Any] = []
    for index, part in enumerate(target):
        where = f"{at}[{index}]"
        if isinstance(part, Attr):
            parts.append({"attr": part.name})
        elif isinstance(part, Item):
            parts.append({"item": _encode_datum(encoder, where, part.key)})
        else:
            parts.append(_encode_datum(encoder, where, part))
    return parts


def stored_path(target: Any) -> tuple[Any, ...] | None:
    """The path below ``stored`` that a target names, or None."""
    if isinstance(target, StoredProxy):
        return target._path
    parts = target.split(".") if isinstance(target, str) else target
    return tuple(parts[1:]) if parts and parts[0] == "stored" else None


def _as_ref(proxy: StoredProxy, encoder: Encoder) -> Any:
    return encoder.encode(Ref(proxy._path[0], tuple(proxy._path[1:])))


def _described_as_ref(description: Description, encoder: Encoder) -> Any:
    try:
        return _as_ref(description.proxy, encoder)
    except LookupError as error:
        raise NotLossless(str(error)) from None


_REFERENCES: Final[dict[type, Callable[[Any, Encoder], Any]]] = {
    StoredProxy: _as_ref,
    Description: _described_as_ref,
}


def field(name: str) -> Finish:
    """A reply's result is one of its fields."""

    def finish(content: dict[str, Any], buffers: Sequence[memoryview]) -> Any:
        return content[name]

    return finish


def whole(content: dict[str, Any], buffers: Sequence[memoryview]) -> dict[str, Any]:
    """A reply's result is all of its content."""
    return content


def plain(content: dict[str, Any]) -> dict[str, Any]:
    """A reply without the common fields."""
    common = ("status", "timestamp", "epoch", "output", "lossy")
    return {name: value for name, value in content.items() if name not in common}
