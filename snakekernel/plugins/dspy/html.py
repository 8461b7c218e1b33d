"""DSPy's objects as pages for a notebook: predictions, examples, signatures, programs, language models.

Rules: made from the same plain data as descriptions, so as bounded and as free of secrets; of a model's calls
the messages and the outputs are shown, never the arguments they were made with. The latest calls come first.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from ...inspection import Budget, Describer
from ...inspection.pages import Block, Facts, Grid, Note, Page, Part, Section
from ...inspection.words import counted, one_line
from . import describe

#: Characters of a field, of a message, and of a text in a table.
_FIELD: Final = 2_000
_MESSAGE: Final = 4_000
_CELL: Final = 200

#: Seconds for the own text of one value.
_SECONDS: Final = 0.2

#: Demos of a predictor, messages of a call and calls of a model that are shown.
_DEMOS: Final = 5
_MESSAGES: Final = 20
_CALLS: Final = 5


def page_of(obj: Any) -> Page | None:
    """The page of one of DSPy's objects; None for others."""
    dspy = sys.modules.get("dspy")
    if dspy is None:
        return None
    describer = Describer(budget=Budget(seconds=_SECONDS))
    for kind, make in (
        (dspy.Prediction, _prediction),
        (dspy.Example, _example),
        (type(dspy.Signature), _signature),
        (dspy.Module, _program),
        (dspy.BaseLM, _model),
    ):
        if isinstance(obj, kind):
            found = describe.description(obj, describer, dspy) or {}
            return make(obj, found, describer)
    return None


def _prediction(obj: Any, found: Mapping[str, Any], describer: Describer) -> Page:
    parts: list[Part] = [_fields(obj, describer)]
    said = []
    if (found.get("completions") or 1) > 1:
        said.append(("Completions", str(found["completions"])))
    said += [(f"Usage of {model}", _usage(usage)) for model, usage in (found.get("usage") or {}).items()]
    if said:
        parts.append(Facts(said))
    return Page(type(obj).__name__, parts)


def _example(obj: Any, found: Mapping[str, Any], describer: Describer) -> Page:
    inputs = found.get("input_keys")
    said = [] if inputs is None else [("Inputs", ", ".join(inputs) or "none")]
    return Page(type(obj).__name__, [_fields(obj, describer), *([Facts(said)] if said else [])])


def _fields(obj: Any, describer: Describer) -> Part:
    fields = describe.fields_in(obj)
    shown = islice(fields.items(), describer.budget.attributes)
    rows = [(one_line(str(name), _CELL), _text(value, describer, _FIELD)) for name, value in shown]
    return Facts(rows) if rows else Note("No fields.")


def _signature(obj: Any, found: Mapping[str, Any], describer: Describer) -> Page:
    return Page(f"Signature {found['name']}", _signature_parts(found))


def _signature_parts(facts: Mapping[str, Any]) -> list[Part]:
    rows = [
        [one["name"], one["kind"], one["type"], one_line(one["description"] or "", _CELL)]
        for one in facts["fields"]
    ]
    parts: list[Part] = [Facts([("Signature", facts["signature"])])]
    if facts["instructions"]:
        parts.append(Block(_clipped(facts["instructions"], _FIELD)))
    return [*parts, Grid(["field", "kind", "type", "description"], rows)]


def _program(obj: Any, found: Mapping[str, Any], describer: Describer) -> Page:
    predictors = obj.named_predictors()
    parts: list[Part] = []
    if found.get("tools"):
        parts.append(Facts([("Tools", ", ".join(found["tools"]))]))
    for facts, (_, predictor) in zip(found["predictors"], predictors, strict=False):
        inner = _signature_parts(facts)
        if facts["lm"]:
            inner.insert(0, Facts([("Model", facts["lm"])]))
        demos = list(islice(predictor.demos, _DEMOS))
        if demos:
            said = f"{len(demos)} of {facts['demos']} demos" if len(demos) < facts["demos"] else "Demos"
            inner.append(Section(said, [_demos(demos, describer)], folded=True))
        parts.append(Section(f"{facts['name']}: {facts['type']}", inner))
    count = len(predictors)
    if count > len(found["predictors"]):
        parts.append(Note(f"The first {len(found['predictors'])} of {count} predictors."))
    return Page(f"{type(obj).__name__}: {counted(count, 'predictor')}", parts)


def _demos(demos: Sequence[Any], describer: Describer) -> Grid:
    example = sys.modules["dspy"].Example
    rows = [describe.fields_in(one) if isinstance(one, example) else dict(one) for one in demos]
    names = list(dict.fromkeys(str(name) for row in rows for name in row))[: describer.budget.items]
    cells = [[_text(row.get(name, ""), describer, _CELL) for name in names] for row in rows]
    return Grid(names, cells)


def _model(obj: Any, found: Mapping[str, Any], describer: Describer) -> Page:
    rows = [(name, _shown(one)) for name, one in found["attributes"].items()]
    rows.append(("calls", str(found["calls"])))
    if found["usage"]:
        rows.append(("usage", _usage(found["usage"])))
    history = describe.history_of(obj)
    parts: list[Part] = [Facts(rows)]
    for number, entry in reversed(list(enumerate(history, 1))[-_CALLS:]):
        parts.append(Section(f"Call {number}", _call(entry, describer), folded=number < len(history)))
    return Page(f"{type(obj).__name__}: {found['attributes'].get('model', {}).get('value', '?')}", parts)


def _call(entry: Mapping[str, Any], describer: Describer) -> list[Part]:
    parts: list[Part] = []
    messages = entry.get("messages") or [{"role": "user", "content": entry.get("prompt")}]
    for message in islice(messages, _MESSAGES):
        if isinstance(message, Mapping):
            body = Block(_text(message.get("content"), describer, _MESSAGE))
            parts.append(Section(str(message.get("role", "message")), [body], folded=True))
    for output in islice(entry.get("outputs") or (), _MESSAGES):
        parts.append(Section("answer", [Block(_text(_said(output), describer, _MESSAGE))]))
    return parts


def _said(output: Any) -> Any:
    """An output's text: DSPy keeps it alone, or with what else the model gave."""
    return output["text"] if isinstance(output, Mapping) and "text" in output else output


def _usage(usage: Any) -> str:
    if not isinstance(usage, Mapping):
        return str(usage)
    return ", ".join(f"{name}: {count}" for name, count in usage.items() if type(count) is int and count)


def _shown(description: Mapping[str, Any]) -> str:
    text = str(description["value"]) if "value" in description else str(description.get("string_repr"))
    return one_line(text, _CELL)


def _text(value: Any, describer: Describer, most: int) -> str:
    return _clipped(value if type(value) is str else describer.text(value)[0], most)


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
