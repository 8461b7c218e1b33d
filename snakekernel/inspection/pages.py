"""What a notebook shows of objects: short documents, as HTML and as text.

Rules
- A page is plain data, made before it is shown; showing it runs no user code.
- The HTML holds no scripts, no style sheets and nothing from elsewhere; all data is escaped. It says by its
  elements what it is (tables, ``pre``, ``details``): GitHub and nbviewer take inline styles away.
- No colours: it reads the same in a light and in a dark theme.
- It is bounded by what it is made of: whoever makes a page bounds its texts and rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

_LEFT: Final = ' style="text-align:left"'
_RIGHT: Final = ' align="right" style="text-align:right"'
_TEXT: Final = (
    ' style="text-align:left;white-space:pre-wrap;font-family:var(--jp-code-font-family,monospace)"'
)
_INNER: Final = ' style="margin-left:1em"'


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and what they say, one a row."""

    rows: Sequence[tuple[str, str]]

    def html(self) -> str:
        """A table of two columns."""
        rows = "".join(
            f"<tr><th{_LEFT}>{escape(label)}</th><td{_LEFT}>{escape(text)}</td></tr>"
            for label, text in self.rows
        )
        return f"<table><tbody>{rows}</tbody></table>" if rows else ""

    def lines(self) -> list[str]:
        """Labels in one column, texts in the other."""
        width = max((len(label) for label, _ in self.rows), default=0)
        return [f"{label:<{width}}  {text}" for label, text in self.rows]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a head. ``numbers``: the columns whose texts stand at the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()

    def html(self) -> str:
        """A table."""
        styles = [_RIGHT if n in self.numbers else _LEFT for n in range(len(self.columns))]
        head = "".join(f"<th{s}>{escape(name)}</th>" for s, name in zip(styles, self.columns, strict=True))
        rows = "".join(
            f"<tr>{''.join(f'<td{s}>{escape(text)}</td>' for s, text in zip(styles, row, strict=True))}</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def lines(self) -> list[str]:
        """Columns two blanks apart."""
        table = [list(self.columns), *(list(row) for row in self.rows)]
        widths = [max(len(row[n]) for row in table) for n in range(len(self.columns))]
        return ["  ".join(self._padded(row, widths)).rstrip() for row in table]

    def _padded(self, row: list[str], widths: list[int]) -> list[str]:
        return [
            text.rjust(width) if n in self.numbers else text.ljust(width)
            for n, (text, width) in enumerate(zip(row, widths, strict=True))
        ]


@dataclass(frozen=True, slots=True)
class Block:
    """A text whose lines and blanks are kept."""

    text: str

    def html(self) -> str:
        """Preformatted text."""
        return f"<pre{_TEXT}>{escape(self.text)}</pre>"

    def lines(self) -> list[str]:
        """As it is."""
        return self.text.splitlines()


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence."""

    text: str

    def html(self) -> str:
        """A paragraph."""
        return f"<p>{escape(self.text)}</p>"

    def lines(self) -> list[str]:
        """As it is."""
        return [self.text]


@dataclass(frozen=True, slots=True)
class Section:
    """Parts under a title; ``folded``: the reader opens it."""

    title: str
    parts: Sequence[Part]
    folded: bool = False

    def html(self) -> str:
        """Details that can be opened and closed without any script."""
        inner = "".join(part.html() for part in self.parts)
        opened = "" if self.folded else " open"
        return f"<details{opened}><summary>{escape(self.title)}</summary><div{_INNER}>{inner}</div></details>"

    def lines(self) -> list[str]:
        """The title, and the parts below it, indented."""
        return [self.title, *(f"  {line}".rstrip() for part in self.parts for line in part.lines())]


Part = Facts | Grid | Block | Note | Section


@dataclass(frozen=True, slots=True)
class Page:
    """A document: a title, and its parts from top to bottom."""

    title: str
    parts: Sequence[Part] = field(default_factory=tuple)

    @property
    def html(self) -> str:
        """One ``div``."""
        return (
            f"<div><p><strong>{escape(self.title)}</strong></p>{''.join(p.html() for p in self.parts)}</div>"
        )

    @property
    def text(self) -> str:
        """Lines; parts that follow one another are a blank line apart."""
        parts = [part.lines() for part in self.parts]
        return "\n\n".join("\n".join(lines) for lines in [[self.title], *parts] if lines)

    @property
    def bundle(self) -> dict[str, str]:
        """Both forms by MIME type."""
        return {"text/plain": self.text, "text/html": self.html}

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.bundle
