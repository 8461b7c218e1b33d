"""DSPy's objects as a person sees them: a prediction's fields, a program's predictors, a signature's sides.

Rules: read from the objects' own state, so that no code of theirs runs and nothing is imported; what is not
built as DSPy builds it is an object like any other.
"""

from __future__ import annotations

from typing import Any, Final

from snakekernel.inspection import genuine

#: Where a record keeps its fields.
STORE: Final = "_store"

#: Names of a program's parts that a line of text lists.
_LISTED: Final = 12


def fields_of(obj: Any) -> dict[str, Any] | None:
    """The fields of a Prediction or Example, which ``obj[name]`` reaches; None of any other object."""
    if genuine.library_kind(obj, "dspy.primitives.example", "Example") is None:
        return None
    found = genuine.own(obj, STORE)
    return found if type(found) is dict and all(type(name) is str for name in found) else None


def words_about(obj: Any) -> str | None:
    """What a program, signature or language model is, such as ``question -> answer``; None of any other."""
    if genuine.library_kind(obj, "dspy.signatures.signature", "SignatureMeta"):
        return _signature(obj)
    if genuine.library_kind(obj, "dspy.clients.base_lm", "BaseLM"):
        model = genuine.own(obj, "model")
        return repr(model) if type(model) is str else None
    if genuine.library_kind(obj, "dspy.primitives.module", "Module") is None:
        return None
    signature = genuine.own(obj, "signature")
    if genuine.library_kind(signature, "dspy.signatures.signature", "SignatureMeta"):
        return _signature(signature)
    state = genuine.dict_page(genuine.instance_dict(obj) or {}, 0, 100)
    parts = [n for n, value in state if genuine.library_kind(value, "dspy.primitives.module", "Module")]
    return ", ".join(map(str, parts[:_LISTED])) or None


def _signature(signature: type) -> str | None:
    fields = genuine.class_dict(signature).get("__pydantic_fields__")
    if type(fields) is not dict:
        return None
    sides: dict[str, list[str]] = {"input": [], "output": []}
    for name, field in genuine.dict_page(fields, 0, 100):
        extra = dict(genuine.own_attributes(field)).get("json_schema_extra")
        side = extra.get("__dspy_field_type") if type(extra) is dict else None
        if type(name) is not str or side not in ("input", "output"):
            return None
        sides[side].append(name)
    return f"{', '.join(sides['input'])} -> {', '.join(sides['output'])}"
