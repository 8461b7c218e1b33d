"""The steps of a batch: what stands for their results, and how they are encoded.

Rules: numbers of steps and buffers count from the beginning of the batch until the step is packed into its
message, which is known last. An item is an argument within its own batch only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import InvalidStateError
from typing import Any, Final

import msgspec

from ..errors import SnakeError, from_reply
from ..values import Codec, Encoder, NotLossless, registry
from ..wire.frame import pack_json
from ..wire.path import Step
from .payload import Finish, RequestEncoder

_NOT_SENT: Final = "The batch is sent when its block ends; ask for results after that."


class BatchItem:
    """One step of a batch; its result is there when the batch's block has ended."""

    __slots__ = ("_batch", "_error", "_finish", "_index", "_is_done", "_value")

    def __init__(self, batch: object, index: int, finish: Finish) -> None:
        self._batch = batch
        self._index = index
        self._finish = finish
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether there is a result."""
        return self._is_done

    def result(self) -> Any:
        """The step's result, or its own exception, raised.

        Raises InvalidStateError where the batch has not been sent.
        """
        if self._error is not None:
            raise self._error
        if not self._is_done:
            raise InvalidStateError(_NOT_SENT)
        return self._value

    def exception(self) -> BaseException | None:
        """The step's exception, or None; raises InvalidStateError where the batch has not been sent."""
        if not self._is_done:
            raise InvalidStateError(_NOT_SENT)
        return self._error

    def take(self, content: dict[str, Any], buffers: Sequence[memoryview], offset: int) -> None:
        self._is_done = True
        try:
            if content.get("status") == "error":
                raise _placed(from_reply(content), offset)
            self._value = self._finish(content, buffers)
        except Exception as error:
            self._error = error

    def fail(self, error: BaseException) -> None:
        if not self._is_done:
            self._is_done, self._error = True, error

    def __repr__(self) -> str:
        state = "not sent" if not self._is_done else "failed" if self._error is not None else "done"
        return f"<step {self._index} of a batch, {state}>"


def _placed(error: SnakeError, offset: int) -> SnakeError:
    """The path of a step's error names the step by its place in the batch."""
    if offset and error.at is not None and error.at.startswith("$.steps["):
        number, closing, rest = error.at.removeprefix("$.steps[").partition("]")
        if number.isdigit():
            error.at = f"$.steps[{int(number) + offset}{closing}{rest}"
    return error


class _StepNumber(int):
    """The place of a step in the batch, where a message wants its place in the message."""


class _BufferNumber(int):
    """The place of a buffer in the batch, where a message wants its place in the message."""


class BatchEncoder(RequestEncoder):
    """Encodes the steps of a batch, whose messages are not known yet.

    Attributes:
        earliest: the earliest step that the step in hand refers to, or None.
    """

    __slots__ = ("_batch", "earliest")

    def __init__(self, batch: object, link: Any, session_id: str | None) -> None:
        super().__init__(link, session_id, {Step: _encode_step})
        self._batch = batch
        self.earliest: int | None = None

    def begin(self) -> None:
        """Begin a step: limits hold for each."""
        self.earliest = None
        self._items = self._json = self._depth = self.nbytes = 0
        if self._active:
            self._active.clear()

    def buffer(self, data: Any) -> int:
        return _BufferNumber(super().buffer(data))

    def number(self, item: BatchItem) -> int:
        """The place of an earlier step; raises NotLossless where it is of another batch."""
        if item._batch is not self._batch:
            raise NotLossless(f"{item!r} is of another batch; pass its result()")
        return self.refer(item._index)

    def refer(self, index: int) -> int:
        """The place of a step that the step in hand refers to."""
        if self.earliest is None or index < self.earliest:
            self.earliest = index
        return _StepNumber(index)


def _encode_item(item: BatchItem, encoder: Encoder) -> Any:
    if not isinstance(encoder, BatchEncoder):
        raise NotLossless(f"{item!r} means something within its batch only; pass its result()")
    return encoder.number(item)


def _encode_step(step: Step, encoder: Any) -> Any:
    """A step by number, which counts from the beginning of the batch."""
    data = registry.handlers[id(Step)](step, encoder)
    number = encoder.refer(step.index)
    return {"$step": [number, *data["$step"][1:]] if step.steps else number}


registry.register(Codec("step", (BatchItem,), _encode_item, registry.tags["step"].decode))


def packer(first: int, begin: int) -> Callable[[Any], bytes]:
    """Packs steps of the message that begins at that step and that buffer of the batch."""

    def in_message(number: Any) -> int:
        return int(number) - (first if type(number) is _StepNumber else begin)

    encode = msgspec.json.Encoder(enc_hook=in_message).encode
    return lambda data: pack_json(data, encode)
