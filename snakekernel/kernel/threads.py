"""Threads of the kernel's own."""

from __future__ import annotations

import threading
from collections.abc import Callable


def start(target: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread that a debugger leaves alone, as it does ipykernel's: it passes breakpoints."""
    thread = threading.Thread(target=target, name=f"snakekernel {name}", daemon=True)
    for mark in ("pydev_do_not_trace", "is_pydev_daemon_thread"):
        setattr(thread, mark, True)
    thread.start()
    return thread
