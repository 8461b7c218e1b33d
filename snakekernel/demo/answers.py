"""The demo's language model: answers by looking passages up, never by making text up.

Rules: every string it gives is a sentence of the request, a sentence of ``passages.json``, or a short remark
that says where the answer comes from. The same task always gets the same answer. Every field gets a value of
the type it declares.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from . import text
from .prompt import Field, Schema, Task, Tool

NO_PASSAGE = "None of my passages says anything about that."

_QUESTION = ("question", "query", "prompt", "request", "topic")
_BODY = (
    "text",
    "document",
    "context",
    "passage",
    "article",
    "content",
    "review",
    "body",
    "story",
    "abstract",
)
_SUMMARY = ("summary", "tldr", "abstract", "gist", "digest", "synopsis")
_RATIONALE = ("reasoning", "rationale", "thought", "explanation", "justification", "next_thought")
_FEELING = ("sentiment", "polarity", "emotion", "tone", "feeling", "mood")
_CERTAINTY = ("confidence", "probability", "score", "relevance", "certainty", "likelihood")
_LONG_LISTS = ("sentence", "fact", "point", "bullet", "step", "quote", "passage", "reason")
_FINISHED = "Completed."  # what DSPy's own tool "finish" reports
_DEEPEST = 4  # a type may contain itself: below this, lists are empty and what may be null is
_MARKER = re.compile(r"\[\[ ## \w+ ## \]\]")
_OBSERVATION = re.compile(r"^\[\[ ## observation_\d+ ## \]\]\n(.*?)(?=^\[\[ ## |\Z)", re.M | re.S)
# What a question of this form is answered by; outweighs one shared word, not two.
_CUES = (
    (
        re.compile(r"\bhow (?:many|much|old|tall|heavy|fast|long|big)\b", re.I),
        re.compile(r"(?<![\d.])\d+(?!\.?\d)"),
    ),
    (re.compile(r"\bwhen\b|\b(?:what|which) year\b", re.I), re.compile(r"\b(?:1[5-9]|20)\d\d\b")),
    (re.compile(r"\bwho\b", re.I), re.compile(r"\b[A-Z]\w+ (?:van )?[A-Z]\w+")),
)


@dataclass(frozen=True)
class Passage:
    """A few sentences about one thing."""

    topic: str
    title: str
    text: str


@dataclass(frozen=True)
class Evidence:
    """Sentences that answer a query, best first, where they stand, and the share of its words found there."""

    title: str
    sentences: tuple[str, ...]
    coverage: float


def load_passages() -> list[Passage]:
    """The passages that the package ships."""
    source = resources.files(__package__).joinpath("passages.json").read_text(encoding="utf-8")
    return [Passage(**entry) for entry in json.loads(source)]


class Library:
    """Passages ranked by BM25 (bm25s) against a query."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        # bm25s reads this as it is imported: without it, tqdm's monitor thread would outlive the server.
        os.environ.setdefault("DISABLE_TQDM", "1")
        import bm25s

        self.passages = list(passages)
        self._index = bm25s.BM25()
        self._index.index([text.words(f"{p.title} {p.text}") for p in self.passages], show_progress=False)
        # A passage whose title is the very thing asked about beats one that only mentions it.
        self._titles = [set(text.words(p.title)) for p in self.passages]

    def rank(self, query: str, count: int = 5) -> list[tuple[Passage, float]]:
        """At most ``count`` passages that share a word with ``query``, best first, with their scores."""
        wanted = text.words(query)
        if not wanted:
            return []
        asked = set(wanted)
        scores = self._index.get_scores(wanted) * [1 + len(asked & t) / len(asked | t) for t in self._titles]
        best = sorted(range(len(self.passages)), key=lambda i: (-scores[i], i))[:count]
        return [(self.passages[i], float(scores[i])) for i in best if scores[i] > 0]

    def evidence(self, query: str, rank: int = 0) -> Evidence | None:
        """The sentences of the best passage (the ``rank``-th one, if there are so many), or ``None``."""
        found = self.rank(query)
        if not found:
            return None
        passage = found[min(rank, len(found) - 1)][0]
        ordered = order_sentences(query, text.sentences(passage.text))
        return Evidence(
            f"the passage “{passage.title}”", ordered, _coverage(query, f"{passage.title} {passage.text}")
        )


def order_sentences(query: str, candidates: Sequence[str]) -> tuple[str, ...]:
    """``candidates`` by how well they answer ``query``; equal ones keep their order."""
    wanted = set(text.words(query))

    def fit(sentence: str) -> float:
        cue = any(asks.search(query) and answers.search(sentence) for asks, answers in _CUES)
        return len(wanted & set(text.words(sentence))) + 1.5 * cue

    return tuple(sorted(candidates, key=fit, reverse=True))


def _coverage(query: str, source: str) -> float:
    wanted = set(text.words(query))
    return round(len(wanted & set(text.words(source))) / len(wanted), 2) if wanted else 0.0


class Answerer:
    """Fills the output fields of a task. Safe to share between threads: it keeps no state between tasks."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def answer(self, task: Task, rank: int = 0) -> dict[str, Any]:
        """A value for each output field of ``task``; ``rank`` > 0 takes the next best source."""
        reading = _Reading(task, self.library, rank)
        return {field.name: reading.value(field.name, field.schema, field) for field in task.outputs}


class _Reading:
    """One task as read: its question, the text it brings, and the evidence found for it."""

    def __init__(self, task: Task, library: Library, rank: int) -> None:
        self.task = task
        self.library = library
        trajectory = task.inputs.get("trajectory", "")
        seen = [found.strip() for found in _OBSERVATION.findall(trajectory)]
        self.observations = [found for found in seen if found != _FINISHED]
        given = {name: value for name, value in task.inputs.items() if name != "trajectory" and value}
        asked = [name for name in given if _is(name, _QUESTION)]
        asked = asked or [
            name for name in given if given[name].rstrip().endswith("?") and not _is(name, _BODY)
        ]
        self.question = " ".join(given[name] for name in asked)
        self.body = "\n".join(value for name, value in given.items() if name not in asked)
        self.query = self.question or self.body
        self.evidence = self._find(rank)

    def _find(self, rank: int) -> Evidence | None:
        if self.observations:
            return Evidence("the last tool", (self.observations[-1],), 1.0)
        if self.question and self.body:
            coverage = _coverage(self.question, self.body)
            if coverage > 0:
                ordered = order_sentences(self.question, text.sentences(self.body))
                return Evidence("the given text", ordered, coverage)
        return self.library.evidence(self.query, rank)

    @property
    def best(self) -> str:
        return self.evidence.sentences[0] if self.evidence else NO_PASSAGE

    def value(self, name: str, schema: Schema, root: Field, depth: int = 0) -> Any:
        """A value for ``schema``, chosen by what ``name`` says it is for."""
        schema = _plain(schema, root.schema, shallow=depth >= _DEEPEST)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choice(list(schema["enum"]))
        match schema.get("type"):
            case "boolean":
                return self._truth(name)
            case "integer" | "number" as kind:
                number = _within(self._number(name), schema)
                return round(number) if kind == "integer" else float(number)
            case "array":
                return self._items(name, schema, root, depth)
            case "object":
                return self._object(name, schema, root, depth)
            case "null":
                return None
            case _:
                return _MARKER.sub("", self._string(name))

    def _string(self, name: str) -> str:
        if _is(name, _RATIONALE):
            return self._rationale()
        if _is(name, _SUMMARY):
            return " ".join(text.summary(self.body or self.question)) or self.best
        if _is(name, _FEELING):
            return _feeling(self.body or self.question)
        if _is(name, ("title", "headline")):
            return text.summary(self.body, 1)[0].rstrip(".") if self.body else self.best
        return self.best

    def _rationale(self) -> str:
        if self.task.tools:
            name, _ = self._tool()
            done = "The tool has answered, so this is done."
            return done if name == "finish" else f"{name} can help with this question."
        if any(_is(field.name, _SUMMARY) for field in self.task.outputs) and self.body:
            parts, kept = text.sentences(self.body), text.summary(self.body)
            about = ", ".join(text.keywords(self.body, 3))
            return f"Of the {len(parts)} sentences I keep the {len(kept)} that say most about {about}."
        if self.evidence is None:
            return NO_PASSAGE
        found = set(text.words(self.best))
        shared = [word for word in text.keywords(self.query, 12) if found & set(text.words(word))]
        about = ", ".join(shared[:4]) or "this"
        return f"The request is about {about}; {self.evidence.title} says: {self.best}"

    def _number(self, name: str) -> float:
        if _is(name, _FEELING):
            return _compound(self.body or self.question)
        if _is(name, _CERTAINTY):
            return self.evidence.coverage if self.evidence else 0.0
        # A question is answered from the sentence found for it; a text is read for its own numbers.
        source = self.evidence.sentences if self.question and self.evidence else (self.body,)
        found = [number for sentence in source for number in text.numbers(sentence)]
        return found[0] if found else float(len(text.words(self.body)))

    def _truth(self, name: str) -> bool:
        if _is(name, (*_FEELING, "positive", "happy", "negative", "unhappy")):
            compound = _compound(self.body or self.question)
            return compound < 0 if _is(name, ("negative", "unhappy")) else compound > 0
        return self.evidence is not None and self.evidence.coverage >= 0.5

    def _choice(self, options: list[Any]) -> Any:
        labels = {str(option).lower(): option for option in options}
        if self.task.tools and "finish" in labels:
            return self._tool()[0]
        if {"positive", "negative"} <= labels.keys():
            return labels.get(_feeling(self.body or self.question), options[-1])
        for yes, no in (("yes", "no"), ("true", "false")):
            if {yes, no} <= labels.keys():
                return labels[yes if self._truth("") else no]
        own = text.words(f"{self.question} {self.body}")
        near = self.library.rank(self.query)

        def fit(option: Any) -> float:
            wanted = set(text.words(str(option)))
            named = [(set(text.words(f"{p.topic} {p.title} {p.text}")), score) for p, score in near]
            related = sum(score for found, score in named if wanted & found)
            return related + 100 * sum(word in wanted for word in own)

        return max(options, key=fit)

    def _items(self, name: str, schema: Schema, root: Field, depth: int) -> list[Any]:
        items = _plain(schema.get("items") or {"type": "string"}, root.schema)
        count = int(min(schema.get("maxItems", 5), max(schema.get("minItems", 1), 5)))
        if "enum" in items or items.get("type", "string") != "string":
            return [] if depth >= _DEEPEST else [self.value(name, items, root, depth + 1)]
        source = self.body or " ".join(self.evidence.sentences if self.evidence else (self.question,))
        return text.summary(source, count) if _is(name, _LONG_LISTS) else text.keywords(source, count)

    def _object(self, name: str, schema: Schema, root: Field, depth: int) -> dict[str, Any]:
        if self.task.tools and _is(name, ("next_tool_args",)):
            return self._tool()[1]
        if properties := schema.get("properties"):
            return {key: self.value(key, part, root, depth + 1) for key, part in properties.items()}
        part = schema.get("additionalProperties")
        if not isinstance(part, Mapping) or depth >= _DEEPEST:
            return {}
        source = self.body or self.query
        if part.get("type") == "integer":  # words with numbers: how often each occurs
            return {word: source.lower().count(word.lower()) for word in text.keywords(source, 3)}
        return {word: self.value(word, part, root, depth + 1) for word in text.keywords(source, 3)}

    def _tool(self) -> tuple[str, dict[str, Any]]:
        """An agent's next tool: the one that fits the question best; once it has answered, ``finish``."""
        tools = [tool for tool in self.task.tools if tool.name != "finish"]
        if self.observations or not tools:
            return "finish", {}
        asked = set(text.words(self.query))

        def fit(tool: Tool) -> int:
            return len(asked & set(text.words(f"{tool.name.replace('_', ' ')} {tool.description}")))

        tool = max(tools, key=fit)
        at_hand = text.numbers(self.query)
        arguments: dict[str, Any] = {}
        for key, schema in tool.arguments.items():
            if schema.get("type") in ("integer", "number"):
                number = at_hand.pop(0) if at_hand else 0.0
                arguments[key] = round(number) if schema["type"] == "integer" else number
            else:
                is_text = schema.get("type", "string") == "string" and "enum" not in schema
                arguments[key] = self.query if is_text else self.value(key, schema, Field(key, "", schema))
        return tool.name, arguments


def _is(name: str, kinds: Sequence[str]) -> bool:
    """Whether a field called ``name`` is one of ``kinds``: all of it or a word of it, or a plural."""
    parts = name.lower().split("_")
    return any(kind == name.lower() or kind in parts or f"{kind}s" in parts for kind in kinds)


def _plain(schema: Schema, root: Schema, *, shallow: bool = False) -> Schema:
    """``schema``, references followed, one alternative taken: null if ``shallow``, else the first other."""
    for _ in range(20):  # a schema may refer to itself for ever
        if pointer := schema.get("$ref"):
            schema = root.get("$defs", {}).get(str(pointer).rpartition("/")[2], {})
        elif branches := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            schema = next(
                (branch for branch in branches if (branch.get("type") == "null") == shallow), branches[0]
            )
        else:
            break
    return schema


def _within(number: float, schema: Schema) -> float:
    low, high = schema.get("minimum"), schema.get("maximum")
    number = number if low is None else max(number, low)
    return number if high is None else min(number, high)


def _compound(words: str) -> float:
    """VADER's compound score of ``words``, from -1 (negative) to 1 (positive)."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return float(SentimentIntensityAnalyzer().polarity_scores(words)["compound"])


def _feeling(words: str) -> str:
    compound = _compound(words)
    return "neutral" if abs(compound) < 0.05 else "positive" if compound > 0 else "negative"
