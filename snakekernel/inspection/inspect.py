"""Everything ``inspect`` says of one object, with a page of its children.

Rules: each field is read by the part of this package that keeps it bounded; nothing of one field's failure
reaches another. The result is plain JSON data and says honestly whether anything was left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from snakekernel.inspection import callables, children, genuine, sizes, timed
from snakekernel.inspection.parameters import parameters
from snakekernel.inspection.parts import Part
from snakekernel.inspection.text import clip
from snakekernel.inspection.views import view_of
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.inspection.describe import Answer

#: Most children one page holds, whatever is asked for.
MOST_CHILDREN: Final = 1_000

#: Objects looked at to estimate the sizes of a page of children, together.
_VISITS: Final = 20_000


def inspect_object(obj: Any, answer: Answer, offset: int, limit: int) -> dict[str, Any]:
    """The inspection of ``obj``: see ``Describer.inspect``."""
    for name, value in (("offset", offset), ("limit", limit)):
        if value < 0:
            raise InvalidRequest(f"{name} must not be negative, but is {value}", at=f"$.{name}")
    budget = answer.budget
    text, text_cut = answer.texts.text(obj, budget.text)
    doc, doc_cut = callables.docstring(obj, budget.docstring)
    names, names_total = genuine.first(genuine.attribute_names(obj), budget.attributes)
    known = answer.facts(obj)
    parts, total = _page(obj, answer, offset, min(limit, MOST_CHILDREN))
    visits = _VISITS // max(len(parts), 50)
    return {
        "type": genuine.type_name(type(obj)),
        "module": genuine.module_name(type(obj)),
        "callable": callable(obj),
        "string_repr": text,
        "docstring": doc,
        "signature": callables.signature(obj, answer.clock),
        "parameters": parameters(obj, answer.clock),
        "view": view_of(obj),
        "attributes": [clip(name, budget.short)[0] for name in names],
        "attributes_total": names_total,
        "length": known.length,
        "shape": known.shape,
        "dtype": known.dtype,
        "size": sizes.estimate(obj),
        "children": [_child(part, answer, visits) for part in parts],
        "truncated": text_cut or doc_cut or len(names) < names_total or len(parts) < total,
        "total": total,
    }


def _page(obj: Any, answer: Answer, offset: int, limit: int) -> tuple[list[Part], int]:
    if answer.clock is not None:
        # Subclasses of the data libraries' classes may run their own hooks, so within the time.
        read = timed.attempt(
            lambda: children.page(obj, offset, offset + limit, exact=False), answer.clock.left()
        )
        if read.ok and read.value is not None:
            return read.value
    return children.page(obj, offset, offset + limit, exact=True)


def _child(part: Part, answer: Answer, visits: int) -> dict[str, Any]:
    short = answer.budget.short
    text, _ = answer.texts.outline(part.value, short)
    known = answer.facts(part.value, ask=False)
    plain = type(part.label) is str
    return {
        "key": part.key,
        "label": clip(part.label, short)[0] if plain else answer.texts.text(part.label, short)[0],
        "type": genuine.type_name(type(part.value)),
        "module": genuine.module_name(type(part.value)),
        "string_repr": text,
        "length": known.length,
        "shape": known.shape,
        "size": sizes.estimate(part.value, visits),
        "view": view_of(part.value),
        "has_children": children.has_children(part.value),
    }
