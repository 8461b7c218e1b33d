"""What a condition compares cells with: plain values, checked against the kind of the column.

Rules: only exact types of the standard library, so that no comparison runs code that came with a request;
times are whole nanoseconds since 1970 or of duration, exact in any unit.
"""

from __future__ import annotations

import datetime
import decimal
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from snakekernel.inspection import genuine, timed
from snakekernel.inspection.kinds import Kind
from snakekernel.inspection.table_query import Comparison, Match

#: What compares a cell, or a whole column, with a value.
OPERATORS: Final[dict[Comparison, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}

_NUMBERS: Final = genuine.Table.of(int, float, decimal.Decimal)

_EPOCH: Final = datetime.datetime(1970, 1, 1)
_DIGITS_AFTER_MICROSECONDS: Final = re.compile(r"(\.\d{6})(\d{1,3})\d*")
_MICROSECOND: Final = datetime.timedelta(microseconds=1)


class Mismatch(Exception):
    """The value cannot be compared with cells of that kind; the text says what could."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time: nanoseconds since 1970, in UTC if ``aware``, else by the clock on the wall."""

    ns: int
    aware: bool
    wall: datetime.datetime


def number(value: Any) -> Any:
    """A number to compare numbers with."""
    if type(value) not in _NUMBERS:
        raise Mismatch("a column of numbers is compared with a number")
    return value


def truth(value: Any) -> bool:
    """A truth value to compare booleans with."""
    if type(value) is not bool:
        raise Mismatch("a column of booleans is compared with true or false")
    return value


def text(value: Any) -> str:
    """A text to compare texts with."""
    if type(value) is not str:
        raise Mismatch("a column of text is compared with a text")
    return value


def instant(value: Any) -> Instant:
    """A datetime, a date, or the ISO text of one, with up to nine digits of a second."""
    extra = 0
    if type(value) is str:
        more = _DIGITS_AFTER_MICROSECONDS.search(value)
        if more is not None:
            extra = int(more[2].ljust(3, "0"))
            value = value[: more.end(1)] + value[more.end() :]
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            value = None
    elif type(value) is datetime.date:
        value = datetime.datetime(value.year, value.month, value.day)
    if type(value) is not datetime.datetime or type(value.tzinfo) not in _ZONES:
        raise Mismatch('a column of times is compared with a time such as "2024-05-01T12:00"')
    aware = value.tzinfo is not None
    wall = value.astimezone(datetime.UTC).replace(tzinfo=None) if aware else value
    return Instant((wall - _EPOCH) // _MICROSECOND * 1_000 + extra, aware, value)


_ZONES: Final = genuine.Table.of(type(None), datetime.timezone)


def span(value: Any) -> int:
    """Nanoseconds of a timedelta or of a number of seconds."""
    if type(value) is datetime.timedelta:
        return int(value // _MICROSECOND) * 1_000
    if (type(value) is int or type(value) is float) and abs(value) < 1e12:
        return round(value * 1_000_000_000)
    raise Mismatch("a column of durations is compared with a number of seconds or a duration")


@dataclass(frozen=True, slots=True)
class TextTest:
    """Looks for ``text`` in texts; ``case``: whether upper and lower case differ."""

    how: Match
    text: str
    case: bool = False

    def keep(self, texts: list[str]) -> list[bool]:
        """Which of the texts pass.

        Raises:
            Mismatch: the regular expression is malformed.
        """
        if self.how == "regex":
            return _search(self.text, self.case, texts)
        sought = self.text if self.case else self.text.lower()
        given = texts if self.case else [text.lower() for text in texts]
        if self.how == "contains":
            return [sought in text for text in given]
        return [text.startswith(sought) if self.how == "starts" else text.endswith(sought) for text in given]


def _search(pattern: str, case: bool, texts: list[str]) -> list[bool]:
    """By pyarrow's RE2 where there is pyarrow: it takes linear time, and never holds the interpreter."""
    try:
        import pyarrow
        import pyarrow.compute
    except ImportError:
        try:
            compiled = re.compile(pattern, 0 if case else re.IGNORECASE)
        except re.error as error:
            raise Mismatch(f"the regular expression is malformed: {error}") from None
        return [compiled.search(text) is not None for text in texts]
    values = pyarrow.array([genuine.clean(text) for text in texts], pyarrow.large_string())
    return arrow_search(values, pattern, case).to_pylist()  # type: ignore[no-any-return]


def arrow_search(values: Any, pattern: str, case: bool) -> Any:
    """The mask of Arrow texts in which RE2 finds the pattern."""
    import pyarrow
    import pyarrow.compute

    try:
        return pyarrow.compute.match_substring_regex(values, pattern, ignore_case=not case)
    except pyarrow.ArrowInvalid as error:
        raise Mismatch(f"the regular expression is malformed: {timed.summary(error)}") from None


#: What values of each kind are compared with.
CHECKS: Final[dict[Kind, Callable[[Any], Any]]] = {
    "integer": number,
    "number": number,
    "boolean": truth,
    "text": text,
    "datetime": instant,
    "duration": span,
}
