"""What long work knows of the request it serves: whether to go on, until when, and whom to tell.

Rules: work calls ``check`` between chunks of at most some tens of milliseconds, and ``progress`` where it
knows how far it is. Another thread cancels; the work's own thread raises. A task without arguments is
neutral: never cancelled, no deadline, nobody told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from snakekernel.wire.errors import Cancelled, DeadlineExceeded

#: Seconds between two messages of progress; what comes faster is not told.
_APART: Final = 0.1


class Task:
    """One long request.

    Args:
        deadline: ``time.monotonic()`` seconds by which the work must be over, or ``None``.
        tell: gets ``(done, total, text)`` of progress, at most ten times a second.
    """

    def __init__(
        self, *, deadline: float | None = None, tell: Callable[[int, int, str], None] | None = None
    ) -> None:
        self.deadline = deadline
        self.cancelled = False
        self._tell = tell
        self._told = 0.0

    def cancel(self) -> None:
        """Make the next ``check`` raise; from any thread, any number of times."""
        self.cancelled = True

    def check(self) -> None:
        """Return if the work may go on.

        Raises:
            Cancelled: the request was cancelled.
            DeadlineExceeded: its time is over.
        """
        if self.cancelled:
            raise Cancelled("The request was cancelled.")
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise DeadlineExceeded("The request's time is over.")

    def progress(self, done: int, total: int, text: str) -> None:
        """Tell how far the work is, ``text`` in a word or two (``"sorting"``); checks as ``check`` does."""
        self.check()
        now = time.monotonic()
        if self._tell is not None and now - self._told >= _APART:
            self._told = now
            self._tell(done, total, text)
