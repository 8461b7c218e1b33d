"""What a reply says of an object: its value, a preview, or a reference to it.

Rules: a reference names an anonymous entry of the store. Where the request names a ``lease``, its sender
holds the entry, and it goes when the sender lets it go, is heard of no more, or its session ends. An entry
that was given another name or stored anew meanwhile is nobody's to release.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..inspection.small import of_small_scalar
from ..values import Encoder, PackingEncoder
from ..wire.errors import SnakeError

if TYPE_CHECKING:
    from .scope import Scope

#: What comes by value where a proxy is asked for: it cannot change, so that a copy is as good.
_BY_VALUE: Final = frozenset({type(None), bool, int, float, str, bytes})
#: Bytes, or characters, of the largest.
_MOST: Final = 64 << 10
#: Ways for a result to come that leave something behind.
REFERENCES: Final = frozenset({"ref", "proxy"})


def result(scope: Scope, obj: Any, returns: str, *, preview: bool = False, at: str = "$.returns") -> Any:
    """An object as a reply gives it: described, with its value as ``returns`` asks.

    ``preview`` says what ``auto`` means here: a preview whatever the size.
    """
    if returns == "none":
        return None
    if returns in REFERENCES:
        return reference(scope, obj, returns)
    forced = returns == "value"
    limits = scope.runtime.limits if forced else scope.runtime.auto_limits
    plain = of_small_scalar(obj, limits)
    if plain is not None:
        return plain
    if returns == "preview" or (returns == "auto" and preview):
        return scope.invoke(scope.describer().preview, (obj,), at=at, trusted=True)
    if (type(obj) is dict or type(obj) is list) and not scope.static:
        # Most results that are no scalars; no code but ours runs.
        packed = PackingEncoder(limits=limits).packed(obj)
        if packed is not None:
            return {**scope.kind(obj), "value": packed}
    encoder = Encoder(limits=limits)
    encoder.buffers = scope.buffers
    mark = len(scope.buffers)
    try:
        description = scope.invoke(
            scope.describer().value_or_preview, (obj, encoder), {"force": forced}, at=at, trusted=True
        )
    except SnakeError as error:
        del scope.buffers[mark:]
        error.at = error.at or at
        raise
    if "value" not in description:
        del scope.buffers[mark:]
    return description


def reference(scope: Scope, obj: Any, returns: str, name: str | None = None) -> Any:
    """An object as a reference, or as a value where it is a small scalar and ``returns`` is ``"proxy"``.

    Args:
        name: where it is stored already; None stores it under an anonymous name, held by the sender where
            the request names a lease.
    """
    if returns == "proxy" and type(obj) in _BY_VALUE and _is_small(obj):
        return result(scope, obj, "value")
    if name is None:
        entry = scope.put_anonymous(obj)
        name = entry.name
        if scope.lease is not None:
            # By name and version: what is kept for the release must not keep the object.
            release = partial(scope.runtime.store.release, scope.space, name, entry.version)
            scope.hold(("ref", name), release)
    return {**scope.kind(obj), "value": {"$ref": name}}


def _is_small(obj: Any) -> bool:
    if type(obj) is str or type(obj) is bytes:
        return len(obj) <= _MOST
    # Beyond this Python itself makes no decimal text of it.
    return type(obj) is not int or obj.bit_length() <= 8_192
