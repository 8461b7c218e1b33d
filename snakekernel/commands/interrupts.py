"""Interrupts of one request: delivered only while user code runs, remembered otherwise.

Rules: ``request`` is called by the signal handler on the main thread. Where user code runs (the ``with``
block is entered) it raises KeyboardInterrupt there; while the request awaits, it cancels what is awaited;
anywhere else it is remembered and raised before the next piece of user code. So our own lines, and a reply
that is half sent, are never interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal


class Interrupts:
    """The interrupt state of one request."""

    __slots__ = ("_armed", "_pending", "cancel", "requested")

    def __init__(self) -> None:
        self._armed = False
        self._pending = False
        #: Whether an interrupt came for this request.
        self.requested = False
        #: Cancels what the request awaits, while it awaits something.
        self.cancel: Callable[[], object] | None = None

    def __enter__(self) -> None:
        # Armed first: an interrupt between the two lines must not be lost.
        self._armed = True
        if self._pending:
            self._pending = self._armed = False
            raise KeyboardInterrupt

    def __exit__(self, *exc_info: object) -> Literal[False]:
        self._armed = False
        return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Our own lines within user code, on its thread: an interrupt strikes after them."""
        was_armed, self._armed = self._armed, False
        try:
            yield
        finally:
            self._armed = was_armed
            if was_armed and self._pending:
                self._pending = self._armed = False
                raise KeyboardInterrupt

    @property
    def holds_thread(self) -> bool:
        """Whether the request has the thread: user code of it runs, or it does not await anything."""
        return self._armed or self.cancel is None

    def disarm(self) -> None:
        """User code is over, even if an interrupt struck while the block was left."""
        self._armed = False

    def request(self) -> None:
        """An interrupt came; code that swallowed an earlier one gets this one too."""
        self.requested = True
        if self._armed:
            raise KeyboardInterrupt
        if self.cancel is not None:
            self.cancel()
        else:
            self._pending = True
