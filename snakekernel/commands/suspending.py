"""How a running command hands over to its driver: to await something, or to go on elsewhere.

Rules: a command suspends only through these; what comes back is sent, never thrown, for a GeneratorExit or
StopIteration thrown into a coroutine changes on its way.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator
from typing import Any


class Suspended:
    """What a running command hands to its driver: an awaitable whose result it needs to go on.

    ``concurrent``: others may be served meanwhile.
    """

    __slots__ = ("awaitable", "concurrent")

    def __init__(self, awaitable: Awaitable[Any], concurrent: bool = False) -> None:
        self.awaitable = awaitable
        self.concurrent = concurrent


class _Ready:
    """An awaitable that has nothing to wait for."""

    def __await__(self) -> Generator[Any, Any, None]:
        return
        yield


class Moving(Suspended):
    """A task at its beginning: whoever drives it may go on with it on another thread, or here."""

    def __init__(self) -> None:
        super().__init__(_Ready())


class Failed:
    """What a driver sends back in place of a result: the exception that the awaitable raised."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


@types.coroutine
def suspend(awaitable: Awaitable[Any], concurrent: bool = False) -> Generator[Suspended, Any, Any]:
    """Hand an awaitable to the driver; the result is what it gave, or Failed."""
    return (yield Suspended(awaitable, concurrent))


@types.coroutine
def move() -> Generator[Moving, Any, Any]:
    """Let the driver go on with this request where tasks run."""
    return (yield Moving())
