"""Keeps Ctrl-C out of the few lines that must run to their end.

Rules: a KeyboardInterrupt between two frames of a message would leave half of it in the socket, and the next
message would be taken for its rest. Python raises it in the main thread only, so only there is it held back.
Handlers are swapped by the C function under ``signal.signal``: that one's conversions to enums cost a small
call a tenth of its time. A block that another signal's handler broke off before its end was noticed holds
nothing back: the next interrupt finds that its code runs no more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from _signal import getsignal  # type: ignore[import-not-found]  # typeshed leaves it out
from _signal import signal as swap
from types import FrameType
from typing import Any, Final

_SIGINT: Final = int(signal.SIGINT)
_main = threading.main_thread().ident


def _after_fork() -> None:
    # The thread that forked is the child's main thread.
    global _main
    _main = threading.get_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Shield:
    """``with Shield(): …`` runs to its end; an interrupt that came meanwhile follows it."""

    __slots__ = ("_handler", "_held", "_home")

    def __enter__(self) -> None:
        self._handler: Any = None
        self._held: tuple[int, FrameType | None] | None = None
        if threading.get_ident() == _main:
            handler = getsignal(_SIGINT)
            if callable(handler):
                self._handler = handler
                self._home: FrameType | None = sys._getframe(1)
                swap(_SIGINT, self._hold)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        running = frame
        while running is not None and running is not self._home:
            running = running.f_back
        if running is None:
            swap(_SIGINT, self._handler)
            self._handler(number, frame)
        else:
            self._held = (number, frame)

    def __exit__(self, *exc_info: object) -> None:
        if self._handler is not None:
            swap(_SIGINT, self._handler)
            self._home = None
            if self._held is not None:
                self._handler(*self._held)
