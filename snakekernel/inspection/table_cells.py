"""Reading a table's cells in bounded time, and making bounded cells of them.

Rules: whatever a table's own code does, reading ends in time and fails clearly; a cell is an object that the
encoder keeps exactly, or a short text in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from snakekernel.inspection import facts, genuine, timed
from snakekernel.inspection.budget import Clock
from snakekernel.inspection.list_column import is_worded
from snakekernel.inspection.steps import is_plain
from snakekernel.inspection.text import Texts, clip
from snakekernel.objects.secret_names import MASK, hides, meaning_of, scrubbed
from snakekernel.wire.errors import SnakeError, Unresolvable

_LONGEST_TUPLE: Final = 16


class TookTooLong(Unresolvable):
    """Reading did not end in its time."""


def read(code: Callable[[], Any], clock: Clock, doing: str = "read") -> Any:
    """Run a library's reading, which may run a subclass's hooks, within the time.

    Raises:
        Unresolvable: it raised while the table was ``doing``. TookTooLong: it took too long.
    """
    refused: list[SnakeError] = []

    def run() -> Any:
        try:
            return code()
        except SnakeError as error:  # ours, about the object; all else is the object's own failure
            refused.append(error)
            return None

    outcome = timed.attempt(run, clock.left())
    if refused:
        raise refused[0]
    if outcome.timed_out:
        raise TookTooLong(f"the table cannot be {doing}: it took too long", at="$.target", fault="target")
    if not outcome.ok:
        raise Unresolvable(
            f"the table cannot be {doing}: it raised {outcome.error}", at="$.target", fault="target"
        )
    return outcome.value


class Cells:
    """Turns objects into bounded cells, and remembers whether one was shortened."""

    def __init__(self, clock: Clock, text: int) -> None:
        self.clock = clock
        self.texts = Texts(clock, depth=2)
        self.text = text
        self.truncated = False
        #: Whether a secret was left out.
        self.masked = False

    def column(self, label: Any, cells: Sequence[Any]) -> list[Any]:
        """The cells of a column of this name."""
        meaning = meaning_of(label) if type(label) is str else "harmless"
        if meaning == "harmless":
            return [self.cell(cell) for cell in cells]
        return [self.named(label, cell) for cell in cells]

    def named(self, label: Any, obj: Any) -> Any:
        """One cell of a column of this name."""
        if hides(label, obj):
            self.masked = True
            return MASK
        return self.cell(obj)

    def cell(self, obj: Any) -> Any:
        """``obj`` if the encoder keeps it exactly and shortly, ``None`` if missing, else a short text."""
        if type(obj) is str and (clean := scrubbed(obj[: self.text])) != obj[: self.text]:
            self.masked = True
            return clean
        if is_plain(obj, self.text):
            return obj
        if type(obj) is str:
            self.truncated = True
            return clip(obj, self.text)[0]
        if _is_missing(obj):
            return None
        if type(obj) is tuple and len(obj) <= _LONGEST_TUPLE:
            return tuple(self.cell(part) for part in obj)
        if is_worded(obj):
            return clip(str(obj), self.text)[0]
        if facts.data_kind(obj) == "numpy.generic" and is_plain(obj.item(), self.text):
            return obj.item()
        self.truncated = True
        text = self.texts.outline(obj, self.text)[0]
        self.masked |= self.texts.masked
        return text

    def words(self, obj: Any) -> str:
        """The text of the cell."""
        return str(self.cell(obj))


def _is_missing(obj: Any) -> bool:
    """Whether the object is ``pandas.NaT`` or ``pandas.NA``: NaN is a number of its own to a page."""
    pandas = genuine.library("pandas")
    return bool(pandas) and (obj is pandas.get("NaT", pandas) or obj is pandas.get("NA", pandas))
