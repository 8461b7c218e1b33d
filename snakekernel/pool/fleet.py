"""The kernels of a pool as its policy sees them, and which of them can take what.

Rules: a kernel is in one state; ``Fleet.move`` alone changes it, and keeps the counts and the shelves that
the policy looks at. A kernel for calls is found by its load, the least first, the last used of those: so
others fall idle. Every step costs O(1), but when the last kernel of a load leaves: O(loads there are).
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Literal

from .events import StopReason

#: ``unused``: ready for anything; ``retiring``: its calls are the last; ``lost``: stopped and out of reach.
State = Literal["starting", "unused", "calls", "retiring", "sessions", "stopping", "lost"]


@dataclass(slots=True, eq=False)
class Kernel:
    """One kernel, from ``Start`` to ``Gone``."""

    number: int
    #: When it was asked for.
    since: float
    state: State = "starting"
    #: What it was used for, or is.
    use: Literal["calls", "sessions"] | None = None
    #: When it began to answer.
    started: float | None = None
    #: Tickets of the calls that run.
    calls: set[int] = field(default_factory=set)
    served: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)
    #: How many sessions it got in all its life.
    opened: int = 0
    memory: int | None = None
    #: Why it is stopped, or will be when its calls are done.
    reason: StopReason | None = None
    #: Sessions that must not be opened elsewhere before it is gone.
    held_back: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Session:
    """One session that is open."""

    name: str
    kernel: Kernel
    ttl: float | None
    since: float
    #: Tickets of its handles.
    holders: set[int] = field(default_factory=set)


class Fleet:
    """All kernels of a pool."""

    __slots__ = ("_by_load", "_least", "count", "kernels", "open_to_sessions", "unused")

    def __init__(self) -> None:
        self.kernels: dict[int, Kernel] = {}
        self.count: Counter[State] = Counter()
        #: Those that wait for their first use, the oldest first.
        self.unused: OrderedDict[int, Kernel] = OrderedDict()
        #: Those that have sessions and room for more, the oldest first.
        self.open_to_sessions: OrderedDict[int, Kernel] = OrderedDict()
        self._by_load: defaultdict[int, OrderedDict[int, Kernel]] = defaultdict(OrderedDict)
        self._least = 0

    def add(self, kernel: Kernel) -> None:
        """A kernel that is asked for."""
        self.kernels[kernel.number] = kernel
        self.count[kernel.state] += 1

    def remove(self, kernel: Kernel) -> None:
        """A kernel that is gone."""
        self._leave(kernel)
        self.count[kernel.state] -= 1
        del self.kernels[kernel.number]

    def move(self, kernel: Kernel, state: State) -> None:
        """Change a kernel's state."""
        self._leave(kernel)
        self.count[kernel.state] -= 1
        self.count[state] += 1
        kernel.state = state
        if state == "unused":
            self.unused[kernel.number] = kernel
        elif state == "calls":
            self._shelve(kernel)

    def begin(self, kernel: Kernel, ticket: int) -> None:
        """A call of a kernel in the state ``calls`` begins."""
        load = len(kernel.calls)
        is_last = self._take_off(kernel)
        kernel.calls.add(ticket)
        kernel.served += 1
        self._by_load[load + 1][kernel.number] = kernel
        if is_last and load == self._least:
            self._least = load + 1

    def end(self, kernel: Kernel, ticket: int) -> None:
        """A call ends."""
        if kernel.state != "calls":
            kernel.calls.discard(ticket)
            return
        self._take_off(kernel)
        kernel.calls.discard(ticket)
        self._shelve(kernel)

    def offer(self, kernel: Kernel, limit: int) -> None:
        """Let a kernel in the state ``sessions`` have more of them, if it had fewer than ``limit``."""
        if kernel.opened < limit:
            self.open_to_sessions[kernel.number] = kernel
        else:
            self.open_to_sessions.pop(kernel.number, None)

    def least_loaded(self) -> Kernel | None:
        """The kernel for calls that has the fewest, which may be as many as it can have."""
        shelf = self._by_load.get(self._least)
        return next(reversed(shelf.values())) if shelf else None

    def longest_idle(self) -> Kernel | None:
        """The kernel for calls that has had none for the longest time; None where all have some."""
        shelf = self._by_load.get(0)
        return next(iter(shelf.values())) if shelf else None

    def _leave(self, kernel: Kernel) -> None:
        if self._take_off(kernel) and self._by_load:
            self._least = min(self._by_load)

    def _shelve(self, kernel: Kernel) -> None:
        load = len(kernel.calls)
        self._by_load[load][kernel.number] = kernel
        self._least = load if len(self._by_load) == 1 else min(self._least, load)

    def _take_off(self, kernel: Kernel) -> bool:
        """Take a kernel off its shelf; returns whether it was the last of its load."""
        if kernel.state == "unused":
            del self.unused[kernel.number]
        elif kernel.state == "sessions":
            self.open_to_sessions.pop(kernel.number, None)
        elif kernel.state == "calls":
            load = len(kernel.calls)
            shelf = self._by_load[load]
            del shelf[kernel.number]
            if not shelf:
                del self._by_load[load]
                return True
        return False
