"""Reads a chat request the way DSPy writes it: which fields go in, which must come out, and in which types.

Rules: no I/O and no guessing of answers; a request that DSPy did not write becomes a `Task` with one plain
question. Types are JSON Schema throughout, whatever words the prompt used for them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Schema = Mapping[str, Any]

_OUTPUT_LIST = re.compile(r"^Your output fields are:\n(.*?)^All interactions will be structured", re.S | re.M)
_INPUT_LIST = re.compile(r"^Your input fields are:\n(.*?)^Your output fields are:", re.S | re.M)
_LISTED_FIELD = re.compile(r"^\d+\. `(\w+)` \((.+?)\): ?(.*)$", re.M)
_OBJECTIVE = re.compile(r"In adhering to this structure, your objective is: *\n(.*)\Z", re.S)
_JSON_OUTPUTS = "Outputs will be a JSON object with the following fields."
_NOTE = re.compile(r"# note: the value you produce (.*)", re.S)
_TOOL = re.compile(
    r"^ *\(\d+\) (\w+), whose description is <desc>(.*?)</desc>\. It takes arguments (\{.*?\})\.$",
    re.M | re.S,
)
_REMINDER = re.compile(r"\n\s*Respond with (?:the corresponding output fields|a JSON object)\b.*\Z", re.S)


@dataclass(frozen=True)
class Field:
    """One output that the prompt asks for; ``schema`` is JSON Schema (a string when nothing was said)."""

    name: str
    description: str = ""
    schema: Schema = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True)
class Tool:
    """A tool of a DSPy agent, as its prompt lists it; ``arguments`` maps names to JSON Schema."""

    name: str
    description: str
    arguments: Mapping[str, Schema]


@dataclass(frozen=True)
class Task:
    """What one request wants: the inputs it gives, the outputs it asks for, and the form of the reply."""

    inputs: Mapping[str, str]
    outputs: tuple[Field, ...]
    style: Literal["chat", "json", "plain"]
    objective: str = ""
    tools: tuple[Tool, ...] = ()


def read_task(messages: Sequence[tuple[str, str]], response_format: Mapping[str, Any] | None = None) -> Task:
    """The task in ``messages``, pairs of role and text.

    DSPy's ChatAdapter and JSONAdapter are recognised by the fields their system message declares; the inputs
    are those of the last user message, so earlier turns (examples) do not leak into the answer.
    """
    system = "\n\n".join(text for role, text in messages if role in ("system", "developer"))
    user = next((text for role, text in reversed(messages) if role == "user"), "")
    declared = _OUTPUT_LIST.search(system)
    if declared is None:
        return _plain_task(user, response_format)
    listed = _LISTED_FIELD.findall(declared.group(1))
    notes, style = _notes(system[declared.end() :])
    outputs = tuple(Field(name, about, note_schema(notes.get(name, ""))) for name, _type, about in listed)
    given = _INPUT_LIST.search(system)
    names = [name for name, _type, _about in _LISTED_FIELD.findall(given.group(1))] if given else []
    objective = _OBJECTIVE.search(system)
    words = objective.group(1) if objective else ""
    return Task(_inputs(user, names), outputs, style, words, tuple(_tools(words)))


def note_schema(note: str) -> Schema:
    """JSON Schema for the words in which DSPy tells a model the type of a field (empty: a string)."""
    if note.startswith("must adhere to the JSON schema: "):
        schema, _ = json.JSONDecoder().raw_decode(note.removeprefix("must adhere to the JSON schema: "))
        return schema if isinstance(schema, dict) else {}
    if note.startswith("must be True or False"):
        return {"type": "boolean"}
    if note.startswith("must be a single "):
        return {"type": "integer" if note.startswith("must be a single int") else "number"}
    _, one_of, options = note.partition("one of: ")
    return {"enum": options.split("; ")} if one_of else {"type": "string"}


def _plain_task(user: str, response_format: Mapping[str, Any] | None) -> Task:
    kind = (response_format or {}).get("type")
    inputs = {"question": user}
    if kind == "json_schema" and response_format is not None:
        schema = (response_format.get("json_schema") or {}).get("schema") or {}
        fields = (schema.get("properties") or {}).items()
        outputs = tuple(Field(name, "", {"$defs": schema.get("$defs", {}), **part}) for name, part in fields)
        return Task(inputs, outputs, "json")
    return Task(inputs, (Field("answer"),), "json" if kind == "json_object" else "plain")


def _notes(structure: str) -> tuple[dict[str, str], Literal["chat", "json"]]:
    """The type note of every output field, and which adapter wrote them."""
    before, is_json, after = structure.partition(_JSON_OUTPUTS)
    if is_json:
        template, _ = json.JSONDecoder().raw_decode(after.lstrip())
        texts = {name: str(text) for name, text in template.items()}
    else:
        texts = dict(re.findall(r"^\[\[ ## (\w+) ## \]\]\n(\{\1\}.*)$", before, re.M))
    found = {name: _NOTE.search(text) for name, text in texts.items()}
    return {name: note.group(1) for name, note in found.items() if note}, "json" if is_json else "chat"


def _inputs(user: str, names: Sequence[str]) -> dict[str, str]:
    """The values given for ``names``; markers of other names are part of the value they stand in."""
    user = _REMINDER.sub("", user)
    if not names:
        return {}
    marker = re.compile(rf"^\[\[ ## ({'|'.join(map(re.escape, names))}) ## \]\]\n", re.M)
    parts = marker.split(user)
    return {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}


def _tools(objective: str) -> list[Tool]:
    tools = []
    for name, description, arguments in _TOOL.findall(objective):
        try:
            schema = ast.literal_eval(arguments)
        except (ValueError, SyntaxError):  # a default that is no literal: offer the tool without arguments
            schema = {}
        tools.append(Tool(name, description.strip(), schema))
    return tools
