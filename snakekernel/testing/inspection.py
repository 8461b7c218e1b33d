"""Conformance checks for descriptions and inspections, used for every type by every test of one.

Rules: each check is about what a client may rely on, whatever the object: fields, their types, bounds,
and that the data is plain JSON. A check that fails raises AssertionError naming the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, get_args

from snakekernel.inspection import Budget
from snakekernel.inspection.views import View
from snakekernel.values import Decoder

_NUMBER_OR_NONE: Final = (int, type(None))
_TEXT_OR_NONE: Final = (str, type(None))

_INSPECTION: Final[dict[str, tuple[type, ...]]] = {
    "type": (str,),
    "module": (str,),
    "callable": (bool,),
    "string_repr": (str,),
    "docstring": _TEXT_OR_NONE,
    "signature": _TEXT_OR_NONE,
    "parameters": (list, type(None)),
    "view": (str,),
    "attributes": (list,),
    "attributes_total": (int,),
    "length": _NUMBER_OR_NONE,
    "shape": (list, type(None)),
    "dtype": _TEXT_OR_NONE,
    "size": (int,),
    "children": (list,),
    "truncated": (bool,),
    "total": (int,),
}

_VIEWS: Final = frozenset(get_args(View))

_PARAMETER: Final[dict[str, tuple[type, ...]]] = {
    "name": (str,),
    "kind": (str,),
    "required": (bool,),
    "default": _TEXT_OR_NONE,
    "annotation": _TEXT_OR_NONE,
}

_CHILD: Final[dict[str, tuple[type, ...]]] = {
    "key": (str, int, dict, type(None)),
    "label": (str,),
    "type": (str,),
    "module": (str,),
    "string_repr": (str,),
    "length": _NUMBER_OR_NONE,
    "shape": (list, type(None)),
    "size": (int,),
    "view": (str,),
    "has_children": (bool,),
}

_DESCRIPTION: Final[dict[str, tuple[type, ...]]] = {
    "type": (str,),
    "module": (str,),
    "string_repr": (str,),
    "truncated": (bool,),
}


def verify_inspection(
    obj: Any, inspection: Mapping[str, Any], *, offset: int = 0, limit: int = 50, budget: Budget | None = None
) -> None:
    """Check the invariants of ``Describer.inspect(obj, offset, limit)`` made within ``budget``.

    Plugins may add fields; those of the protocol keep their types.
    """
    budget = budget or Budget()
    _fields(inspection, _INSPECTION, "inspection")
    _plain_json(inspection)
    assert inspection["type"] == _true_name(obj), "type is the true class's name"
    assert inspection["callable"] == callable(obj), "callable"
    assert len(inspection["string_repr"]) <= budget.text, "string_repr is within its budget"
    assert len(inspection["docstring"] or "") <= budget.docstring, "docstring is within its budget"
    assert inspection["signature"] is None or inspection["callable"], "only callables have a signature"
    assert inspection["parameters"] is None or inspection["callable"], "only callables have parameters"
    for parameter in inspection["parameters"] or ():
        _fields(parameter, _PARAMETER, "parameter")
        assert not (parameter["required"] and parameter["default"]), "what is required has no default"
    assert inspection["view"] in _VIEWS, "view is one of those agreed"
    _names(inspection, budget)
    _extents(inspection)
    assert inspection["size"] >= 0, "size"
    children, total = inspection["children"], inspection["total"]
    assert len(children) <= limit, "a page is no longer than asked for"
    assert len(children) <= max(total - offset, 0), "a page lies within the total"
    assert inspection["truncated"] or len(children) == total, "children left out are told"
    for child in children:
        _child(child, budget)


def verify_description(obj: Any, description: Mapping[str, Any], *, budget: Budget | None = None) -> None:
    """Check the invariants of ``Describer.preview(obj)`` or ``value_or_preview(obj, encoder)``."""
    budget = budget or Budget()
    assert description["type"] == _true_name(obj), "type is the true class's name"
    if "value" in description:
        assert set(description) == {"type", "module", "value"}, "a value stands alone"
        return
    _fields(description, {**_DESCRIPTION, "attributes": (dict,)}, "description")
    _plain_json(description)
    assert len(description["string_repr"]) <= budget.text, "string_repr is within its budget"
    _extents(description)
    assert len(description["attributes"]) <= budget.attributes, "attributes are within their budget"
    for name, part in description["attributes"].items():
        assert type(name) is str, "attribute names are text"
        _part(part, budget)
    if "items" in description:
        items, total = description["items"], description["total"]
        assert len(items) <= min(total, budget.items), "items are within their budget"
        assert description["truncated"] or len(items) == total, "items left out are told"
        for item in items:
            _part(item, budget)


def _true_name(obj: Any) -> str:
    name: str = type.__dict__["__name__"].__get__(type(obj))
    return name


def _part(part: Mapping[str, Any], budget: Budget) -> None:
    if "value" in part:
        Decoder().decode(part["value"])  # no buffers: a part's value is plain data
        assert "string_repr" not in part, "a value needs no text"
        return
    _fields(part, _DESCRIPTION, "part")
    assert len(part["string_repr"]) <= budget.short, "a part's text is short"
    _extents(part)


def _child(child: Mapping[str, Any], budget: Budget) -> None:
    _fields(child, _CHILD, "child")
    assert set(child) == set(_CHILD), "a child has the agreed fields"
    assert len(child["string_repr"]) <= budget.short, "a child's text is short"
    assert len(child["label"]) <= budget.short, "a child's label is short"
    _extents(child)
    assert child["size"] >= 0, "size"
    assert child["view"] in _VIEWS, "view is one of those agreed"
    key = child["key"]
    if type(key) is dict:
        assert set(key) in ({"attr"}, {"item"}), "a step is a name, a number, attr or item"
        if "attr" in key:
            assert type(key["attr"]) is str, "an attribute step is a name"
        else:
            Decoder().decode(key["item"])


def _names(inspection: Mapping[str, Any], budget: Budget) -> None:
    names, total = inspection["attributes"], inspection["attributes_total"]
    assert all(type(name) is str for name in names), "attributes are names"
    assert len(names) == min(total, budget.attributes), "attributes are as many as the budget allows"
    assert inspection["truncated"] or len(names) == total, "attributes left out are told"


def _extents(found: Mapping[str, Any]) -> None:
    length, shape = found.get("length"), found.get("shape")
    assert length is None or 0 <= length <= 2**53, "length is a count that JSON carries"
    assert shape is None or all(type(n) is int and n >= 0 for n in shape), "shape is a list of counts"
    if length is not None and shape is not None:
        assert shape[:1] == [length], "length is the first axis"


def _fields(found: Mapping[str, Any], wanted: Mapping[str, tuple[type, ...]], what: str) -> None:
    for name, types in wanted.items():
        assert name in found, f"{what} has no {name}"
        assert type(found[name]) in types, f"{what}.{name} is a {type(found[name]).__name__}"


def _plain_json(data: Any) -> None:
    assert json.loads(json.dumps(data, allow_nan=False)) == data, "the data is plain JSON"
    json.dumps(data, ensure_ascii=False).encode()  # no lone surrogates: raises UnicodeEncodeError
