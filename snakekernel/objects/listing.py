"""The orders in which the entries of one namespace are listed, so that any page costs what its entries cost.

Rules: kept from when a page first needs them, and along with the namespace from then on: two words an entry.
Not thread-safe: the store's lock guards them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .entries import Entry

_number = attrgetter("number")


class Listing:
    """Entries in the order they were first stored, and their names in alphabetical order.

    Args:
        entries: those there are, in the order they were first stored.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = list(entries)
        self._names = sorted(entry.name for entry in self._entries)

    def add(self, entry: Entry) -> None:
        """A name that was not there; it comes last."""
        self._entries.append(entry)
        insort(self._names, entry.name)

    def replace(self, entry: Entry) -> None:
        """Another entry of the same name and number."""
        self._entries[self._index(entry)] = entry

    def remove(self, entry: Entry) -> None:
        """The entry is gone."""
        del self._entries[self._index(entry)]
        del self._names[bisect_left(self._names, entry.name)]

    def _index(self, entry: Entry) -> int:
        return bisect_left(self._entries, entry.number, key=_number)

    def page(self, offset: int, limit: int) -> list[Entry]:
        """Entries in the order they were first stored."""
        return self._entries[offset : offset + limit]

    def names(self, prefix: str, offset: int, limit: int) -> tuple[list[str], int]:
        """A page of the names that begin so, in alphabetical order, and how many there are."""
        first = bisect_left(self._names, prefix)
        end = bisect_right(self._names, prefix, lo=first, key=lambda name: name[: len(prefix)])
        return self._names[first + offset : min(first + offset + limit, end)], end - first
