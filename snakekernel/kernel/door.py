"""The inspector's comm: a front-end that can send only comm messages asks through it.

Rules: each message's data is ``{"op", "content", "id"}`` and gets exactly one answer on the same comm,
``{"id", "content"}`` and buffers. Only the operations marked for it pass this door.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..commands.dispatch import Outcome, Run, frame_of_comm
from ..commands.outcomes import Packed
from ..commands.runtime import Runtime
from ..wire.errors import InvalidRequest, Unsupported
from ..wire.frame import Frame
from ..wire.names import request_type


class InspectorDoor:
    """Answers the comms opened to target ``snakekernel``."""

    def __init__(self, runtime: Runtime, guarded: Callable[[Run, Callable[[], Packed]], Packed]) -> None:
        self._runtime = runtime
        self._guarded = guarded

    def opened(self, comm: Any, msg: dict[str, Any]) -> None:
        """A front-end opened a comm."""
        comm.on_msg(lambda message: self._answer(comm, message))

    def _answer(self, comm: Any, message: dict[str, Any]) -> None:
        data = message.get("content", {}).get("data")
        msg_id = message.get("header", {}).get("msg_id", "")
        buffers = [memoryview(b) for b in message.get("buffers") or ()]
        try:
            frame, answer_id = frame_of_comm(data, msg_id, buffers)
        except InvalidRequest as error:
            frame, answer_id = Frame(request_type("?"), msg_id, {}), _id_of(data)
            run = Run(frame, self._runtime, "comm")
            packed = run.pack(run.fail(error))
        else:
            run = Run(frame, self._runtime, "comm")
            packed = self._guarded(run, lambda: self._served(run))
        comm.send(
            data={"id": answer_id, "content": msgspec.json.decode(packed.content)},
            buffers=list(packed.buffers) or None,
        )

    def _served(self, run: Run) -> Packed:
        step = run.resume()
        while not isinstance(step, Outcome):
            # None of this door's operations awaits; a plugin's that does cannot be served here.
            step = run.throw(Unsupported("This operation awaits; ask on the shell channel.", at="$.op"))
        return run.pack(step)


def _id_of(data: Any) -> Any:
    return data.get("id") if isinstance(data, dict) else None
