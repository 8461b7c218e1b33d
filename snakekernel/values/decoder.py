"""The data grammar back to objects.

Rules: everything wrong raises InvalidRequest with the JSON path of the offending part (LimitExceeded beyond
a limit); a malformed payload never yields another exception, whatever its codec does. Errors raised inside
carry a path relative to the payload; it is completed while they unwind, so plain data pays nothing for paths.
Each binary buffer is used exactly once; arrays are views of it. Nothing is imported or called because a
payload says so: classes are found by ``resolve_name`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from snakekernel.values.bounds import DEFAULT_LIMITS, Limits, member
from snakekernel.values.registry import Registry, registry
from snakekernel.wire.errors import InvalidRequest, LimitExceeded, SnakeError
from snakekernel.wire.path import Ref, Step

if TYPE_CHECKING:
    from snakekernel.values.callbacks import Callback
    from snakekernel.values.published import Published

T = TypeVar("T")
_pack = msgspec.json.Encoder().encode

#: Exact types of JSON data that stand for themselves: decoding them gives them back.
PLAIN = frozenset({str, int, float, bool, type(None)})
_KIND_NAMES: dict[type, str] = {
    str: "text",
    int: "an integer",
    bool: "true or false",
    list: "an array",
    dict: "an object",
}


class Decoder:
    """Decodes the values of one message; limits and buffers count over all its ``decode`` calls.

    Args:
        buffers: the message's binary buffers.
        limits: bounds of the whole message.
        resolve_ref, resolve_step: turn a reference into its object; without them it stays a ``Ref``/``Step``.
        resolve_name: ``"pkg.mod:Qualified.name"`` to the class, for ``$enum``; without it only modules that
            are imported already are looked at.
        resolve_callback: turns a ``Callback`` into what stands for that function; without it it is refused.
        resolve_published: opens what another kernel published; without it it stays a ``Published``.
        at: JSON path of the data given to ``decode``.
        registry: the codec table.

    Attributes:
        used: indexes of the buffers consumed so far.
    """

    __slots__ = (
        "_at",
        "_busy",
        "_depth",
        "_items",
        "_nbytes",
        "_registry",
        "_resolver_error",
        "buffers",
        "limits",
        "resolve_callback",
        "resolve_name",
        "resolve_published",
        "resolve_ref",
        "resolve_step",
        "used",
    )

    def __init__(
        self,
        buffers: Sequence[memoryview] = (),
        limits: Limits = DEFAULT_LIMITS,
        resolve_ref: Callable[[Ref], Any] | None = None,
        resolve_step: Callable[[Step], Any] | None = None,
        resolve_name: Callable[[str], Any] | None = None,
        at: str = "$",
        *,
        resolve_callback: Callable[[Callback], Any] | None = None,
        resolve_published: Callable[[Published], Any] | None = None,
        registry: Registry = registry,
    ) -> None:
        self.buffers = buffers
        self.limits = limits
        self.resolve_ref = resolve_ref
        self.resolve_step = resolve_step
        self.resolve_name = resolve_name
        self.resolve_callback = resolve_callback
        self.resolve_published = resolve_published
        self.used: set[int] = set()
        self._at = at
        self._registry = registry
        self._busy = False
        self._depth = 0
        self._items = 0
        self._nbytes = 0
        self._resolver_error: BaseException | None = None

    def decode(self, data: Any, at: str | None = None) -> Any:
        """The object of ``data``; ``at`` overrides the decoder's own JSON path for this call.

        Raises InvalidRequest, LimitExceeded, Unsupported, or what a resolver raised; SnakeErrors get ``at``.
        """
        if self._busy:
            return self.child(data)
        if self._stands_for_itself(data):
            return data
        self._busy = True
        try:
            return self._value(data)
        except SnakeError as exc:
            if exc.at is None or exc.at[:1] != "$":
                exc.at = (self._at if at is None else at) + (exc.at or "")
            raise
        except RecursionError as exc:
            if exc is self._resolver_error:
                raise
            where = self._at if at is None else at
            raise LimitExceeded("the value is nested too deeply for the stack", at=where) from None
        finally:
            self._busy = False
            self._depth = 0
            self._resolver_error = None

    # For codecs ---------------------------------------------------------------------------------------------

    def at(self, *steps: str | int) -> str:
        """Path of a part of the payload in hand, for ``InvalidRequest(at=...)``; completed later."""
        return "".join(f"[{step}]" if type(step) is int else member(step) for step in steps)

    def child(self, data: Any, *steps: str | int) -> Any:
        """Decode a part of the payload, found in it at ``steps``."""
        depth = self._depth
        try:
            return self._value(data)
        except BaseException as exc:
            self._depth = depth
            if isinstance(exc, SnakeError):
                _prefix(exc, self.at(*steps))
            raise

    def expect(self, data: Any, kind: type[T], *steps: str | int) -> T:
        """``data`` if it is exactly a ``kind``; else InvalidRequest. For str also ``{"$str": ...}``."""
        if type(data) is kind:
            return data
        if kind is str and type(data) is dict and "$str" in data:
            return self.child(data, *steps)  # type: ignore[no-any-return]
        name = _KIND_NAMES.get(kind, kind.__name__)
        raise InvalidRequest(f"expected {name}, not {_describe(data)}", at=self.at(*steps))

    def fields(
        self, payload: Any, required: Mapping[str, type], optional: Mapping[str, type] | None = None
    ) -> dict[str, Any]:
        """The payload, checked to be an object with these fields of these JSON types and no others.

        ``object`` as a type allows anything.
        """
        given: dict[str, Any] = self.expect(payload, dict)
        allowed = {**required, **(optional or {})}
        for name, value in given.items():
            if name not in allowed:
                raise InvalidRequest(f"unknown field {name[:40]!r}", at=self.at(name))
            if allowed[name] is not object and type(value) is not allowed[name]:
                self.expect(value, allowed[name], name)
        for name in required:
            if name not in given:
                raise InvalidRequest(f"the field {name!r} is missing", at=self.at())
        return given

    def shape(self, data: Any, *steps: str | int) -> list[int]:
        """A list of integers from 0, such as an array's shape."""
        shape: list[Any] = self.expect(data, list, *steps)
        for index, length in enumerate(shape):
            if type(length) is not int or length < 0:
                raise InvalidRequest("expected a length, an integer from 0", at=self.at(*steps, index))
        return shape

    def buffer(self, index: Any, *steps: str | int) -> memoryview:
        """The buffer of that index, as a flat view of bytes; each buffer can be taken once."""
        if type(index) is not int or index < 0:
            raise InvalidRequest("expected the index of a buffer, an integer from 0", at=self.at(*steps))
        if index >= len(self.buffers):
            raise InvalidRequest(
                f"there is no buffer {index}: the message has {len(self.buffers)}", at=self.at(*steps)
            )
        if index in self.used:
            raise InvalidRequest(f"buffer {index} is used twice", at=self.at(*steps))
        view = memoryview(self.buffers[index])
        self._nbytes += view.nbytes
        if self._nbytes > self.limits.buffer_bytes:
            raise LimitExceeded(
                f"the buffers hold more than {self.limits.buffer_bytes} bytes", at=self.at(*steps)
            )
        self.used.add(index)
        return view if view.format == "B" and view.ndim == 1 else view.cast("B")

    def charge(self, items: int) -> None:
        """Count elements against the limit. Raises LimitExceeded."""
        self._items += items
        if self._items > self.limits.items:
            raise LimitExceeded(f"the value has more than {self.limits.items} items")

    def elements(self, payload: list[Any]) -> list[Any]:
        """Decode each element of an array; an error's path gets its index. The fast path of sequences."""
        out: list[Any] = []
        append = out.append
        value = self._value
        leaves = PLAIN
        self._items += len(payload)
        if self._items > self.limits.items:
            self.charge(0)
        try:
            for child in payload:
                append(child if type(child) in leaves else value(child))
        except SnakeError as exc:
            _prefix(exc, f"[{len(out)}]")
            raise
        return out

    def resolve(self, resolver: Callable[[Any], Any] | None, name: Any) -> Any:
        """What the resolver makes of ``name``, or ``name`` itself; its exceptions pass through unchanged."""
        if resolver is None:
            return name
        try:
            return resolver(name)
        except BaseException as exc:
            self._resolver_error = exc
            raise

    # Inside -------------------------------------------------------------------------------------------------

    def _stands_for_itself(self, data: Any) -> bool:
        """Whether JSON data certainly has no tag in it and is within the limits, as most data.

        Packed again, it is looked through without a step of Python's for each part. Whatever else it is, and
        how deep it is where it has many containers, ``_value`` finds out.
        """
        if type(data) is not dict and type(data) is not list:
            return False
        try:
            packed = _pack(data)
        except (TypeError, ValueError, RecursionError):
            return False
        containers = packed.count(b"[") + packed.count(b"{")
        # Those in texts are counted too; near a limit the exact count decides.
        items = self._items + containers + packed.count(b",")
        if b"$" in packed or containers > self.limits.depth or items > self.limits.items // 2:
            return False
        self._items = items
        return True

    def _value(self, data: Any) -> Any:
        kind = type(data)
        if kind in PLAIN:
            return data
        depth = self._depth
        if depth >= self.limits.depth:
            raise LimitExceeded(f"the value is nested deeper than {self.limits.depth} levels")
        self._depth = depth + 1
        if kind is list:
            out: Any = self.elements(data)
        elif kind is not dict:
            raise InvalidRequest(f"expected JSON data, not {_describe(data)}")
        else:
            for tag in data:
                if tag[:1] == "$":
                    break
            else:
                tag = ""
            out = self._mapping(data) if not tag else self._tagged(data, tag)
        self._depth = depth
        return out

    def _mapping(self, data: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        value = self._value
        leaves = PLAIN
        self._items += len(data)
        if self._items > self.limits.items:
            self.charge(0)
        key = ""
        try:
            for key, child in data.items():
                out[key] = child if type(child) in leaves else value(child)
        except SnakeError as exc:
            _prefix(exc, member(key))
            raise
        return out

    def _tagged(self, data: dict[str, Any], tag: str) -> Any:
        if len(data) != 1:
            raise InvalidRequest(
                f"an object with the tag {tag[:80]!r} has no other key; send a dict with such a key as $dict"
            )
        codec = self._registry.codec(tag[1:])
        try:
            return codec.decode(data[tag], self)
        except SnakeError as exc:
            if exc.at is not None:
                _prefix(exc, member(tag))
            raise
        except (Exception, SystemExit) as exc:  # a codec's own failure on a payload is the payload's fault
            if exc is self._resolver_error or isinstance(exc, RecursionError):
                raise
            reason = f"malformed ${codec.tag}: {type(exc).__name__}: {exc}"
            raise InvalidRequest(reason, at=member(tag)) from exc


def _prefix(exc: SnakeError, step: str) -> None:
    if exc.at is None:
        exc.at = step or None
    elif exc.at[:1] != "$":
        exc.at = step + exc.at


def _describe(data: Any) -> str:
    if data is None:
        return "null"
    return _KIND_NAMES.get(type(data)) or f"a {type(data).__name__}"
