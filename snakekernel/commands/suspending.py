"""How a running command hands over to its driver: to await something, or to go on elsewhere.

Rules: a command suspends only through these; what comes back is sent, never thrown, for a GeneratorExit or
StopIteration thrown into a coroutine changes on its way.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator
from typing import Any


class Suspended:
    """What a running command hands to its driver: an awaitable whose result it needs to go on."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable


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
def suspend(awaitable: Awaitable[Any]) -> Generator[Suspended, Any, Any]:
    """Hand an awaitable to the driver; the result is what it gave, or Failed."""
    return (yield Suspended(awaitable))


@types.coroutine
def move() -> Generator[Moving, Any, Any]:
    """Let the driver go on with this request where tasks run."""
    return (yield Moving())
