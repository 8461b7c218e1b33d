"""The path of names and items that stands at a place in code: ``stored.df["x"].ro`` and where it ends.

Rules: pure functions of texts; code is read, never run. A path is a name, attributes and items whose keys are
plain strings or whole numbers; anything else (calls, slices, variables as keys) is no path. Of a long line
the last characters are read.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final, Literal

from ..wire.path import Attr, Item

#: Characters before the cursor that are read.
_REACH: Final = 1_000

_NAME: Final = r"[^\W\d]\w*"
_STRING: Final = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_STEPS: Final = rf"(?:\.{_NAME}|\[(?:{_STRING}|-?\d{{1,15}})\])*"
_PATH: Final = rf"(?<![\w.\])}}'\"])(?P<root>{_NAME})(?P<steps>{_STEPS})"

_LEADING: Final = re.compile(_PATH)
_WHOLE: Final = re.compile(rf"{_PATH}\Z")
_PARTIAL: Final = re.compile(
    rf"{_PATH}(?:\.(?P<attribute>(?:{_NAME})?)|\[(?:(?P<quote>['\"])(?P<key>[^'\"\n]*))?)\Z"
)
_BARE: Final = re.compile(rf"(?<![\w.\])}}'\"])(?P<root>{_NAME})\Z")
_STEP: Final = re.compile(rf"\.({_NAME})|\[({_STRING}|-?\d+)\]")
_WORD: Final = re.compile(r"\w*")

Step = Attr | Item


@dataclass(frozen=True, slots=True)
class Path:
    """A name and the steps that follow it."""

    root: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What is being typed.

    Attributes:
        path: what it belongs to; None for a name that stands alone.
        kind: ``name``, ``attribute`` or ``key``.
        typed: the part of it that is there. quote: that of a key, empty where none was typed yet.
        start: where ``typed`` begins in the code, in characters.
    """

    path: Path | None
    kind: Literal["name", "attribute", "key"]
    typed: str
    quote: str
    start: int


def unfinished(code: str, cursor: int) -> Unfinished | None:
    """What is being typed at the cursor, or None where that is no path."""
    line = _line_before(code, cursor)
    found = _PARTIAL.search(line)
    if found is not None and not _in_text(line[: found.start()]):
        path = Path(found["root"], _steps(found["steps"]))
        if found["attribute"] is not None:
            return Unfinished(path, "attribute", found["attribute"], "", cursor - len(found["attribute"]))
        key = found["key"] or ""
        return Unfinished(path, "key", key, found["quote"] or "", cursor - len(key))
    bare = _BARE.search(line)
    if bare is None or _in_text(line[: bare.start()]):
        return None
    return Unfinished(None, "name", bare["root"], "", cursor - len(bare["root"]))


def path_at(code: str, cursor: int) -> Path | None:
    """The path under the cursor, as far as the name under it; within a call's brackets, what is called."""
    word = _WORD.match(code, cursor)
    end = cursor if word is None else word.end()
    path = whole(_line_before(code, end))
    if path is None and code[cursor - 1 : cursor] in ("]", "'", '"'):
        return None
    return path or whole(_before_bracket(_line_before(code, cursor)))


def whole(text: str) -> Path | None:
    """The path that the text ends with."""
    found = _WHOLE.search(text[-_REACH:])
    if found is None or _in_text(text[: len(text) - len(found[0])]):
        return None
    return Path(found["root"], _steps(found["steps"]))


def leading(text: str) -> tuple[Path, str] | None:
    """The path that the text begins with, and what follows it."""
    found = _LEADING.match(text[:_REACH])
    return None if found is None else (Path(found["root"], _steps(found["steps"])), text[found.end() :])


def _line_before(code: str, cursor: int) -> str:
    start = code.rfind("\n", 0, cursor) + 1
    return code[max(start, cursor - _REACH) : cursor]


def _steps(text: str) -> tuple[Step, ...]:
    return tuple(
        Attr(name) if name else Item(ast.literal_eval(key) if key[0] in "'\"" else int(key))
        for name, key in _STEP.findall(text)
    )


def _in_text(line: str) -> bool:
    """Whether what follows the line is within a string or a comment."""
    quote = ""
    at = 0
    while at < len(line):
        char = line[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char == "#":
            return True
        at += 1
    return bool(quote)


def _before_bracket(line: str) -> str:
    """What stands before the bracket that is open at the end of the line; nothing where none is."""
    depth = 0
    for at in range(len(line) - 1, -1, -1):
        if line[at] in ")]}":
            depth += 1
        elif line[at] in "([{":
            if depth == 0:
                return line[:at] if line[at] == "(" else ""
            depth -= 1
    return ""
