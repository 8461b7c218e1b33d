"""The contents of requests and replies: Python values into data of the grammar, and fields out again.

Rules: only what a request holds of the user's own (arguments, values, configuration) is data and encoded;
proxies and descriptions in it become references. What has no lossless form is refused here, with its path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..values import Encoder, NotLossless
from ..values.bounds import member
from ..wire.errors import InvalidRequest, Unserializable
from ..wire.model import Reply
from ..wire.path import Attr, Item, Ref
from .description import Description
from .proxy import ModuleProxy, StoredProxy

#: Fields that are lists or mappings of data, and those that are one datum.
_MANY: Final = {"args", "kwargs", "config", "inputs"}
_ONE: Final = "value"

#: Turns a reply's content and buffers into the result.
Finish = Callable[[dict[str, Any], Sequence[memoryview]], Any]
Target = str | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a request: proxies of another kernel or session name other objects there."""

    link: Any
    session_id: str | None

    def path(self, proxy: StoredProxy) -> tuple[Any, ...]:
        """The proxy's path; raises NotLossless where it would lead to another object here."""
        if proxy._client._link is not self.link:
            raise NotLossless(f"{proxy!r} is an object of another kernel; send its value: fetch() it first")
        theirs = proxy._client._session_id
        if theirs is not None and theirs != self.session_id:
            raise NotLossless(f"{proxy!r} is an object of session {theirs!r}; share() it first")
        return proxy._path


def encode_request(
    op: str, fields: Mapping[str, Any], sender: Sender, keep_none: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[memoryview]]:
    """A request's content and buffers. Fields that are None are left out, but for those to be kept.

    Raises:
        Unserializable: a value has no lossless form. LimitExceeded: it is too deep or too large.
    """

    def as_ref(proxy: StoredProxy, encoder: Encoder) -> Any:
        path = sender.path(proxy)
        return encoder.encode(Ref(path[0], path[1:]))

    def described_as_ref(description: Description, encoder: Encoder) -> Any:
        try:
            return as_ref(description.proxy, encoder)
        except LookupError as error:
            raise NotLossless(str(error)) from None

    encoder = Encoder(extra={StoredProxy: as_ref, Description: described_as_ref})
    if op != "pipeline":
        return _encode_fields(encoder, sender, "$", fields, keep_none), encoder.buffers
    steps = [
        _encode_fields(encoder, sender, f"$.steps[{index}]", step, ("to",))
        for index, step in enumerate(fields["steps"])
    ]
    return {**fields, "steps": steps}, encoder.buffers


def _encode_fields(
    encoder: Encoder, sender: Sender, at: str, fields: Mapping[str, Any], keep_none: tuple[str, ...]
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
            content[name] = _encode_target(encoder, sender, where, value)
        elif name not in _MANY:
            check_plain(value, where)
            content[name] = value
        elif isinstance(value, Mapping):
            _check_names(value, where)
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


def _encode_target(encoder: Encoder, sender: Sender, at: str, target: Any) -> Any:
    if isinstance(target, Description):
        target = target.proxy
    if isinstance(target, StoredProxy):
        try:
            target = ["stored", *sender.path(target)]
        except NotLossless as error:
            raise Unserializable(error.reason, at=at, fault="caller") from None
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


def _check_names(value: Mapping[Any, Any], at: str) -> None:
    for name in value:
        if not isinstance(name, str):
            raise InvalidRequest(f"{name!r:.100} is no name: only strings are.", at=at)


def check_plain(value: Any, at: str) -> None:
    """Raise InvalidRequest where a field that is no data would not come out of JSON as it went in."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(f"{value} has no place here: JSON does not know it.", at=at)
    if isinstance(value, Mapping):
        _check_names(value, at)
        for name, item in value.items():
            check_plain(item, at + member(name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_plain(item, f"{at}[{index}]")
    elif not isinstance(value, str | int | float | None):
        raise InvalidRequest(f"A {type(value).__name__} is no plain JSON.", at=at)


def stored_path(target: Any) -> tuple[Any, ...] | None:
    """The path below ``stored`` that a target names, or None."""
    if isinstance(target, StoredProxy):
        return target._path
    parts = target.split(".") if isinstance(target, str) else target
    return tuple(parts[1:]) if parts and parts[0] == "stored" else None


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
    return {name: value for name, value in content.items() if name not in Reply.__struct_fields__}
