"""Objects that live in the kernel and are used here as if they were here.

Rules: what is held is one object of the kernel; attributes and items below it are paths, found when they are
used, so that they cost no message. A call or an operator is one message; its result is a value where it is a
small scalar, else a remote object again. The kernel keeps the object until the last one here that leads to it
is gone. Names that begin with an underscore are Python's own.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ..errors import SnakeError, Unresolvable
from ..wire.path import Attr, Item, Step, path_text
from .description import Description
from .operators import Operators

if TYPE_CHECKING:
    from .keeper import Keeper

#: Seconds that showing an object may wait for a busy kernel.
_PATIENCE: Final = 2.0
#: Items that one message of an iteration brings.
_CHUNK: Final = 256
#: Seconds after which a slow iterator's items are brought, few as they may be.
_AT_A_TIME: Final = 0.05
#: Exceptions that are not made from a message alone.
_NOT_OF_TEXT: Final = (UnicodeError, BaseExceptionGroup)
_OWN_NAMES: Final = ("fetch", "inspect")


class Held:
    """An object of the kernel that this client holds; when this goes, the kernel is told to let it go."""

    __slots__ = ("__weakref__", "_keeper", "epoch", "kind", "name")

    def __init__(self, keeper: Keeper, name: str, epoch: str | None, kind: str) -> None:
        self.name = name
        self.epoch = epoch
        self.kind = kind
        self._keeper = keeper
        keeper.hold()

    def __del__(self) -> None:
        self._keeper.release(self.name, self.epoch)


def anonymous(value: Mapping[str, Any]) -> str | None:
    """The name that a packed reference has where it names an anonymous object, else None."""
    name = value.get("$ref")
    return name if type(name) is str and name[:1] == "~" else None


class RemoteObject(Operators):
    """An object of the kernel, or a part of one.

    With the async client calls and operators give awaitables, and ``await obj`` awaits the object itself.
    """

    __slots__ = ("__weakref__", "_client", "_held", "_steps")
    _client: Any
    _held: Held
    _steps: tuple[Any, ...]

    def __init__(self, client: Any, where: tuple[Held, tuple[Any, ...]]) -> None:
        object.__setattr__(self, "_client", client)
        object.__setattr__(self, "_held", where[0])
        object.__setattr__(self, "_steps", where[1])

    @property
    def _path(self) -> tuple[Any, ...]:
        return (self._held.name, *self._steps)

    def _below(self, step: Any) -> RemoteObject:
        return RemoteObject(self._client, (self._held, (*self._steps, step)))

    # -- attributes and items ----------------------------------------------------------------------

    def __getattr__(self, name: str) -> RemoteObject:
        if name.startswith("_"):
            raise AttributeError(
                f"{name} is not looked up in the kernel: such names are this side's own; "
                f'use snake.call("builtins.getattr", args=[obj, {name!r}], returns="proxy")'
            )
        return self._below(Attr(name))

    def __getitem__(self, key: Any) -> RemoteObject:
        return self._below(Item(key))

    def __setattr__(self, name: str, value: Any) -> None:
        self._client._assign(("stored", *self._path, Attr(name)), value)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._client._assign(("stored", *self._path, Item(key)), value)

    def __delattr__(self, name: str) -> None:
        self._client._delete(("stored", *self._path, Attr(name)))

    def __delitem__(self, key: Any) -> None:
        self._client._delete(("stored", *self._path, Item(key)))

    # -- calls and operators -----------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the kernel; gives a small scalar's value, else a remote object."""
        return self._client.call(self, args=args, kwargs=kwargs, returns="proxy")

    def _apply(self, function: str, *args: Any) -> Any:
        return self._client.call(function, args=args, returns="proxy")

    def _now(self, function: str, *args: Any) -> Any:
        self._check_blocking(function)
        return self._client.call(function, args=args, returns="value")

    def _in_place(self, function: str, other: Any) -> Any:
        self._check_blocking(function)
        return self._apply(function, self, other)

    def _check_blocking(self, function: str) -> None:
        if self._client._is_async:
            raise TypeError(
                f"Python wants the result of this at once, and the async client cannot wait; "
                f'use await snake.call("{function}", args=[obj])'
            )

    def __hash__(self) -> int:
        return hash(self._held)

    def __iter__(self) -> Iterator[Any]:
        self._check_blocking("builtins.list")
        return self._items()

    def _items(self) -> Iterator[Any]:
        # In chunks, and by no stream: between two items other calls may run.
        iterator = self._client.call("builtins.iter", args=[self], returns="ref")
        while True:
            chunk = self._client.pull(iterator, _CHUNK, returns="proxy", budget=_AT_A_TIME)
            yield from chunk.items
            if chunk.failure is not None:
                raise chunk.failure
            if chunk.done:
                return

    def __next__(self) -> Any:
        self._check_blocking("builtins.next")
        chunk = self._client.pull(self, 1, returns="proxy")
        if chunk.failure is not None:
            raise chunk.failure
        if not chunk.items:
            raise StopIteration
        return chunk.items[0]

    async def __aiter__(self) -> AsyncIterator[Any]:
        client = self._client
        try:
            iterator = await client.call("builtins.aiter", args=[self], returns="ref")
        except TypeError:
            # It is no asynchronous one.
            iterator = await client.call("builtins.iter", args=[self], returns="ref")
        while True:
            chunk = await client.pull(iterator, _CHUNK, returns="proxy", budget=_AT_A_TIME)
            for item in chunk.items:
                yield item
            if chunk.failure is not None:
                raise chunk.failure
            if chunk.done:
                return

    # -- contexts ----------------------------------------------------------------------------------

    def __enter__(self) -> Any:
        self._check_blocking("contextlib.ExitStack")
        try:
            return self._below(Attr("__enter__"))()
        except Unresolvable:
            return self._below(Attr("__aenter__"))()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        try:
            return bool(self._client.pipeline(self._leaving("__exit__", error))[-1])
        except Unresolvable:
            return bool(self._client.pipeline(self._leaving("__aexit__", error))[-1])

    async def __aenter__(self) -> Any:
        try:
            return await self._below(Attr("__aenter__"))()
        except Unresolvable:
            return await self._below(Attr("__enter__"))()

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        try:
            return bool((await self._client.pipeline(self._leaving("__aexit__", error)))[-1])
        except Unresolvable:
            return bool((await self._client.pipeline(self._leaving("__exit__", error)))[-1])

    def _leaving(self, method: str, error: BaseException | None) -> list[dict[str, Any]]:
        """The steps that leave the context, the last of which tells whether the exception ends there."""
        steps: list[dict[str, Any]] = []
        args: list[Any] = [None, None, None]
        if error is not None:
            name, said = _as_builtin(error)
            steps.append({"target": f"builtins.{name}", "args": said, "returns": "none"})
            steps.append({"target": "builtins.type", "args": [Step(0)], "returns": "none"})
            args = [Step(1), Step(0), None]
        steps.append({"target": self._below(Attr(method)), "args": args, "returns": "none"})
        steps.append({"target": "operator.truth", "args": [Step(len(steps) - 1)]})
        return steps

    # -- the async client --------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._client._is_async:
            raise TypeError(
                "The blocking client awaits what a call gives by itself; there is nothing to await."
            )
        # A call awaits what it gives, and this function gives what it is given.
        awaited: Generator[Any, None, Any] = self._apply("typing.cast", None, self).__await__()
        return awaited

    # -- looking -----------------------------------------------------------------------------------

    def fetch(self) -> Any:
        """Its value, or a Description where it has no lossless one."""
        return self._retrieved("auto", None)

    def inspect(self, **options: Any) -> Any:
        """What it is; see ``Client.inspect``."""
        return self._client.inspect(self, **options)

    def _retrieved(self, returns: str, timeout: float | None) -> Any:
        def finish(content: dict[str, Any], buffers: Sequence[memoryview]) -> Any:
            found = self._client._result(content["object"], buffers, None)
            if isinstance(found, Description):
                # It leads to this object, and keeps it.
                found._proxy = self
            return found

        fields = {"target": self, "returns": returns}
        return self._client._send("retrieve", fields, finish, None, timeout)

    def _shown(self) -> Description | None:
        """What the kernel says of it; None where it cannot be asked, or does not answer soon."""
        if self._client._is_async:
            return None
        try:
            shown: Description = self._retrieved("preview", _PATIENCE)
        except Exception:  # whatever it is, an object can be shown
            return None
        if isinstance(shown, Description):
            return shown
        kind = type(shown)
        return Description({"type": kind.__name__, "module": kind.__module__, "string_repr": repr(shown)})

    def __repr__(self) -> str:
        shown = self._shown()
        if shown is None:
            kind = "object" if self._steps else self._held.kind
            return f"<remote {kind} {self._held.name}{path_text(self._steps)}>"
        shown._proxy = None
        return f"<remote {repr(shown)[1:]}"

    def __str__(self) -> str:
        return repr(self) if self._client._is_async else str(self._now("builtins.str", self))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        shown = self._shown()
        if shown is None:
            return {"text/plain": repr(self)}
        return shown._repr_mimebundle_(include, exclude)

    def __dir__(self) -> list[str]:
        names = [*_OWN_NAMES]
        if not self._client._is_async:
            try:
                names += self._client.call("builtins.dir", args=[self], timeout=_PATIENCE)
            except SnakeError:
                pass
        return sorted(names)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "A remote object cannot be copied or pickled: it is held by its client. fetch() gives its value; "
            "snake.store(name, obj) gives it a name that others can use."
        )


def _as_builtin(error: BaseException) -> tuple[str, list[Any]]:
    """The built-in class that an exception is of, and what to make another of it from."""
    for kind in type(error).__mro__:
        if getattr(builtins, kind.__name__, None) is kind and not issubclass(kind, _NOT_OF_TEXT):
            plain = all(type(arg) in (str, int, float, bool, type(None)) for arg in error.args)
            return kind.__name__, list(error.args) if plain else [str(error)]
    return "Exception", [str(error)]
