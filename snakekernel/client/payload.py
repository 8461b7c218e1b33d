"""The contents of requests and replies: Python values into data of the grammar, and fields out again.

Rules: only what a request holds of the user's own (arguments, values, configuration) is data and encoded;
proxies and descriptions in it become references. What has no lossless form is refused here, with its path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..values import Codec, Decoder, Encoder, NotLossless, PackingEncoder, Published, Registry, registry
from ..values.bounds import member
from ..wire.errors import InvalidRequest, Unserializable
from ..wire.model import Reply
from ..wire.path import Attr, Item, Ref
from .description import Description, Inspection, Picture
from .lendable import lendable
from .proxy import ModuleProxy, StoredProxy
from .remote import Held, RemoteObject

#: Turns a reply's content and buffers into the result.
Finish = Callable[[dict[str, Any], Sequence[memoryview]], Any]
Target = str | Sequence[Any]


class RequestEncoder(PackingEncoder):
    """Encodes what one message holds of the user's own.

    Args:
        link, session_id: where it goes: proxies of another kernel or session name other objects there.
        extra: exact type -> ``(obj, encoder) -> finished data``, before every codec.
    """

    __slots__ = ("_link", "_session_id", "lent", "named")

    def __init__(
        self, link: Any, session_id: str | None, extra: Mapping[type, Callable[[Any, Any], Any]] | None = None
    ) -> None:
        super().__init__(extra=extra, registry=_OR_LENT)
        self._link = link
        self._session_id = session_id
        #: What keeps the remote objects that the message names.
        self.named: list[Held] = []
        #: Ids of the functions mentioned and not known to be sent.
        self.lent: list[str] = []

    def lend(self, function: Any) -> dict[str, Any]:
        """What is told of a function that stays here and can be called from there."""
        if self._link is None:
            raise NotLossless("a function can be sent by a client that is connected")
        told: dict[str, Any] = self._link.functions.lend(function, self._session_id)
        self.lent.append(told["id"])
        return told

    def take_back(self, since: int = 0) -> None:
        """What was encoded is not sent; ``since`` so many functions."""
        if len(self.lent) > since:
            self._link.functions.take_back(self.lent[since:])
            del self.lent[since:]

    def path(self, proxy: StoredProxy | RemoteObject) -> tuple[Any, ...]:
        """The proxy's path; raises NotLossless where it would lead to another object here."""
        if proxy._client._link is not self._link:
            raise NotLossless(f"{proxy!r} is an object of another kernel; send its value: fetch() it first")
        theirs = proxy._client._session_id
        if theirs is not None and theirs != self._session_id:
            raise NotLossless(f"{proxy!r} is an object of session {theirs!r}; share() it first")
        if type(proxy) is RemoteObject:
            self.named.append(proxy._held)
        return proxy._path


def _encode_proxy(proxy: StoredProxy | RemoteObject | Description, encoder: Encoder) -> Any:
    if not isinstance(encoder, RequestEncoder):
        raise NotLossless("a reference to a stored object is sent by its client only")
    try:
        path = encoder.path(proxy.proxy if isinstance(proxy, Description) else proxy)
    except LookupError as error:
        raise NotLossless(str(error)) from None
    return _ref.encode(Ref(path[0], path[1:]), encoder)


class _OrLent(Registry):
    """The codec table, where what has no codec and can be called stays here and is called from there."""

    def __init__(self) -> None:
        super().__init__()
        # One table with that of all encoders.
        self.__dict__ = registry.__dict__

    def handler(self, kind: type) -> Any:
        try:
            return super().handler(kind)
        except NotLossless:
            if kind is ModuleProxy or not lendable(kind):
                raise
            return _lend


def _lend(function: Any, encoder: Any) -> dict[str, Any]:
    return {"$callback": encoder.lend(function)}


_OR_LENT: Final = _OrLent()
_ref: Final = registry.tags["ref"]
registry.register(Codec("ref", (StoredProxy, RemoteObject, Description), _encode_proxy, _ref.decode))


def encode_request(
    op: str, fields: Mapping[str, Any], encoder: RequestEncoder, keep_none: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[memoryview]]:
    """A request's content and buffers. Fields that are None are left out, but for those to be kept.

    Raises:
        Unserializable: a value has no lossless form. LimitExceeded: it is too deep or too large.
    """
    if op != "pipeline":
        return encode_fields(encoder, "$", fields, keep_none), encoder.buffers
    steps = []
    for index, step in enumerate(fields["steps"]):
        steps.append(encode_fields(encoder, f"$.steps[{index}]", step, ("to",)))
    return {**fields, "steps": steps}, encoder.buffers


def encode_fields(
    encoder: RequestEncoder, at: str, fields: Mapping[str, Any], keep_none: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The fields of a request, or of a step of one that stands at ``at``, as JSON."""
    content: dict[str, Any] = {}
    name = ""
    try:
        for name, value in fields.items():
            if value is None and name not in keep_none and name != "value":
                continue
            encode = _FIELDS.get(name)
            if encode is not None:
                content[name] = encode(value, encoder)
            else:
                if type(value) is not str and value is not True:
                    check_plain(value, f"{at}.{name}")
                content[name] = value
    except NotLossless as error:
        raise Unserializable(
            f"An argument has no lossless form: {error.reason}", at=f"{at}.{name}{error.path}", fault="caller"
        ) from None
    except InvalidRequest as error:
        error.at = error.at or f"{at}.{name}"
        raise
    return content


def _encode_datum(value: Any, encoder: RequestEncoder) -> Any:
    return encoder.encode(value)


def _encode_many(value: Any, encoder: RequestEncoder) -> Any:
    if type(value) is tuple or type(value) is list:
        return encoder.elements(value)
    if not isinstance(value, Mapping):
        return encoder.elements(list(value))
    content = {}
    key = ""
    try:
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidRequest(f"{key!r:.100} is no name: only strings are.")
            content[key] = encoder.encode(item)
    except NotLossless as error:
        error.path = member(key) + error.path
        raise
    return content


def _encode_target(target: Any, encoder: RequestEncoder) -> Any:
    if isinstance(target, str):
        return target
    if isinstance(target, Description):
        target = target.proxy
    if isinstance(target, StoredProxy | RemoteObject):
        target = ["stored", *encoder.path(target)]
    elif isinstance(target, ModuleProxy):
        return ".".join(target._names)
    parts: list[Any] = []
    try:
        for part in target:
            if isinstance(part, Attr):
                parts.append({"attr": part.name})
            elif isinstance(part, Item):
                parts.append({"item": encoder.encode(part.key)})
            else:
                parts.append(encoder.encode(part))
    except NotLossless as error:
        error.path = f"[{len(parts)}]{error.path}"
        raise
    return parts


def _encode_conditions(conditions: Any, encoder: RequestEncoder) -> Any:
    encoded = []
    for n, condition in enumerate(conditions):
        try:
            check_plain({**condition, "value": None}, "")
            encoded.append({**condition, "value": encoder.encode(condition.get("value"))})
        except NotLossless as error:
            error.path = f"[{n}].value{error.path}"
            raise
    return encoded


#: Fields that hold what is the user's own, and how they are encoded; the others are plain JSON.
_FIELDS: Final[dict[str, Callable[[Any, RequestEncoder], Any]]] = {
    "target": _encode_target,
    "args": _encode_many,
    "kwargs": _encode_many,
    "config": _encode_many,
    "inputs": _encode_many,
    "value": _encode_datum,
    "filter": _encode_conditions,
}


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


def inspected(content: dict[str, Any], buffers: Sequence[memoryview]) -> Inspection:
    """What ``inspect`` answered."""
    return Inspection(content["inspection"])


def pictured(content: dict[str, Any], buffers: Sequence[memoryview]) -> Picture | None:
    """What ``preview`` answered; None where the object has no picture."""
    found = content["preview"]
    return found and Picture(**{**found, "data": Decoder(buffers).decode(found["data"])})


def published(content: dict[str, Any], buffers: Sequence[memoryview]) -> Published:
    """What ``publish`` answered."""
    return Published.from_json(content["published"])


def whole(content: dict[str, Any], buffers: Sequence[memoryview]) -> dict[str, Any]:
    """A reply's result is all of its content."""
    return content


def plain(content: dict[str, Any]) -> dict[str, Any]:
    """A reply without the common fields."""
    return {name: value for name, value in content.items() if name not in Reply.__struct_fields__}
