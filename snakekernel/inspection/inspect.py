"""Everything ``inspect`` says of one object, with a page of its children.

Rules: each field is read by the part of this package that keeps it bounded; nothing of one field's failure
reaches another. The result is plain JSON data and says honestly whether anything was left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from snakekernel.inspection import callables, children, facts, genuine, sizes, timed
from snakekernel.inspection.parameters import parameters
from snakekernel.inspection.parts import Part
from snakekernel.inspection.text import clip, nearest
from snakekernel.inspection.views import view_of
from snakekernel.objects.secret_names import hides
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.inspection.describe import Answer

#: Most children one page holds, whatever is asked for.
MOST_CHILDREN: Final = 1_000

_CONTAINERS: Final = (dict, list, tuple, set, frozenset)

#: Objects looked at to estimate the sizes of a page of children, together.
_VISITS: Final = 20_000


def inspect_object(
    obj: Any, answer: Answer, offset: int, limit: int, name: str | None = None
) -> dict[str, Any]:
    """The inspection of ``obj``, which goes by this name: see ``Describer.inspect``."""
    for bound, value in (("offset", offset), ("limit", limit)):
        if value < 0:
            raise InvalidRequest(f"{bound} must not be negative, but is {value}", at=f"$.{bound}")
    budget = answer.budget
    text, text_cut = answer.texts.text(obj, budget.text, name)
    doc, doc_cut = callables.docstring(obj, budget.docstring)
    if doc is not None:
        doc, doc_cut = answer.texts.without_secrets(doc, doc_cut)
    names, names_total = genuine.first(genuine.attribute_names(obj), budget.attributes)
    known = answer.facts(obj)
    parts, total = _page(obj, answer, offset, min(limit, MOST_CHILDREN))
    # A function or a module that is called like a secret is none.
    inner = name if genuine.is_kind(obj, *_CONTAINERS) or facts.data_kind(obj) is not None else None
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
        "attributes": [clip(attribute, budget.short)[0] for attribute in names],
        "attributes_total": names_total,
        "length": known.length,
        "shape": known.shape,
        "dtype": known.dtype,
        "size": sizes.estimate(obj),
        "children": [_child(part, answer, visits, inner) for part in parts],
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


def _child(part: Part, answer: Answer, visits: int, name: str | None) -> dict[str, Any]:
    short = answer.budget.short
    name = nearest(part.label, name)
    text, _ = answer.texts.outline(part.value, short, name)
    known = facts.Facts() if hides(name, part.value) else answer.facts(part.value, ask=False)
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
