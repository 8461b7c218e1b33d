"""The operations of producers, once for both clients; see ``streams`` for what they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import from_reply
from .calling import call_fields, lease_of
from .exchanging import Exchanging
from .hearing import OnOutput, OnProgress, outputs_of
from .keeper import LEASE
from .payload import Target, whole
from .streams import Chunk


class Streaming(Exchanging):
    """What a client offers for producers."""

    #: Whether calls overlap others where they await, if nothing else is said.
    _overlaps = False

    def stream(
        self,
        target: Target,
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        credit: int = 64,
        returns: str = "auto",
        string_refs: bool = False,
        session_id: str | None = None,
        concurrent: bool | None = None,
        deadline: float | None = None,
        timeout: float | None = None,
        on_output: OnOutput | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Call a target and iterate what it gives as it is made: ``for item in snake.stream("m.produce")``.

        It may give a generator, an iterator, any iterable, a file, or an asynchronous one of these; the async
        client's stream is iterated by ``async for``. The call is sent at once.

        Args:
            credit: how many items the kernel may make ahead of the reader, 1 to 100,000.
            returns: how each item comes, as for ``call``.
            concurrent: whether the kernel serves others while this waits; if not given, the async client says
                so, and the blocking one does not.
            deadline: seconds from when the kernel has it, after which it is stopped there.
            timeout: seconds to wait for each item; None waits as long as the kernel lives.
            on_output, on_progress: as for ``call``; called by whoever takes the items.
        """
        concurrent = self._overlaps if concurrent is None else concurrent
        fields = call_fields(target, args, kwargs, None, returns, string_refs, None, concurrent, deadline)
        fields.update(stream={"credit": credit}, lease=LEASE)
        content, buffers, finish = self._encoded("call", fields, whole, session_id)
        outputs = outputs_of(on_output, on_progress)
        stream = self._in_session(session_id)._streamed(content, buffers, credit, timeout, outputs)
        # Keeps what the request names.
        stream._finish = finish
        return stream

    def pull(
        self,
        target: Target,
        count: int = 100,
        *,
        returns: str = "auto",
        budget: float | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The next items of a stored iterator, as a ``Chunk``.

        Args:
            count: how many at most, 1 to 100,000.
            budget: seconds after which no further item is asked for.
        """
        fields = {
            "target": target,
            "count": count,
            "returns": returns,
            "budget": budget,
            "lease": lease_of(returns),
        }
        owner = self._in_session(session_id)

        def finish(content: dict[str, Any], buffers: Sequence[memoryview]) -> Chunk:
            items = [owner._result(raw, buffers, None) for raw in content["items"]]
            failure = content["failure"]
            return Chunk(items, content["done"], None if failure is None else from_reply(failure))

        return self._send("pull", fields, finish, session_id, timeout)
