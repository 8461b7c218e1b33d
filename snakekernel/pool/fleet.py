"""The kernels of a pool as its policy sees them, and which of them can take what.

Rules: a kernel is in one state; ``Fleet.move`` alone changes it, and keeps the counts and the shelves that
the policy looks at. A kernel for calls is found by its load, the least first, the last used of those: so
others fall idle. Every step costs O(1), but when the last kernel of a load leaves: O(calls per kernel).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
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

    __slots__ = ("_by_load", "_least", "changes", "count", "kernels", "open_to_sessions", "unused")

    def __init__(self) -> None:
        self.kernels: dict[int, Kernel] = {}
        self.count: Counter[State] = Counter()
        #: How often ``count`` has changed.
        self.changes = 0
        #: Those that wait for their first use, the oldest first.
        self.unused: OrderedDict[int, Kernel] = OrderedDict()
        #: Those that have sessions and room for more, the oldest first.
        self.open_to_sessions: OrderedDict[int, Kernel] = OrderedDict()
        #: Those for calls by how many they have, and the least that any has.
        self._by_load: list[OrderedDict[int, Kernel]] = [OrderedDict()]
        self._least = 0

    def add(self, kernel: Kernel) -> None:
        """A kernel that is asked for."""
        self.kernels[kernel.number] = kernel
        self.count[kernel.state] += 1
        self.changes += 1

    def remove(self, kernel: Kernel) -> None:
        """A kernel that is gone."""
        self._leave(kernel)
        self.count[kernel.state] -= 1
        self.changes += 1
        del self.kernels[kernel.number]

    def move(self, kernel: Kernel, state: State) -> None:
        """Change a kernel's state."""
        self._leave(kernel)
        self.count[kernel.state] -= 1
        self.count[state] += 1
        self.changes += 1
        kernel.state = state
        if state == "unused":
            self.unused[kernel.number] = kernel
        elif state == "calls":
            # It has none yet.
            self._by_load[0][kernel.number] = kernel
            self._least = 0

    def begin(self, kernel: Kernel, ticket: int) -> None:
        """A call of a kernel in the state ``calls`` begins."""
        load = len(kernel.calls)
        shelves = self._by_load
        del shelves[load][kernel.number]
        kernel.calls.add(ticket)
        kernel.served += 1
        if load + 1 == len(shelves):
            shelves.append(OrderedDict())
        shelves[load + 1][kernel.number] = kernel
        if load == self._least and not shelves[load]:
            self._least = load + 1

    def end(self, kernel: Kernel, ticket: int) -> None:
        """A call ends."""
        load = len(kernel.calls)
        kernel.calls.discard(ticket)
        if kernel.state == "calls":
            del self._by_load[load][kernel.number]
            self._by_load[load - 1][kernel.number] = kernel
            self._least = min(self._least, load - 1)

    def offer(self, kernel: Kernel, limit: int) -> None:
        """Let a kernel in the state ``sessions`` have more of them, if it had fewer than ``limit``."""
        if kernel.opened < limit:
            self.open_to_sessions[kernel.number] = kernel
        else:
            self.open_to_sessions.pop(kernel.number, None)

    def least_loaded(self) -> Kernel | None:
        """The kernel for calls that has the fewest, which may be as many as it can have."""
        shelf = self._by_load[self._least]
        return next(reversed(shelf.values())) if shelf else None

    def longest_idle(self) -> Kernel | None:
        """The kernel for calls that has had none for the longest time; None where all have some."""
        shelf = self._by_load[0]
        return next(iter(shelf.values())) if shelf else None

    def _leave(self, kernel: Kernel) -> None:
        """Take a kernel off its shelf."""
        if kernel.state == "unused":
            del self.unused[kernel.number]
        elif kernel.state == "sessions":
            self.open_to_sessions.pop(kernel.number, None)
        elif kernel.state == "calls":
            del self._by_load[len(kernel.calls)][kernel.number]
            while self._least + 1 < len(self._by_load) and not self._by_load[self._least]:
                self._least += 1
