"""Signals that drain pools. An event loop has one handler for each signal; here several pools share it.

Rules: the handler is there while some pool asks for it; then the signal does what it did before by default.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

_Acts = list[Callable[[], object]]

#: What is done on each signal, by event loop.
_asked: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Acts]]] = WeakKeyDictionary()


def on_signal(loop: asyncio.AbstractEventLoop, number: int, act: Callable[[], object]) -> Callable[[], None]:
    """Do something whenever the process gets a signal; returns what ends that.

    Raises RuntimeError or ValueError where the loop takes no signals, as outside of the main thread.
    """
    acts = _asked.setdefault(loop, {}).setdefault(number, [])
    if not acts:
        loop.add_signal_handler(number, _perform, acts)
    acts.append(act)

    def end() -> None:
        acts.remove(act)
        if not acts:
            loop.remove_signal_handler(number)

    return end


def _perform(acts: _Acts) -> None:
    for act in list(acts):
        act()
