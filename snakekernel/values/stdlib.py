"""Other value types of the standard library: ``$uuid``, ``$path``, ``$enum``, ``$range``, ``$slice``,
``$ellipsis``.

Rules: ``{"$path": text}`` is the receiver's own ``pathlib.Path``, pure paths name their kind; an enum member
travels as its class's name and its own, and its class is looked up, never imported, by the receiver.
"""

from __future__ import annotations

import enum
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import EllipsisType, ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID, SafeUUID

from snakekernel.values.bounds import NotLossless, type_module, type_name
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

_PURE_PATHS = {"PurePosixPath": PurePosixPath, "PureWindowsPath": PureWindowsPath}
_MISSING = object()


def _encode_uuid(obj: UUID, encoder: Encoder) -> Any:
    if obj.is_safe is SafeUUID.unknown:
        return str(obj)
    return {"uuid": str(obj), "safe": obj.is_safe is SafeUUID.safe}


def _decode_uuid(payload: Any, decoder: Decoder) -> UUID:
    safe, where, text = SafeUUID.unknown, (), payload
    if type(payload) is dict and "$str" not in payload:
        decoder.fields(payload, {"uuid": str, "safe": bool})
        safe = SafeUUID.safe if payload["safe"] else SafeUUID.unsafe
        where, text = ("uuid",), payload["uuid"]  # type: ignore[assignment]
    text = decoder.expect(text, str, *where)
    try:
        return UUID(text, is_safe=safe)
    except ValueError:
        raise InvalidRequest(f"{text[:60]!r} is no UUID", at=decoder.at(*where)) from None


def _encode_path(obj: PurePath, encoder: Encoder) -> Any:
    text = encoder.encode(str(obj))
    kind = type(obj).__name__
    return {"path": text, "as": kind} if kind in _PURE_PATHS else text


def _decode_path(payload: Any, decoder: Decoder) -> PurePath:
    if type(payload) is not dict or "$str" in payload:
        return Path(decoder.expect(payload, str))
    decoder.fields(payload, {"path": object, "as": str})
    if payload["as"] not in _PURE_PATHS:
        raise InvalidRequest(f"expected one of {', '.join(_PURE_PATHS)}", at=decoder.at("as"))
    return _PURE_PATHS[payload["as"]](decoder.expect(payload["path"], str, "path"))


def _is_enum(kind: type) -> bool:
    # type.__subclasscheck__, so that no metaclass above EnumType is asked.
    return type.__subclasscheck__(enum.Enum, kind)


def _encode_enum(obj: enum.Enum, encoder: Encoder) -> dict[str, Any]:
    kind = type(obj)
    qualified: str = type.__dict__["__qualname__"].__get__(kind)
    name = f"{type_module(kind)}:{qualified}"
    if _find(name) is not kind:
        raise NotLossless(f"the enum {type_name(kind)} cannot be found by its name")
    own = object.__getattribute__(obj, "_name_")
    getter: Any = vars(type)["__dict__"]
    members: dict[str, Any] = getter.__get__(kind)["_member_map_"]
    if type(own) is str and members.get(own) is obj:
        return {"class": name, "name": encoder.encode(own)}
    if not issubclass(kind, enum.Flag):
        raise NotLossless(f"it is no longer a member of {type_name(kind)}")
    # A combination of flags may have no name; its value is an int.
    return {"class": name, "value": encoder.encode(object.__getattribute__(obj, "_value_"))}


def _decode_enum(payload: Any, decoder: Decoder) -> Any:
    decoder.fields(payload, {"class": str}, {"name": object, "value": object})
    if ("name" in payload) == ("value" in payload):
        raise InvalidRequest('expected either "name" or "value"', at=decoder.at())
    text = payload["class"]
    kind: Any = _find(text) if decoder.resolve_name is None else decoder.resolve(decoder.resolve_name, text)
    if kind is _MISSING:
        reason = f"there is no class {text[:200]!r} here; import its module first"
        raise InvalidRequest(reason, at=decoder.at("class"))
    if not isinstance(kind, type) or not _is_enum(kind):
        raise InvalidRequest(f"{text[:200]!r} is no enum class", at=decoder.at("class"))
    if "name" in payload:
        name = decoder.expect(payload["name"], str, "name")
        member = kind._member_map_.get(name)  # type: ignore[attr-defined]
        if member is None:
            raise InvalidRequest(f"{kind.__name__} has no member {name[:80]!r}", at=decoder.at("name"))
        return member
    value = decoder.child(payload["value"], "value")
    try:
        found = kind(value)
    except ValueError:
        found = None
    # A boundary such as EJECT gives the plain int back.
    if type(found) is not kind:
        raise InvalidRequest(f"{kind.__name__} has no such value", at=decoder.at("value"))
    return found


def _find(name: str) -> Any:
    """``"pkg.mod:Qualified.name"`` among imported modules, by their dictionaries alone: nothing runs."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module, _MISSING)
    for part in path.split("."):
        if type.__subclasscheck__(ModuleType, type(found)):
            getter: Any = vars(ModuleType)["__dict__"]
        elif type.__subclasscheck__(type, type(found)):
            getter = vars(type)["__dict__"]
        else:
            return _MISSING
        found = getter.__get__(found).get(part, _MISSING)
    return found


def _encode_range(obj: range, encoder: Encoder) -> list[Any]:
    return [encoder.encode(part) for part in (obj.start, obj.stop, obj.step)]


def _decode_range(payload: Any, decoder: Decoder) -> range:
    parts = [decoder.child(part, index) for index, part in enumerate(decoder.expect(payload, list))]
    if len(parts) != 3 or any(type(part) is not int for part in parts) or parts[2] == 0:
        raise InvalidRequest("expected [start, stop, step], integers, step not 0", at=decoder.at())
    return range(*parts)


def _encode_slice(obj: slice, encoder: Encoder) -> list[Any]:
    return encoder.elements((obj.start, obj.stop, obj.step))


def _decode_slice(payload: Any, decoder: Decoder) -> slice:
    parts = decoder.elements(decoder.expect(payload, list))
    if len(parts) != 3:
        raise InvalidRequest("expected [start, stop, step]", at=decoder.at())
    return slice(*parts)


def _decode_ellipsis(payload: Any, decoder: Decoder) -> EllipsisType:
    if payload is not None:
        raise InvalidRequest("expected null", at=decoder.at())
    return ...


CODECS = (
    Codec("uuid", (UUID,), _encode_uuid, _decode_uuid),
    Codec("path", (PurePosixPath, PureWindowsPath, type(Path())), _encode_path, _decode_path),
    Codec("enum", (), _encode_enum, _decode_enum, matches=_is_enum),
    Codec("range", (range,), _encode_range, _decode_range),
    Codec("slice", (slice,), _encode_slice, _decode_slice),
    Codec("ellipsis", (EllipsisType,), lambda obj, encoder: None, _decode_ellipsis),
)
