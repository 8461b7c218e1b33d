"""The real dispatcher with the real plugins, driven without a kernel, and a real language-model server."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from snakekernel.commands.dispatch import Run
from snakekernel.commands.runtime import Runtime
from snakekernel.commands.suspending import Suspended
from snakekernel.demo.lm_server import LMServer
from snakekernel.objects.sessions import SessionTable
from snakekernel.objects.store import Store
from snakekernel.plugins.load import CommandTable, PluginTable
from snakekernel.wire.frame import Frame
from snakekernel.wire.names import request_type

_cache = tempfile.TemporaryDirectory(prefix="snakekernel-dspy-")  # removed when the test run ends

# DSPy and litellm read these as they are imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("DSPY_CACHEDIR", _cache.name)

#: A key that must never be seen in a reply.
KEY = "sk-canary-0123456789-never-to-be-seen"


class Bench:
    """Sends requests to the dispatcher; every reply is kept as the bytes that would go out."""

    def __init__(self) -> None:
        self.runtime = Runtime(
            table=CommandTable(),
            frameworks=PluginTable(),
            clock=time.time,
            store=Store(),
            sessions=SessionTable(),
        )
        self.sent: list[bytes] = []
        self._numbers = itertools.count()

    def ask(self, op: str, *, buffers: Sequence[memoryview] = (), **content: Any) -> dict[str, Any]:
        """The reply's content, whatever its status."""
        frame = Frame(request_type(op), f"m{next(self._numbers)}", msgspec.json.encode(content), {}, buffers)
        run = Run(frame, self.runtime, "shell")
        # As in the kernel, each request has a context of its own.
        step = contextvars.copy_context().run(self._drive, run)
        packed = run.pack(step)
        self.sent += [packed.content, *map(bytes, packed.buffers)]
        reply: dict[str, Any] = msgspec.json.decode(packed.content)
        return reply

    def ok(self, op: str, **content: Any) -> dict[str, Any]:
        """The reply's content, which must be a success."""
        reply = self.ask(op, **content)
        assert reply["status"] == "ok", reply
        return reply

    def error(self, op: str, **content: Any) -> dict[str, Any]:
        """The reply's content, which must be an error."""
        reply = self.ask(op, **content)
        assert reply["status"] == "error", reply
        return reply

    @staticmethod
    def _drive(run: Run) -> Any:
        step = run.resume()
        while isinstance(step, Suspended):
            step = run.resume(asyncio.run(_awaited(step.awaitable)))
        return step


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def lm_server() -> Iterator[LMServer]:
    """A server that knows one key."""
    with LMServer(api_key=KEY) as server:
        yield server


@pytest.fixture
def dspy_unconfigured() -> Iterator[Any]:
    """DSPy, without a language model before and after."""
    import dspy

    dspy.configure(lm=None, adapter=None)
    yield dspy
    dspy.configure(lm=None, adapter=None)
