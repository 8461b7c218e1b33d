"""The dispatcher without a kernel: requests in, checked replies out.

Rules: the real runtime, table and dispatcher; only the process around them is left out. Whatever is sent,
``ask`` gives one reply that a client can read, or fails telling which rule the reply breaks.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec

from snakekernel.commands.dispatch import Outcome, Run
from snakekernel.commands.outcomes import Packed
from snakekernel.commands.requester import Requester
from snakekernel.commands.runtime import Runtime
from snakekernel.objects.sessions import SessionTable
from snakekernel.objects.store import Store
from snakekernel.plugins.load import CommandTable, PluginTable
from snakekernel.wire.errors import BY_CODE
from snakekernel.wire.frame import Frame
from snakekernel.wire.model import ErrorReply, Reply
from snakekernel.wire.names import Door, request_type

_numbers: Final = itertools.count()


@cache
def _installed() -> tuple[CommandTable, PluginTable]:
    # Looking for entry points reads the metadata of every installed package.
    return CommandTable(), PluginTable()


def make_runtime(**fields: Any) -> Runtime:
    """A Runtime as a kernel has it; ``fields`` replace parts of it."""
    table, frameworks = _installed()
    parts: dict[str, Any] = {
        "table": table,
        "frameworks": frameworks,
        "clock": time.time,
        "store": Store(),
        "sessions": SessionTable(),
    }
    return Runtime(**{**parts, **fields})


def dispatch(
    frame: Frame, runtime: Runtime, door: Door = "shell", requester: Requester | None = None
) -> Packed:
    """The packed reply to a frame; what it awaits is awaited on a loop of its own.

    Args:
        requester: takes the messages that go out beside the reply, such as the items of a stream.
    """
    return asyncio.run(_served(Run(frame, runtime, door, requester=requester)))


async def _served(run: Run) -> Packed:
    step = run.resume()
    while not isinstance(step, Outcome):
        try:
            value = await step.awaitable
        except Exception as error:
            step = run.throw(error)
        else:
            step = run.resume(value)
    return run.pack(step)


def ask(
    runtime: Runtime,
    op: str,
    content: Any = None,
    *,
    door: Door = "shell",
    buffers: Sequence[memoryview] = (),
    requester: Requester | None = None,
) -> dict[str, Any]:
    """The content of the reply to one request, checked by :func:`verify_reply`."""
    packed = msgspec.json.encode({} if content is None else content)
    frame = Frame(request_type(op), f"test-{next(_numbers)}", packed, {}, buffers)
    return verify_reply(dispatch(frame, runtime, door, requester), runtime, op)


def verify_reply(packed: Packed, runtime: Runtime, op: str) -> dict[str, Any]:
    """Check that a packed reply is one that a client can read; returns its content.

    An ok reply is of its command's type, an error reply says what, where and whose fault; both carry the
    common fields. Raises AssertionError.
    """
    content = msgspec.json.decode(packed.content)
    assert isinstance(content, dict), "the content of a reply is an object"
    if content.get("status") == "ok":
        command = runtime.table.get(op)
        assert command is not None, f"an ok reply to {op!r}, which nobody serves"
        reply: Reply | ErrorReply = _as(packed.content, command.reply)
    else:
        error = reply = _as(packed.content, ErrorReply)
        assert error.code in BY_CODE, f"the code {error.code!r} is none of the protocol's"
        assert error.error, "an error says in words what is wrong"
        assert error.at is None or error.at.startswith("$"), f"{error.at!r} is no path into the request"
        assert error.traceback, "Jupyter clients show the traceback"
    assert reply.epoch == runtime.epoch, "epoch"
    assert reply.timestamp > 0, "timestamp"
    for buffer in packed.buffers:
        assert buffer.ndim == 1, "buffers are flat: zmq copies others silently"
        assert buffer.format == "B", "buffers are bytes"
    return content


def _as(packed: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(packed, type=kind)
    except msgspec.ValidationError as error:
        raise AssertionError(f"the reply is no {kind.__module__}.{kind.__name__}: {error}") from None
