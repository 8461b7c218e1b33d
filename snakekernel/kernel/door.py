"""The inspector's comm: a front-end that can send only comm messages asks through it.

Rules: each message's data is ``{"op", "content", "id"}`` and gets exactly one answer on the same comm,
``{"id", "content"}`` and buffers; a task's progress comes before it as ``{"id", "progress"}``. Only the
operations marked for it pass this door; tasks run on the inspector's thread, all else where the message came.
An interrupt, which is meant for a cell, strikes when the message is dealt with.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, NamedTuple

import msgspec

from ..commands.dispatch import Outcome, Run, frame_of_comm
from ..commands.outcomes import Packed
from ..commands.runtime import Runtime
from ..commands.suspending import Moving
from ..wire.errors import InvalidRequest, Unsupported
from ..wire.frame import Frame
from ..wire.names import COMM_TARGET, request_type
from .inspector import Inspector

#: Calls a function with interrupts given to the request that it serves.
Guard = Callable[[Run, Callable[[], Outcome | Moving]], Outcome | Moving]
#: Calls a function with interrupts held back until its end.
After = Callable[..., None]


class _Asker(NamedTuple):
    """Whom a message came from: the comm, the id to answer under, and the context that has its header."""

    comm: Any
    id: Any
    context: Context

    def tell(self, data: dict[str, Any], buffers: Any = None) -> None:
        # A copy: two threads cannot be in one context.
        self.context.copy().run(self.comm.send, data={"id": self.id, **data}, buffers=buffers)

    def progress(self, done: int, total: int, text: str) -> None:
        self.tell({"progress": {"done": done, "total": total, "text": text}})

    def answer(self, packed: Packed) -> None:
        self.tell({"content": msgspec.json.decode(packed.content)}, list(packed.buffers) or None)


class InspectorDoor:
    """Answers the comms opened to target ``snakekernel``."""

    def __init__(self, runtime: Runtime, inspector: Inspector, guarded: Guard, after: After) -> None:
        self._runtime = runtime
        self._inspector = inspector
        self._guarded = guarded
        self._after = after
        self._open: set[str] = set()

    def opened(self, comm: Any, msg: dict[str, Any]) -> None:
        """A front-end opened a comm."""
        self._open.add(comm.comm_id)
        comm.on_msg(lambda message: self.answer(comm, message))
        comm.on_close(lambda message: self._closed(comm.comm_id))

    def _closed(self, comm_id: str) -> None:
        self._open.discard(comm_id)
        self._runtime.watches.end(str(comm_id))

    def is_for(self, message: dict[str, Any]) -> bool:
        """Whether a message opens one of our comms, or comes by one."""
        msg_type, content = message.get("header", {}).get("msg_type"), message.get("content", {})
        if msg_type == "comm_open":
            return bool(content.get("target_name") == COMM_TARGET)
        comm_id = content.get("comm_id") if msg_type in ("comm_msg", "comm_close") else None
        return isinstance(comm_id, str) and comm_id in self._open

    def answer(self, comm: Any, message: dict[str, Any]) -> None:
        """Answer one message of a comm, or of what sends as a comm does; ``comm`` is asked for its id."""
        self._after(self._answer, comm, message)

    def _answer(self, comm: Any, message: dict[str, Any]) -> None:
        data = message.get("content", {}).get("data")
        header = message.get("header", {})
        msg_id = header.get("msg_id", "")
        buffers = [memoryview(b) for b in message.get("buffers") or ()]
        try:
            frame, id = frame_of_comm(data, msg_id, buffers)
        except InvalidRequest as error:
            run = Run(Frame(request_type("?"), msg_id, {}), self._runtime, "comm")
            asker = _Asker(comm, data.get("id") if isinstance(data, dict) else None, copy_context())
            asker.answer(run.pack(run.fail(error)))
            return
        frame = msgspec.structs.replace(
            frame, session=str(comm.comm_id), username=str(header.get("username", ""))
        )
        asker = _Asker(comm, id, copy_context())
        run = Run(frame, self._runtime, "comm", tell=asker.progress)
        step = self._guarded(run, lambda: self._served(run))
        if isinstance(step, Moving):
            self._inspector.submit(run, asker.answer, alias=None if id is None else str(id))
        else:
            asker.answer(run.pack(step))

    def _served(self, run: Run) -> Outcome | Moving:
        step = run.resume()
        while not isinstance(step, Outcome | Moving):
            # None of this door's operations awaits; a plugin's that does cannot be served here.
            step = run.throw(Unsupported("This operation awaits; ask on the shell channel.", at="$.op"))
        return step
