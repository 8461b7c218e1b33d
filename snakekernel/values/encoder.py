"""Objects to the data grammar: JSON-able data and flat binary buffers.

Rules: one look-up by ``type(obj)`` decides; no code of a user's class runs (no ``__getattr__``, ``__iter__``,
``__eq__``, no metaclass). What cannot be kept exactly raises NotLossless with its path. Buffers of contiguous
memory are views of the object, not copies: send them before the object may change. A failed ``encode`` leaves
the encoder as it was, so a caller may go on with another object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from snakekernel.values.bounds import DEFAULT_LIMITS, SAFE_INTEGER, Limits, NotLossless, member
from snakekernel.values.codec import Handler
from snakekernel.values.registry import Registry, registry
from snakekernel.wire.errors import LimitExceeded
from snakekernel.wire.frame import flattened

#: What one element adds to the estimated JSON, in bytes.
_ELEMENT = 8


class Encoder:
    """Encodes the values of one message; limits and buffers count over all its ``encode`` calls.

    Args:
        limits: bounds of the whole message.
        extra: exact type -> ``(obj, encoder) -> finished data``; asked before every codec.
        registry: the codec table.

    Attributes:
        buffers: flat contiguous ``memoryview``s of format ``B``, in index order.
    """

    __slots__ = (
        "_active",
        "_depth",
        "_handlers",
        "_items",
        "_json",
        "_registry",
        "buffers",
        "limits",
        "nbytes",
    )

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        extra: Mapping[type, Callable[[Any, Encoder], Any]] | None = None,
        *,
        registry: Registry = registry,
    ) -> None:
        self.limits = limits
        self.buffers: list[memoryview] = []
        self.nbytes = 0
        self._registry = registry
        self._handlers: dict[int, Handler] = registry.handlers
        if extra:
            self._handlers = {**registry.handlers, **{id(kind): handler for kind, handler in extra.items()}}
        self._active: dict[int, None] = {}
        self._depth = 0
        self._items = 0
        self._json = 0

    def encode(self, obj: Any) -> Any:
        """The data of ``obj``. Raises NotLossless (with path and reason) or LimitExceeded."""
        depth, items, json = self._depth, self._items, self._json
        nbytes, buffers = self.nbytes, len(self.buffers)
        try:
            handler = self._handlers.get(id(type(obj))) or self._registry.handler(type(obj))
            return handler(obj, self)
        except BaseException as exc:  # whatever happened, undo what this call added
            self._depth, self._items, self._json, self.nbytes = depth, items, json, nbytes
            del self.buffers[buffers:]
            while len(self._active) > depth:
                self._active.popitem()
            if isinstance(exc, RecursionError):
                raise LimitExceeded("the value is nested too deeply for the stack", fault="target") from None
            raise

    def buffer(self, data: Any) -> int:
        """Append a bytes-like object as a buffer and return its index; contiguous memory is not copied."""
        view = memoryview(data)
        self.reserve(view.nbytes)
        view = flattened(view)
        self.buffers.append(view)
        self.nbytes += view.nbytes
        return len(self.buffers) - 1

    def reserve(self, nbytes: int) -> None:
        """Raise LimitExceeded if a further buffer of ``nbytes`` would not fit; ask before copying."""
        if self.nbytes + nbytes > self.limits.buffer_bytes:
            raise LimitExceeded(
                f"the value needs more than {self.limits.buffer_bytes} bytes of buffers", fault="target"
            )

    def charge(self, items: int = 0, json_bytes: int = 0) -> None:
        """Count elements and bytes of JSON against the limits. Raises LimitExceeded."""
        self._items += items
        self._json += json_bytes + items * _ELEMENT
        if self._items > self.limits.items:
            raise LimitExceeded(f"the value has more than {self.limits.items} items", fault="target")
        if self._json > self.limits.json_bytes:
            raise LimitExceeded(
                f"the value needs more than {self.limits.json_bytes} bytes of JSON", fault="target"
            )

    def packed(self, obj: Any) -> Any:
        """A list or dict as JSON already, where that is wanted and can be had at once, else None."""
        return None

    def enter(self, obj: Any) -> None:
        """Begin a container. Raises NotLossless if it contains itself, LimitExceeded beyond the depth."""
        if id(obj) in self._active:
            raise NotLossless("it contains itself, and a value with a cycle has no JSON form")
        if self._depth >= self.limits.depth:
            raise LimitExceeded(f"the value is nested deeper than {self.limits.depth} levels", fault="target")
        self._active[id(obj)] = None
        self._depth += 1

    def leave(self, obj: Any) -> None:
        """End a container that was entered."""
        del self._active[id(obj)]
        self._depth -= 1

    def elements(self, children: Sequence[Any]) -> list[Any]:
        """Encode each child; an error's path gets its index. The fast path of every sequence."""
        out: list[Any] = []
        append = out.append
        find = self._handlers.get
        size = 0
        self._items += len(children)
        if self._items > self.limits.items:
            self.charge()
        try:
            for child in children:
                kind = type(child)
                if kind is str and child.isascii():
                    size += len(child)
                    append(child)
                elif (
                    (kind is int and -SAFE_INTEGER <= child <= SAFE_INTEGER)
                    or (kind is float and isfinite(child))
                    or kind is bool
                    or child is None
                ):
                    append(child)
                else:
                    handler = find(id(kind)) or self._registry.handler(kind)
                    append(handler(child, self))
        except NotLossless as exc:
            exc.path = f"[{len(out)}]{exc.path}"
            raise
        self._json += size + _ELEMENT * len(out)
        if self._json > self.limits.json_bytes:
            self.charge()
        return out

    def mapping(self, obj: dict[Any, Any]) -> dict[str, Any] | None:
        """Encode an exact dict as a JSON object; None if a key is not JSON's own, or begins with ``$``."""
        out: dict[str, Any] = {}
        nested: list[str] = []
        size = 0
        # A snapshot: another thread may change the dict while its values are encoded.
        for key, value in list(obj.items()):
            if type(key) is not str or key[:1] == "$" or not (key.isascii() or is_text(key)):
                return None
            size += len(key)
            out[key] = value
            kind = type(value)
            if kind is str and value.isascii():
                size += len(value)
            elif not (
                (kind is int and -SAFE_INTEGER <= value <= SAFE_INTEGER)
                or (kind is float and isfinite(value))
                or kind is bool
                or value is None
            ):
                nested.append(key)
        self._items += len(out)
        if self._items > self.limits.items:
            self.charge()
        find = self._handlers.get
        key = ""
        try:
            for key in nested:
                kind = type(value := out[key])
                handler = find(id(kind)) or self._registry.handler(kind)
                out[key] = handler(value, self)
        except NotLossless as exc:
            exc.path = member(key) + exc.path
            raise
        self._json += size + _ELEMENT * len(out)
        if self._json > self.limits.json_bytes:
            self.charge()
        return out


def is_text(value: str) -> bool:
    """Whether a string is Unicode text, that is: has a UTF-8 form (no lone surrogate)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
