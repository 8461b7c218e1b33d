"""Words and sentences of plain English text, as the demo's language model looks at them.

Rules: pure functions of their arguments; a word is lower-case, has two letters or more, is no stop word, and
has lost its plural ending.
"""

from __future__ import annotations

import re
from collections import Counter

STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about after all also am an and any are as at be because been before being between both but by can
        could did do does doing done each few for from give had has have having he her here him his how i if
        in into is it its just know let make many may me might more most much must my no nor not of off on
        once one only or other our out over own please said same say she should so some such tell than that
        the their them then there these they this those through to too under until up us use used very was
        we were what when where which while who whom whose why will with would you your
        """,
    )
)
_WORD = re.compile(r"\w\w+")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])")
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|St|vs|e\.g|i\.e)\.$")
_NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\d])")


def sentences(text: str) -> list[str]:
    """The sentences of ``text`` in order, each on one line."""
    found: list[str] = []
    for part in _SENTENCE_END.split(" ".join(text.split())):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] += f" {part}"
        elif part:
            found.append(part)
    return found


def words(text: str) -> list[str]:
    """The content words of ``text`` in order, with repeats."""
    return [_singular(word) for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


def numbers(text: str) -> list[float]:
    """The numbers written in digits in ``text``."""
    return [float(number.replace(",", "")) for number in _NUMBER.findall(text)]


def tokens(text: str) -> list[str]:
    """Words and punctuation marks: what the usage counts of the server count."""
    return _TOKEN.findall(text)


def keywords(text: str, count: int = 5) -> list[str]:
    """The most frequent content words of ``text``, as they first appear in it."""
    as_written: dict[str, str] = {}
    for word in _WORD.findall(text):
        as_written.setdefault(_singular(word.lower()), word)
    frequent = Counter(word for word in words(text) if not word.isdigit()).most_common(count)
    return [as_written[word] for word, _ in frequent]


def summary(text: str, most: int = 3) -> list[str]:
    """About a third of the sentences of ``text``, at most ``most``: those with frequent words, in order."""
    parts = sentences(text)
    counts = Counter(words(text))

    def weight(sentence: str) -> float:
        own = words(sentence)
        return sum(counts[word] for word in set(own)) / (len(own) + 3)

    keep = min(most, max(1, round(len(parts) / 3)))
    # The first sentence of a text usually says what it is about, so it gets a head start.
    best = sorted(range(len(parts)), key=lambda i: (-weight(parts[i]) * (1.3 if i == 0 else 1.0), i))[:keep]
    return [parts[i] for i in sorted(best)]


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
