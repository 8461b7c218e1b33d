"""A library with one class; it knows nothing of snakekernel."""

from __future__ import annotations

step = 1


def configure(step: int = 1) -> None:
    """How much every count adds."""
    globals()["step"] = step


class Tally:
    """Counts by name."""

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        self.counts = counts or {}

    def add(self, name: str) -> int:
        """Count once more; returns the count."""
        self.counts[name] = self.counts.get(name, 0) + step
        return self.counts[name]
