"""What the sidecar needs of an engine: owners somewhere, and what it means when they do not answer.

Rules: an engine's word that an owner is lost is no word about its kernel, which may live for its lease.
"""

from __future__ import annotations

from typing import Any, Protocol


class DriverError(Exception):
    """Told to the host under a kind of its own (see ``sidecar``)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class OwnerLost(Exception):
    """The engine says that an owner is out of reach, or gone: the kernel may live for its lease."""


class Actor(Protocol):
    """An owner somewhere."""

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of it. Raises OwnerLost, and what the method raised."""

    async def take(self, segments: list[dict[str, Any]]) -> Any:
        """Have the bytes of segments put into the engine's store; a handle."""

    async def give(self, token: str, handle: Any) -> list[dict[str, Any]]:
        """Have what a handle stands for placed in segments of the owner."""

    async def remove(self) -> None:
        """End the owner, whether it answers or not."""


class Driver(Protocol):
    """An engine, from the sidecar."""

    async def open(self, options: dict[str, Any]) -> None:
        """Connect. Raises DriverError."""

    async def place(self, name: str, wants: dict[str, Any]) -> Actor:
        """Make an owner; waits until there is room. Raises DriverError."""

    async def close(self) -> None:
        """Disconnect."""
