"""The thread that looks at what clients watch: after cells and calls, and once a second while one runs.

Rules: it is there only while somebody watches. What ends in quick succession is looked at together; looks are
at least a tenth of a second apart, and take a small share of the time however much is watched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from ..inspection.watches import Watches
from . import threads

#: Seconds of one look, and between two.
_LOOK: Final = 0.01
_APART: Final = 0.1
#: How often the time that a look took is rested after it.
_REST: Final = 50
#: Seconds between looks while something runs.
_WHILE_RUNNING: Final = 1.0
#: Seconds after a cell or call, so that its reply goes out first.
_AFTER: Final = 0.02


class Watching:
    """Looks for one kernel.

    Args:
        watches: who watches. look: looks for so many seconds, tells what it found, and whether more is left.
        is_busy: whether a cell or call runs. clock: seconds since 1970.
    """

    def __init__(
        self,
        watches: Watches,
        look: Callable[[float], bool],
        is_busy: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._watches = watches
        self._look = look
        self._is_busy = is_busy
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        watches.on_begin = self._begin

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threads.start(self._run, "watch")

    def ended(self) -> None:
        """A cell or call ended."""
        if self._watches.is_on:
            self._ended.set()

    def close(self) -> None:
        """Have the thread end. Idempotent."""
        self._closed.set()
        self._ended.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=1)

    def _run(self) -> None:
        more = False
        while not self._is_over():
            has_ended = self._ended.wait(0 if more else _WHILE_RUNNING)
            self._ended.clear()
            if has_ended:
                self._closed.wait(_AFTER)
            if has_ended or self._is_busy():
                self._watches.again()
            elif not more:
                continue
            # Its own time: waiting for a busy interpreter costs the others nothing.
            began = time.thread_time()
            more = self._look(_LOOK)
            self._closed.wait(max(_APART, _REST * (time.thread_time() - began)))

    def _is_over(self) -> bool:
        """Whether nobody watches any more; then the thread is as good as gone."""
        self._watches.expire(self._clock())
        with self._lock:
            if self._watches.is_on and not self._closed.is_set():
                return False
            self._thread = None
            return True
