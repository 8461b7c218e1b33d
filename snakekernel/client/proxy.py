"""Natural use: ``snake.stored.df.describe()``, ``snake.modules.pandas.read_csv("x.csv")``.

Rules: a proxy is a path, nothing more; only a call, ``fetch`` and assignment send a message. Names that
begin with an underscore are Python's own; a target given as a list reaches them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..wire.path import Item, Ref, Step, path_text

if TYPE_CHECKING:
    from .operations import Operations


def ref(id: str, *steps: Any) -> Ref:
    """A stored object, or a part of it, for use in arguments: ``ref("df", "columns", 0)``."""
    return Ref(id, steps)


def step(index: int, *steps: Any) -> Step:
    """The result of an earlier step of a pipeline, or a part of it: ``step(0, "x")``."""
    return Step(index, steps)


class StoredProxy:
    """A stored object or a part of it, by path."""

    __slots__ = ("_client", "_path")
    _client: Operations
    _path: tuple[Any, ...]

    def __init__(self, client: Operations, path: tuple[Any, ...]) -> None:
        object.__setattr__(self, "_client", client)
        object.__setattr__(self, "_path", path)

    def __getattr__(self, name: str) -> StoredProxy:
        if name.startswith("_"):
            raise AttributeError(name)
        return StoredProxy(self._client, (*self._path, name))

    def __getitem__(self, key: Any) -> StoredProxy:
        return StoredProxy(self._client, (*self._path, Item(key)))

    def __setattr__(self, name: str, value: Any) -> None:
        self._client._assign(("stored", *self._path, name), value)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._client._assign(("stored", *self._path, Item(key)), value)

    def __delattr__(self, name: str) -> None:
        self._client._delete(("stored", *self._path, name))

    def __delitem__(self, key: Any) -> None:
        self._client._delete(("stored", *self._path, Item(key)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the kernel; returns what ``Client.call`` returns."""
        return self._client.call(["stored", *self._path], args=args, kwargs=kwargs)

    def fetch(self) -> Any:
        """Its value, or a Description where it has no lossless one."""
        return self._client.retrieve(target=["stored", *self._path])

    def inspect(self, **options: Any) -> Any:
        """What it is; see ``Client.inspect``."""
        return self._client.inspect(["stored", *self._path], **options)

    def __repr__(self) -> str:
        return f"<stored{path_text(self._path)}>"

    # A proxy is no container: without these, Python would try __getitem__ with 0, 1, 2, …
    __iter__ = None
    __contains__ = None


class StoredObjects:
    """``snake.stored``: the namespace of stored objects."""

    __slots__ = ("_client",)
    _client: Operations

    def __init__(self, client: Operations) -> None:
        object.__setattr__(self, "_client", client)

    def __getattr__(self, name: str) -> StoredProxy:
        if name.startswith("_"):
            raise AttributeError(name)
        return StoredProxy(self._client, (name,))

    def __getitem__(self, name: str) -> StoredProxy:
        return StoredProxy(self._client, (name,))

    def __setattr__(self, name: str, value: Any) -> None:
        self._client._assign(("stored", name), value)

    def __setitem__(self, name: str, value: Any) -> None:
        self._client._assign(("stored", name), value)

    def __delattr__(self, name: str) -> None:
        self._client._delete(("stored", name))

    def __delitem__(self, name: str) -> None:
        self._client._delete(("stored", name))

    def __repr__(self) -> str:
        return "<stored objects; list_stored() names them>"

    __iter__ = None
    __contains__ = None


class ModuleProxy:
    """``snake.modules.pandas.read_csv``: an importable path; calling it calls the target."""

    __slots__ = ("_client", "_names")

    def __init__(self, client: Operations, names: tuple[str, ...] = ()) -> None:
        self._client = client
        self._names = names

    def __getattr__(self, name: str) -> ModuleProxy:
        if name.startswith("_"):
            raise AttributeError(name)
        return ModuleProxy(self._client, (*self._names, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the kernel; returns what ``Client.call`` returns."""
        return self._client.call(".".join(self._names), args=args, kwargs=kwargs)

    def __repr__(self) -> str:
        return f"<module path {'.'.join(self._names)}>" if self._names else "<modules of the kernel>"
