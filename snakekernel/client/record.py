"""``with snake.record() as r:`` notes what a program does with the kernel's objects; one message sends it.

Rules: nothing is sent before the block ends, and nothing at all where it ends by an exception. What is noted
runs in order and stops at the first step that fails, as the program itself would. Of the results only those
come back that something here still leads to when the block ends: a small scalar's value, else a remote
object.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from ..values import Codec, Encoder, NotLossless, registry
from ..wire.errors import LimitExceeded
from ..wire.path import Attr, Item, Step, path_text
from .batch import MOST, AsyncBatch, BaseBatch, Batch, Chunk
from .batch_item import BatchEncoder, BatchItem, packer
from .keeper import LEASE
from .operators import Operators
from .remote import RemoteObject

_LATER: Final = "This is not known before the record's block ends; ask its result() after that."


class Noted:
    """A step, for as long as something leads to its result."""

    __slots__ = ("__weakref__", "item")

    def __init__(self, item: BatchItem) -> None:
        self.item = item


class Recorded(Operators):
    """What stands for the result of a recorded step, or for a part of it.

    Within the block it is used as the object itself would be; after it, ``result()`` gives the object.
    """

    __slots__ = ("__weakref__", "_noted", "_recorder", "_steps")
    _recorder: Any
    _noted: Noted
    _steps: tuple[Any, ...]

    def __init__(self, recorder: Any, noted: Noted, steps: tuple[Any, ...] = ()) -> None:
        object.__setattr__(self, "_recorder", recorder)
        object.__setattr__(self, "_noted", noted)
        object.__setattr__(self, "_steps", steps)

    def _below(self, step: Any) -> Recorded:
        return Recorded(self._recorder, self._noted, (*self._steps, step))

    @property
    def _target(self) -> list[Any]:
        return [self._noted.item, *self._steps]

    # -- within the block --------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Recorded:
        if name.startswith("_"):
            raise AttributeError(f"{name} is not looked up in the kernel: such names are this side's own")
        return self._below(Attr(name))

    def __getitem__(self, key: Any) -> Recorded:
        return self._below(Item(key))

    def __setattr__(self, name: str, value: Any) -> None:
        self._recorder.set([*self._target, Attr(name)], value)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._recorder.set([*self._target, Item(key)], value)

    def __delattr__(self, name: str) -> None:
        self._recorder.call("builtins.delattr", args=[self, name], returns="none")

    def __delitem__(self, key: Any) -> None:
        self._recorder.call("operator.delitem", args=[self, key], returns="none")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._recorder.call(self._target, args=args, kwargs=kwargs)

    def _apply(self, function: str, *args: Any) -> Any:
        return self._recorder.call(function, args=args)

    def _in_place(self, function: str, other: Any) -> Any:
        return self._apply(function, self, other)

    def _now(self, function: str, *args: Any) -> NoReturn:
        raise TypeError(_LATER)

    def __next__(self) -> Any:
        return self._apply("builtins.next", self)

    def __iter__(self) -> NoReturn:
        raise TypeError(_LATER)

    def __hash__(self) -> int:
        return hash(self._noted)

    # -- after it ----------------------------------------------------------------------------------

    def result(self) -> Any:
        """The object: its value where it is a small scalar, else a remote object.

        Raises InvalidStateError before the block has ended, and what ended the record where it failed.
        """
        found = self._noted.item.result()
        for step in self._steps:
            found = getattr(found, step.name) if isinstance(step, Attr) else found[_known(step.key)]
        return found

    def fetch(self) -> Any:
        """Its value, or a Description where it has no lossless one; the async client's is awaited."""
        found = self.result()
        if isinstance(found, RemoteObject):
            return found.fetch()
        return _at_once(found) if self._recorder._client._is_async else found

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"<recorded {self._noted.item!r}{path_text(self._steps)}>"


def _known(key: Any) -> Any:
    """A key with what was recorded in it replaced by its result."""
    if isinstance(key, Recorded):
        return key.result()
    return type(key)(map(_known, key)) if type(key) in (tuple, list) else key


async def _at_once(value: Any) -> Any:
    return value


class BaseRecord(BaseBatch):
    """The operations of a client, recorded: each gives a ``Recorded``."""

    def __init__(self, client: Any, timeout: float | None) -> None:
        super().__init__(client, timeout)
        #: By step: who may ask for its result, and whether the call itself says how it is to come.
        self._noted: list[tuple[weakref.ref[Noted], bool]] = []

    def _send(self, op: str, fields: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        if fields.get("returns") == "proxy":
            # As it comes anyhow, where anybody asks.
            fields = {name: value for name, value in fields.items() if name != "returns"}
        item = super()._send(op, fields, *args, **kwargs)
        noted = Noted(item)
        self._noted.append((weakref.ref(noted), op != "call" or "returns" in fields or "store_as" in fields))
        return Recorded(self, noted)

    def use(self, obj: RemoteObject) -> RemoteObject:
        """A remote object there is already, whose use within the block is recorded."""
        return RemoteObject(self, (obj._held, obj._steps))

    def _chunks(self) -> Iterator[Chunk]:
        total = len(self._steps)
        if total > MOST:
            raise LimitExceeded(f"A message has at most {MOST} steps; {total} were recorded.")
        pack = packer(0, 0)
        steps = []
        for (content, *_), (noted, is_told) in zip(self._steps, self._noted, strict=True):
            packed = content if type(content) is bytes else pack(content)
            if not is_told:
                # Whoever dropped what stands for it cannot ask for it.
                returns = b"none" if noted() is None else b"proxy"
                packed = packed[:-1] + b',"returns":"' + returns + b'"}'
            steps.append(packed)
        self._lease = LEASE
        head = self._head(stop_on_error=True)
        content = head[:-1] + b',"steps":[' + b",".join(steps) + b"]}"
        yield Chunk(0, content, self._encoder.buffers, [step[-1] for step in self._steps])


class Record(BaseRecord, Batch):
    """A record of the blocking client: ``with snake.record() as r: …``."""


class AsyncRecord(BaseRecord, AsyncBatch):
    """A record of the async client: ``async with snake.record() as r: …``."""


def _encode_recorded(recorded: Recorded, encoder: Encoder) -> Any:
    if not isinstance(encoder, BatchEncoder):
        raise NotLossless(f"{recorded!r} means something within its record only; pass its result()")
    number = encoder.number(recorded._noted.item)
    if not recorded._steps:
        return number
    data = registry.handlers[id(Step)](Step(0, recorded._steps), encoder)
    return [number, *data["$step"][1:]]


registry.register(Codec("step", (Recorded,), _encode_recorded, registry.tags["step"].decode))
