"""One object of a file: what is told of it without its bytes, and where they lie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

_TAG: Final = 32


class Part(NamedTuple):
    """One run of bytes: the pickle, or a buffer beside it. ``digest`` is SHA-256 in hexadecimal."""

    size: int
    digest: str
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A stored object in a file. ``session`` is empty for the kernel-wide namespace.

    Times are seconds since 1970; ``size`` in bytes, of all parts; ``layout`` the parts as JSON, in order.
    """

    number: int
    session: str
    name: str
    type: str
    module: str
    size: int
    created: float
    expires_at: float | None
    generation: int
    layout: str
    tag: bytes = b""

    def said(self) -> tuple[str | int | float | None, ...]:
        """All that the row says but its tag."""
        return (
            self.number,
            self.session,
            self.name,
            self.type,
            self.module,
            self.size,
            self.created,
            self.expires_at,
            self.generation,
            self.layout,
        )

    @property
    def parts(self) -> list[Part]:
        """The parts, of a row whose tag is right."""
        return [Part(*part) for part in json.loads(self.layout)]


def layout_of(parts: list[Part]) -> str:
    """Parts as a row's ``layout``."""
    return json.dumps(parts)


def row_of(columns: tuple[Any, ...]) -> Row | None:
    """A row of the database; None where a column is not of its type."""
    row = Row(*columns)
    texts = (row.session, row.name, row.type, row.module, row.layout)
    numbers = (row.number, row.size, row.generation)
    if not all(type(text) is str for text in texts) or not all(type(number) is int for number in numbers):
        return None
    if type(row.created) is not float or type(row.expires_at) not in (float, type(None)):
        return None
    return row if type(row.tag) is bytes and len(row.tag) == _TAG else None
