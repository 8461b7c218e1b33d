"""``with snake.batch() as batch:`` collects operations and sends them together when the block ends.

Rules: arguments are encoded when a step is added, so that a later change of them changes nothing; nothing is
sent before the block ends, and nothing at all where it ends by an exception. A batch of many steps goes out
as several ``pipeline`` requests, one ahead of the one that runs, so that packing, running and decoding
overlap. A step that uses an earlier one's result goes into the same message as that one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import InvalidStateError
from contextlib import closing, suppress
from typing import Any, Final, NamedTuple, Self

from ..errors import OutcomeUnknown, ReplyTimeout, SnakeError
from ..wire.errors import InvalidRequest, LimitExceeded
from ..wire.frame import pack_json
from .batch_item import BatchEncoder, BatchItem, packer
from .buffers import private
from .future import Future
from .message import Channel
from .operations import Operations
from .payload import Finish, encode_fields

#: Steps that one request may have.
MOST: Final = 10_000
#: Steps, and bytes of JSON and buffers, after which a request is full, where references allow to cut.
_ENOUGH: Final = 1_000
_ENOUGH_BYTES: Final = 16 << 20
#: Requests under way at once: one runs, one waits for it.
_AHEAD: Final = 2
#: What comes of a message: its reply's content and buffers, or why there is none.
_Outcome = tuple[dict[str, Any], Sequence[memoryview]] | SnakeError


#: A step: its content, packed but where it holds numbers that depend on its message; its bytes, with those of
#: its buffers; how many buffers the batch has after it; the earliest step whose result it uses; how many
#: functions the batch mentions after it; its item.
_Step = tuple[bytes | dict[str, Any], int, int, int | None, int, BatchItem]


class Chunk(NamedTuple):
    """Steps of one message: those of the batch from ``first`` on."""

    first: int
    content: bytes
    buffers: list[memoryview]
    items: list[BatchItem]


class BaseBatch(Operations):
    """The operations of a client, collected: each returns a ``BatchItem``.

    What a batch has no use for (``pipeline``, ``execute``, ``exchange``, ``submit``, a timeout or a session
    of a step's own) is refused with an InvalidRequest.
    """

    def __init__(self, client: Operations, timeout: float | None) -> None:
        self._client = client
        self._link = client._link
        self._keeper = client._keeper
        self._session_id = client._session_id
        self._timeout = timeout
        self._steps: list[_Step] = []
        self._count = 0
        #: How many of the functions it mentions were sent.
        self._lent = 0
        self._encoder = BatchEncoder(self, client._link, client._session_id)
        self._is_open = self._is_over = False
        #: Seconds for which what steps leave behind is held; None while none does.
        self._lease: float | None = None
        # Results outlive the batch: what they refer to is the client's. One bound method serves all steps.
        self._called = client._called  # type: ignore[method-assign]

    def __len__(self) -> int:
        return self._count

    def _open(self) -> None:
        if self._is_open or self._is_over:
            raise InvalidStateError("A batch can be entered once; make another.")
        self._is_open = True

    def _close(self, error: BaseException | None) -> bool:
        """End the block; whether there is something to send."""
        self._is_open, self._is_over = False, True
        if error is not None:
            self._let_go(InvalidStateError("An exception ended the batch's block: nothing was sent."))
        return error is None and bool(self._steps)

    # -- collecting --------------------------------------------------------------------------------

    def _send(
        self,
        op: str,
        fields: Mapping[str, Any],
        finish: Finish,
        session_id: str | None,
        timeout: float | None,
        *,
        channel: Channel | None = None,
        keep_none: tuple[str, ...] = (),
    ) -> Any:
        if not self._is_open:
            raise InvalidStateError("Steps are added within the batch's `with` block.")
        if op == "pipeline" or timeout is not None or session_id not in (None, self._session_id):
            raise InvalidRequest(
                "A step of a batch is no pipeline and has no timeout and no session of its own; "
                "give those to the batch: snake.batch(timeout=…, session_id=…)."
            )
        encoder, index = self._encoder, len(self._steps)
        buffers = encoder.buffers
        before, lent = len(buffers), len(encoder.lent)
        encoder.begin()
        try:
            content = encode_fields(encoder, "$", fields, keep_none)
            # Of the whole message: what any step leaves behind is held.
            self._lease = content.pop("lease", self._lease)
            if len(buffers) > before:
                buffers[before:] = [private(buffer) for buffer in buffers[before:]]
        except BaseException as error:
            del buffers[before:]
            encoder.take_back(lent)
            if isinstance(error, SnakeError) and error.at is not None:
                error.at = f"$.steps[{index}]" + error.at.removeprefix("$")
            raise
        if op != "call":
            content["op"] = op
        packed: bytes | dict[str, Any] = content
        size = encoder.nbytes
        if encoder.earliest is None and len(buffers) == before:
            packed = pack_json(content)
            size = len(packed)
        item = BatchItem(self, index, finish)
        self._steps.append((packed, size, len(buffers), encoder.earliest, len(encoder.lent), item))
        self._count += 1
        return item

    def _submit(self, op: str, *args: Any, **kwargs: Any) -> Any:
        raise InvalidRequest(
            "execute and exchange are requests of their own; they cannot be part of a batch."
        )

    def _by_deadline(self, *args: Any) -> Any:
        raise InvalidRequest("A step's deadline is kept by the kernel alone.")

    def _retried(self, *args: Any) -> Any:
        raise InvalidRequest("A batch is one request; its steps are not sent again one by one.")

    def _fetched(self, *args: Any) -> Any:
        raise InvalidRequest("outcome asks at once; it cannot be part of a batch.")

    def _listened(self, *args: Any) -> Any:
        raise InvalidRequest("A batch's steps have no output of their own; call outside of it to hear it.")

    def _number_of(self, future: Any) -> int:
        raise InvalidRequest("cancel acts at once; it cannot be part of a batch.")

    def _begin(self, *args: Any) -> Any:
        raise InvalidRequest("submit sends at once; within a batch, use call.")

    def _streamed(self, *args: Any) -> Any:
        raise InvalidRequest("A stream is a request of its own; it cannot be part of a batch.")

    def _decoder(self, buffers: Sequence[memoryview]) -> Any:
        return self._client._decoder(buffers)

    def _result(self, raw: Any, buffers: Sequence[memoryview], path: tuple[Any, ...] | None) -> Any:
        return self._client._result(raw, buffers, path)

    # -- sending -----------------------------------------------------------------------------------

    def _exchange(self) -> Generator[Any, _Outcome, None]:
        """Send the batch: gives the futures to wait for, one by one, and takes their outcomes.

        Raises what kept a message from being run to its end; steps without a result get it too.
        """
        chunks = self._chunks()
        under_way: deque[tuple[Chunk, Any]] = deque()
        failure: SnakeError | None = None
        try:
            while True:
                while failure is None and len(under_way) < _AHEAD and (chunk := next(chunks, None)):
                    future = self._client._begin("pipeline", chunk.content, chunk.buffers, _as_came)
                    under_way.append((chunk, future))
                if not under_way:
                    break
                outcome = yield under_way[0][1]
                chunk, future = under_way.popleft()
                if isinstance(outcome, SnakeError):
                    future.cancel()
                    failure = failure or outcome
                    # An interrupt ended the message: what was completed before it is still a result.
                    self._take(chunk, outcome.reply.get("completed_steps") or (), outcome.buffers)
                    _fail(chunk.items, outcome)
                else:
                    self._take(chunk, outcome[0]["pipeline_results"], outcome[1])
        except SnakeError as error:
            failure = error
        finally:
            for _, future in under_way:
                future.cancel()
            self._let_go(failure or OutcomeUnknown("Nobody waited for the batch; it was asked to stop."))
        if failure is not None:
            raise failure

    def _let_go(self, error: BaseException) -> None:
        """Fail the items without a result; what was sent is not kept longer than needed."""
        _fail([step[-1] for step in self._steps], error)
        self._steps = []
        self._encoder.buffers = []
        self._encoder.named = []
        self._encoder.take_back(self._lent)

    def _chunks(self) -> Iterator[Chunk]:
        first = buffers_before = 0
        for end in self._cuts():
            steps = self._steps[first:end]
            pack = packer(first, buffers_before)
            packed = [step[0] if type(step[0]) is bytes else pack(step[0]) for step in steps]
            head = self._head(stop_on_error=False)
            content = head[:-1] + b',"steps":[' + b",".join(packed) + b"]}"
            buffers_after = steps[-1][2]
            buffers = self._encoder.buffers[buffers_before:buffers_after]
            self._lent = steps[-1][4]
            yield Chunk(first, content, buffers, [step[-1] for step in steps])
            first, buffers_before = end, buffers_after

    def _head(self, *, stop_on_error: bool) -> bytes:
        """A message without its steps."""
        fields: dict[str, Any] = {"stop_on_error": stop_on_error}
        if self._lease is not None:
            fields["lease"] = self._lease
        return self._client._packed(fields, self._session_id)

    def _cuts(self) -> list[int]:
        """Where messages end: after enough steps, but between no step and one whose result it uses.

        Raises LimitExceeded where that makes a message of too many steps.
        """
        total = len(self._steps)
        # From the end: before which steps no message may end, since one from there on uses an earlier one.
        bound = set()
        needed = total
        for index in range(total - 1, 0, -1):
            earliest = self._steps[index][3]
            if earliest is not None and earliest < needed:
                needed = earliest
            if needed < index:
                bound.add(index)
        cuts, first, size = [], 0, 0
        for index, step in enumerate(self._steps):
            if (index - first >= _ENOUGH or size >= _ENOUGH_BYTES) and index not in bound:
                cuts.append(index)
                first, size = index, 0
            elif index - first >= MOST:
                raise LimitExceeded(
                    f"A message has at most {MOST} steps, and those from {first} on are bound together by "
                    "results they use. Keep these by store_as= and use them by ref() in another batch.",
                    at=f"$.steps[{index}]",
                )
            size += step[1]
        return [*cuts, total] if total else []

    @staticmethod
    def _take(chunk: Chunk, contents: Sequence[dict[str, Any]], buffers: Sequence[memoryview]) -> None:
        first = chunk.first
        # Fewer than items where an interrupt ended the message.
        for item, content in zip(chunk.items, contents, strict=False):
            item.take(content, buffers, first)


class Batch(BaseBatch):
    """A batch of the blocking client: ``with snake.batch() as batch: …``.

    Leaving the block sends the steps and waits for their results. A step that fails fails alone: its item
    raises its exception. Where a message of the batch is not run to its end, as by an interrupt or the loss
    of the kernel, leaving the block raises what ended it, and so do the items without a result.
    """

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self._close(error):
            exchange = self._exchange()
            deadline = None if self._timeout is None else time.monotonic() + self._timeout
            with closing(exchange), suppress(StopIteration):
                future = next(exchange)
                while True:
                    future = exchange.send(_outcome(future, deadline))


class AsyncBatch(BaseBatch):
    """A batch of the async client: ``async with snake.batch() as batch: …``; otherwise as ``Batch``."""

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self._close(error):
            exchange = self._exchange()
            deadline = None if self._timeout is None else time.monotonic() + self._timeout
            with closing(exchange), suppress(StopIteration):
                future = next(exchange)
                while True:
                    future = exchange.send(await _awaited(future, deadline))


def _outcome(future: Future, deadline: float | None) -> _Outcome:
    try:
        outcome: _Outcome = future.result(_left(deadline))
        return outcome
    except SnakeError as failure:
        return failure


async def _awaited(future: asyncio.Future[_Outcome], deadline: float | None) -> _Outcome:
    try:
        async with asyncio.timeout(_left(deadline)):
            return await future
    except TimeoutError:
        return ReplyTimeout("The batch's reply did not come in time; it was asked to stop.")
    except SnakeError as failure:
        return failure


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _as_came(content: dict[str, Any], buffers: Sequence[memoryview]) -> Any:
    return content, buffers


def _fail(items: Sequence[BatchItem], error: BaseException) -> None:
    for item in items:
        item.fail(error)
