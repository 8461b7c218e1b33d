"""Letting go of removed objects: on the main thread, for what they do when they end is user code."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from .namespace import forget_outputs


class Dropping:
    """Takes the lists of removed objects that the store hands out; see there.

    What other threads remove is let go together, so that a client that drops thousands wakes the main thread
    a few times only.
    """

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._gone: deque[Any] = deque()
        self._is_expected = False

    def __call__(self, gone: list[Any]) -> None:
        """Let go of all in the list, and clear it."""
        main_loop = self._kernel.main_loop
        if main_loop is None or threading.current_thread() is threading.main_thread():
            self._let_go(gone)
            return
        self._gone.extend(gone)
        gone.clear()
        if not self._is_expected:
            self._is_expected = True
            main_loop.call_soon_threadsafe(self._let_go_of_all)

    def _let_go_of_all(self) -> None:
        # In this order: what comes in between is seen here, or expected again.
        self._is_expected = False
        self._let_go([self._gone.popleft() for _ in range(len(self._gone))])

    def _let_go(self, gone: list[Any]) -> None:
        try:
            forget_outputs(self._kernel.shell, gone)
        finally:
            gone.clear()
