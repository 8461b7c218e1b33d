"""How much one answer about an object may cost, and what is left of its time.

Rules: a budget is frozen data; a clock starts with the first call of an answer and every nested call
shares it, so an object made of slow parts costs one time bound, not one per part.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from snakekernel.inspection.task import Task


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one answer.

    Attributes:
        seconds: time for all the user code (such as ``__repr__``) one answer may run.
        text: characters of a ``string_repr`` and of a string value inside a description.
        items: elements of a container shown in a description.
        depth: nesting levels of containers written into a ``string_repr``.
        attributes: attributes described, or named by ``inspect``.
    """

    seconds: float = 0.5
    text: int = 2_000
    items: int = 50
    depth: int = 3
    attributes: int = 100

    @property
    def short(self) -> int:
        """Characters of the text of a part: an attribute, an item, a child."""
        return min(self.text, 200)

    @property
    def docstring(self) -> int:
        """Characters of a docstring: long ones are what one inspects a library for."""
        return 8 * self.text


@dataclass(slots=True)
class Clock:
    """Counts one answer's time from its making, on the monotonic clock; none is left to a cancelled task."""

    seconds: float
    task: Task | None = None
    started: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Seconds still to spend; zero or less when the time is used up."""
        if self.task is not None and self.task.cancelled:
            return 0.0
        return self.started + self.seconds - time.monotonic()
