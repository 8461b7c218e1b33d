"""What DSPy's objects are, in plain data: predictions, examples, signatures, programs, language models.

Rules: fields are read through the classes' own methods, past what a field's name may shadow. Everything is
bounded by the describer's budget and says what was cut. A language model is described by what its
``dump_state`` gives, less whatever is named like a secret; a program by its signatures, never its weights.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ...inspection.text import clip
from ...objects.secret_names import MASK, hides, is_secret_name
from ...values import Encoder, Limits, NotLossless
from ...wire.errors import LimitExceeded

if TYPE_CHECKING:
    from ...inspection import Describer

#: What a description carries as plain data at most; buffers have no place in it.
_LIMITS: Final = Limits(depth=50, items=10_000, json_bytes=256 << 10, buffer_bytes=0)

#: How deep what has no lossless form itself is looked into for parts that have one.
_DEPTH: Final = 20

#: Entries of a language model's history that an inspection shows.
_HISTORY: Final = 5

#: Keys of DSPy's saved state that say nothing about the model.
_BOOKKEEPING: Final = ("_dspy_lm_class", "launch_kwargs", "train_kwargs", "finetuning_model")


def description(obj: Any, describer: Describer, dspy: ModuleType) -> dict[str, Any] | None:
    """Fields that replace the neutral ones of a preview; None for kinds that need no care."""
    for kind, describe in _kinds(dspy):
        if isinstance(obj, kind):
            return describe(obj, describer)
    return None


def inspection(obj: Any, describer: Describer, dspy: ModuleType) -> dict[str, Any] | None:
    """``{"dspy": …}`` to add to an inspection: the description's facts; of a language model, also the
    latest of its history."""
    found = description(obj, describer, dspy)
    if found is None:
        return None
    facts = {k: v for k, v in found.items() if k not in ("type", "module", "attributes", "truncated")}
    if isinstance(obj, dspy.BaseLM):
        facts["history"] = [_history_entry(entry, describer) for entry in history_of(obj)[-_HISTORY:]]
    return {"dspy": facts}


def _kinds(dspy: ModuleType) -> tuple[tuple[type, Callable[[Any, Describer], dict[str, Any]]], ...]:
    return (
        (dspy.Prediction, _prediction),
        (dspy.Example, _example),
        (type(dspy.Signature), _signature),
        (dspy.Module, _module),
        (dspy.BaseLM, _lm),
    )


# -- predictions and examples ----------------------------------------------------------------------


def fields_in(obj: Any) -> dict[str, Any]:
    """The fields of a Prediction or Example, even of one with a field named ``items``."""
    return dict(sys.modules["dspy"].Example.items(obj))


def _prediction(obj: Any, describer: Describer) -> dict[str, Any]:
    # "dspy", and not the class's own module, is what the protocol promises for predictions.
    found = {"module": "dspy", **_record(obj, describer, "prediction_data")}
    prediction = sys.modules["dspy"].Prediction
    usage = prediction.get_lm_usage(obj)
    if usage:
        found["usage"] = plain_fields(usage, _short(describer))
    completions = prediction.completions.fget(obj)
    if completions is not None:
        found["completions"] = len(completions)
    return found


def _example(obj: Any, describer: Describer) -> dict[str, Any]:
    inputs = vars(obj).get("_input_keys")
    return {
        **_record(obj, describer, "example_data"),
        "input_keys": sorted(map(str, inputs)) if inputs is not None else None,
    }


def _record(obj: Any, describer: Describer, name: str) -> dict[str, Any]:
    fields = fields_in(obj)
    shown = dict(islice(fields.items(), describer.budget.attributes))
    text, cut = describer.text(obj)
    return {
        "attributes": {str(key): describer.preview(value, str(key)) for key, value in shown.items()},
        name: plain_fields(_masked(shown), _short(describer)),
        "string_repr": text,
        "truncated": cut or len(shown) < len(fields),
    }


def _masked(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: MASK if hides(name, value) else value for name, value in fields.items()}


def plain_fields(
    fields: Mapping[str, Any], text: Callable[[Any], str], limits: Limits = _LIMITS
) -> dict[str, Any]:
    """Each field as data of the grammar; as text where it has no lossless form within ``limits``."""
    encoder = Encoder(limits=limits)
    return {str(name): _plain(value, encoder, text) for name, value in fields.items()}


def _plain(value: Any, encoder: Encoder, text: Callable[[Any], str]) -> Any:
    for depth in (0, _DEPTH):
        try:
            data = encoder.encode(_unfolded(value, depth))
        except NotLossless:
            continue
        except LimitExceeded:
            break
        if not encoder.buffers:
            return data
        encoder.buffers.clear()
    return text(value)


def _unfolded(value: Any, depth: int) -> Any:
    """Records as dicts, as DSPy's own ``toDict`` gives them, but bounded in depth."""
    if depth == 0:
        return value
    dspy, pydantic = sys.modules["dspy"], sys.modules["pydantic"]
    if isinstance(value, dspy.Example):
        return {str(k): _unfolded(v, depth - 1) for k, v in fields_in(value).items()}
    if isinstance(value, pydantic.BaseModel):
        return {k: _unfolded(v, depth - 1) for k, v in vars(value).items()}
    if type(value) is dict:
        return {k: _unfolded(v, depth - 1) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_unfolded(v, depth - 1) for v in value)
    return value


def _short(describer: Describer) -> Callable[[Any], str]:
    return lambda value: describer.text(value)[0]


# -- signatures and programs -----------------------------------------------------------------------


def fields_of(signature: Any) -> list[dict[str, Any]]:
    """``name``, ``kind`` (input or output), ``type`` (an annotation) and ``description`` of each field."""
    found = []
    for kind, fields in (("input", signature.input_fields), ("output", signature.output_fields)):
        for name, field in fields.items():
            said = (field.json_schema_extra or {}).get("desc")
            found.append(
                {
                    "name": name,
                    "kind": kind,
                    "type": inspect.formatannotation(field.annotation),
                    # What DSPy puts in where nothing was said.
                    "description": None if said == f"${{{name}}}" else said,
                }
            )
    return found


def main_signature(program: Any) -> Any:
    """The signature that says what a program is for: its own, else its first predictor's, else None."""
    kind = type(sys.modules["dspy"].Signature)
    own = getattr(program, "signature", None)
    if isinstance(own, kind):
        return own
    return next((p.signature for _, p in program.named_predictors() if isinstance(p.signature, kind)), None)


def _signature(obj: Any, describer: Describer) -> dict[str, Any]:
    return {"name": obj.__name__, **_facts(obj, describer), "attributes": _spoken(obj, describer)}


def _facts(signature: Any, describer: Describer) -> dict[str, Any]:
    most = describer.budget.attributes
    return {
        "signature": clip(signature.signature, describer.budget.text)[0],
        "instructions": clip(signature.instructions, describer.budget.docstring)[0],
        "fields": fields_of(signature)[:most],
    }


def _spoken(signature: Any, describer: Describer) -> dict[str, Any]:
    if signature is None:
        return {}
    return {name: describer.preview(getattr(signature, name)) for name in ("signature", "instructions")}


def _module(obj: Any, describer: Describer) -> dict[str, Any]:
    predictors = obj.named_predictors()
    most = describer.budget.items
    found: dict[str, Any] = {
        "attributes": _spoken(main_signature(obj), describer),
        "predictors": [
            {
                "name": name,
                "type": type(predictor).__name__,
                **_facts(predictor.signature, describer),
                "demos": len(predictor.demos),
                "lm": _model(predictor.lm),
            }
            for name, predictor in predictors[:most]
        ],
    }
    tools = vars(obj).get("tools")
    if isinstance(tools, dict):
        found["tools"] = [str(name) for name in islice(tools, most)]
    if len(predictors) > most:
        found["truncated"] = True
    return found


# -- language models -------------------------------------------------------------------------------


def _model(lm: Any) -> str | None:
    model = getattr(lm, "model", None)
    return str(model) if model is not None else None


def _lm(obj: Any, describer: Describer) -> dict[str, Any]:
    try:
        state = obj.dump_state()
    except Exception:  # a custom engine that cannot be saved; the model's name is known all the same
        state = {"model": _model(obj)}
    shown = {k: v for k, v in without_secrets(state).items() if v is not None and k not in _BOOKKEEPING}
    history = history_of(obj)
    return {
        "attributes": {str(name): describer.preview(value) for name, value in shown.items()},
        "calls": len(history),
        "usage": total_usage(history),
    }


def without_secrets(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """A configuration without what is named like a secret, nested objects included."""
    return {
        name: without_secrets(value) if isinstance(value, Mapping) else value
        for name, value in config.items()
        if not is_secret_name(str(name))
    }


def history_of(lm: Any) -> list[dict[str, Any]]:
    """What a language model keeps of its calls, oldest first."""
    return [entry for entry in list(vars(lm).get("history") or ()) if isinstance(entry, dict)]


def total_usage(history: list[dict[str, Any]]) -> dict[str, int]:
    """Tokens over a history, by kind."""
    total: dict[str, int] = {}
    for entry in history:
        for name, count in (entry.get("usage") or {}).items():
            if type(count) is int:
                total[str(name)] = total.get(str(name), 0) + count
    return total


def _history_entry(entry: dict[str, Any], describer: Describer) -> dict[str, Any]:
    shown = {name: entry.get(name) for name in ("timestamp", "model", "usage", "cost", "outputs")}
    return plain_fields(shown, _short(describer))
