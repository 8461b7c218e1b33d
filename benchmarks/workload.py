"""What a workload is: a function from opened peers to a table's rows, and how the table looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .measure import Opened, Row


@dataclass(frozen=True)
class Column:
    """A figure's key in a row, and the heading over it."""

    key: str
    heading: str


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One thing that is measured.

    Attributes:
        name: its key in the JSON.
        title: over its table; says what is done.
        columns: in the table's order.
        run: gives peer -> column -> figure; a peer that does not take part is not in it.
        needs: modules that must be there.
        first_phase_only: it measures peers that it opens itself, so that it runs once.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    run: Callable[[Opened], dict[str, Row]]
    first_phase_only: bool = False
    needs: tuple[str, ...] = ()
