"""Requests that begin in the kernel's own process, such as a widget's, served as those of the shell channel.

Rules: each is made into a signed message and goes the way of one that came by the socket, when the main
thread is free and no cell runs; so status, interrupts and output are the same. Each gets exactly one reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..wire.frame import DELIMITER, bind_buffers
from ..wire.names import request_type
from .incoming import split
from .serving import Serving

if TYPE_CHECKING:
    from .kernel import SnakeKernel

#: Takes a reply: its content, its buffers.
Answer = Callable[[dict[str, Any], list[memoryview]], None]


def ask_in_turn(
    kernel: SnakeKernel,
    op: str,
    content: dict[str, Any],
    buffers: Sequence[memoryview],
    *,
    sender: str,
    answer: Answer,
) -> None:
    """Serve a request after what waits for the main thread now; may be called on any thread.

    Args:
        sender: the Jupyter session that asks. answer: called once, on the main thread.
    """
    session = kernel.session
    msg = session.msg(request_type(op), content, metadata=bind_buffers(buffers) if buffers else {})
    msg["header"]["session"] = sender
    incoming = split([*session.serialize(msg), *buffers], 0)
    assert incoming is not None

    def reply(frames: list[Any]) -> None:
        at = frames.index(DELIMITER)
        told = msgspec.json.decode(frames[at + 5])
        answer(told, [memoryview(buffer) for buffer in frames[at + 6 :]])

    async def serve() -> None:
        async with kernel._main_asyncio_lock:
            serving = Serving(kernel, incoming, "shell", reply)
            await serving.finish(serving.begin())

    # There is one: whoever asks runs in a kernel that serves.
    assert kernel.main_loop is not None
    asyncio.run_coroutine_threadsafe(serve(), kernel.main_loop)
