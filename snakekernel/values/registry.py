"""The codec table: which codec serves a type, which one a tag, and the lazy loading of both.

Rules: nothing beyond the standard library is imported before an object or a tag of that root package is met.
Types are looked up by identity, so a hostile metaclass (``__hash__``, ``__eq__``) never runs. Entry points
are read once, on the first unknown root package; one that fails is remembered and reported by name each time
it is needed. A tag or type belongs to one codec; codecs may share a tag only if they share its ``decode``.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from snakekernel.values import binary, callbacks, containers, published, refs, scalars, stdlib, times
from snakekernel.values.bounds import NotLossless, type_module, type_name
from snakekernel.values.codec import Codec, Handler
from snakekernel.wire.errors import InvalidRequest, SnakeError, Unsupported

#: Entry point group of third-party codecs; an entry point's name is the root package that triggers it.
GROUP = "snakekernel.codecs"

_FAMILIES = (scalars, containers, binary, times, stdlib, refs, callbacks, published)
#: Root package of a type -> our module with its ``CODECS``.
_LAZY_ROOTS = {
    "numpy": "snakekernel.values.numpy",
    "pandas": "snakekernel.values.pandas",
    "pyarrow": "snakekernel.values.arrow",
    "zoneinfo": "snakekernel.values.zones",
}
#: Tag -> root package, for built-in codecs whose tags are not named after a package.
_LAZY_TAGS = {
    "ndarray": "numpy",
    "npscalar": "numpy",
    "dtype": "numpy",
    "arrow": "pyarrow",
    "pandas": "pandas",
}


class Registry:
    """A codec table. The module's ``registry`` is the one that encoders and decoders use by default."""

    def __init__(self) -> None:
        #: ``id(type)`` -> handler; the types are kept alive by ``_types``.
        self.handlers: dict[int, Handler] = {}
        self.tags: dict[str, Codec] = {}
        self._types: dict[int, tuple[type, Codec | None]] = {}
        self._predicates: list[tuple[Codec, Handler]] = []
        self._loaded: set[str] = set()
        self._failures: dict[str, str] = {}
        self._found: dict[str, list[EntryPoint]] | None = None
        for kind, handler in (*scalars.NATIVE.items(), *containers.NATIVE.items()):
            self.handlers[id(kind)] = handler
            self._types[id(kind)] = (kind, None)
        for family in _FAMILIES:
            for codec in family.CODECS:
                self.register(codec)

    def register(self, codec: Codec) -> None:
        """Add a codec; again is harmless. Raises ValueError if its tag or one of its types is taken."""
        known = self.tags.get(codec.tag)
        if known is not None and known.decode is not codec.decode:
            raise ValueError(f"the codec tag ${codec.tag} is taken by {known.decode.__module__}")
        for kind in codec.types:
            _, owner = self._types.get(id(kind), (kind, codec))
            if owner is not codec and owner != codec:
                by = f"the codec ${owner.tag}" if owner else "plain JSON"
                raise ValueError(f"the type {type_name(kind)} is already served by {by}")
        handler = _handler(codec)
        self.tags[codec.tag] = codec
        for kind in codec.types:
            self._types[id(kind)] = (kind, codec)
            self.handlers[id(kind)] = handler
        if codec.matches is not None and all(other != codec for other, _ in self._predicates):
            self._predicates.append((codec, handler))

    def handler(self, kind: type) -> Handler:
        """The handler of a type; loads the codecs of its root package first if need be.

        Raises NotLossless if no codec serves it; the reason names a failed entry point of its package.
        """
        handler = self._match(kind)
        if handler is None:
            root = type_module(kind).partition(".")[0]
            self.load(root)
            # Again in any case: another thread may have loaded it since.
            handler = self._match(kind)
            if handler is None:
                raise NotLossless(self._failures.get(root) or self._why_not(kind))
        return handler

    def codec(self, tag: str) -> Codec:
        """The codec of a tag (without ``$``).

        Raises InvalidRequest for an unknown tag, Unsupported if what it needs is not installed or broken.
        """
        codec = self.tags.get(tag)
        if codec is None:
            root = _LAZY_TAGS.get(tag) or tag.partition(".")[0]
            self.load(root)
            codec = self.tags.get(tag)
            if codec is None and root in self._failures:
                raise Unsupported(f"cannot decode ${tag[:80]}: {self._failures[root]}", fault="kernel")
            if codec is None:
                raise InvalidRequest(
                    f"unknown tag ${tag[:80]}: no built-in codec has it, and no installed package offers "
                    f"an entry point {root[:80]!r} in the group {GROUP!r} that provides it"
                )
        return codec

    def load(self, root: str) -> None:
        """Load the codecs of a root package, once. Threads may do it at once: registering is idempotent."""
        if root in self._loaded:
            return
        failures = []
        if root in _LAZY_ROOTS:
            try:
                for codec in import_module(_LAZY_ROOTS[root]).CODECS:
                    self.register(codec)
            except ImportError as exc:
                failures.append(f"the codecs for {root} need {exc.name or root}; install snakekernel[arrow]")
        for point in self._entry_points().get(root, ()):
            try:
                self._load_entry_point(point)
            except (Exception, SystemExit) as exc:  # an import may do anything
                dist = f" of {point.dist.name}" if point.dist else ""
                failures.append(
                    f"codec entry point {point.name!r} ({point.value}{dist}, group {GROUP!r}) "
                    f"failed to load: {type(exc).__name__}: {exc}"
                )
        if failures:
            self._failures[root] = "; ".join(failures)
        self._loaded.add(root)

    def _load_entry_point(self, point: EntryPoint) -> None:
        value: Any = point.load()
        for codec in value if isinstance(value, Iterable) else (value,):
            if not isinstance(codec, Codec):
                raise TypeError(f"it must be a Codec or an iterable of Codecs, not {type(codec).__name__}")
            if codec.root != point.name:
                raise ValueError(f"its tag ${codec.tag} must be {point.name!r} or begin with '{point.name}.'")
            self.register(codec)

    def _entry_points(self) -> dict[str, list[EntryPoint]]:
        if self._found is None:
            found: dict[str, list[EntryPoint]] = {}
            for point in entry_points(group=GROUP):
                found.setdefault(point.name, []).append(point)
            self._found = found
        return self._found

    def _match(self, kind: type) -> Handler | None:
        handler = self.handlers.get(id(kind))
        if handler is None:
            for codec, candidate in self._predicates:
                try:
                    if codec.matches is not None and codec.matches(kind):
                        return candidate
                except Exception as exc:
                    reason = f"the predicate of the codec ${codec.tag} failed: {type(exc).__name__}: {exc}"
                    raise NotLossless(reason) from exc
        return handler

    def _why_not(self, kind: type) -> str:
        for base in type.__dict__["__mro__"].__get__(kind)[1:]:
            if id(base) in self.handlers:
                return (
                    f"{type_name(kind)} is a subclass of {type_name(base)}: as a {type_name(base)} it would "
                    f"lose its type; convert it first, or register a codec for it"
                )
        return f"no codec keeps objects of type {type_name(kind)}; use a reference, or register a codec"


def _handler(codec: Codec) -> Handler:
    """The codec's encode, tagged, guarded against cycles and depth, with its stray exceptions explained."""
    tag = "$" + codec.tag
    encode = codec.encode

    def handler(obj: Any, encoder: Any) -> Any:
        encoder.enter(obj)
        try:
            payload = encode(obj, encoder)
        except (NotLossless, SnakeError, RecursionError):
            raise
        except Exception as exc:
            raise NotLossless(f"the codec {tag} failed: {type(exc).__name__}: {exc}") from exc
        encoder.leave(obj)
        return {tag: payload}

    return handler


registry = Registry()
