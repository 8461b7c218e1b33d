"""DSPy signatures from what a request says: text, or inputs and outputs with names, types, descriptions.

Rules: DSPy's own parser reads types and text; what it refuses is the caller's mistake and is said where it
stands. Each field is checked by itself first, for the parser would take a name such as ``"a, b"`` for two.
"""

from __future__ import annotations

import keyword
from types import ModuleType
from typing import Annotated, Any, Final

import msgspec

from ...wire.errors import InvalidRequest
from ...wire.model import Name

#: Words for types that other languages use.
TYPES: Final = {
    "string": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "map": "dict",
}


class FieldSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One field; ``type`` is a Python annotation such as ``"list[str]"`` (left out: text)."""

    name: Name
    type: str | None = None
    description: str | None = None


class SignatureSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signature field by field; ``name`` names its class."""

    inputs: list[FieldSpec] = []
    outputs: Annotated[list[FieldSpec], msgspec.Meta(min_length=1)]
    name: str | None = None


def build(spec: str | SignatureSpec, instructions: str | None, dspy: ModuleType, *, at: str) -> Any:
    """The signature class. Raises InvalidRequest with the path of what DSPy cannot read."""
    if isinstance(spec, str):
        return _parsed(dspy, spec, at, instructions)
    for part, fields in (("inputs", spec.inputs), ("outputs", spec.outputs)):
        for index, field in enumerate(fields):
            _check(field, dspy, f"{at}.{part}[{index}]")
    names = [field.name for field in (*spec.inputs, *spec.outputs)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidRequest(f"Two fields are named {twice!r}.", at=at)
    text = f"{', '.join(map(_text, spec.inputs))} -> {', '.join(map(_text, spec.outputs))}"
    named = {"signature_name": spec.name} if spec.name else {}
    signature = _parsed(dspy, text, at, instructions, **named)
    for field in (*spec.inputs, *spec.outputs):
        if field.description is not None:
            # In place: with_updated_fields makes a new class, which would lose the name given to this one.
            signature.model_fields[field.name].json_schema_extra["desc"] = field.description
    return signature


def _text(field: FieldSpec) -> str:
    return field.name if field.type is None else f"{field.name}: {TYPES.get(field.type, field.type)}"


def _check(field: FieldSpec, dspy: ModuleType, at: str) -> None:
    if not field.name.isidentifier() or keyword.iskeyword(field.name):
        raise InvalidRequest(f"{field.name!r} cannot name a field: it is no Python name.", at=f"{at}.name")
    if field.type is None:
        return
    fields = _parsed(dspy, f"{_text(field)} -> other_{field.name}", f"{at}.type", None).input_fields
    if list(fields) != [field.name]:
        raise InvalidRequest(f"{field.type!r} is no type.", at=f"{at}.type")


def _parsed(dspy: ModuleType, text: str, at: str, instructions: str | None, **named: str) -> Any:
    try:
        signature = dspy.Signature(text, instructions, **named)
    except Exception as error:  # DSPy's parser raises many kinds, and looking a type up may import a module
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InvalidRequest(f"This is no signature DSPy can read: {words}", at=at) from None
    if not signature.output_fields:
        raise InvalidRequest('A signature needs at least one output: "question -> answer".', at=at)
    return signature
