"""References inside values: ``$ref`` to stored objects, ``$step`` to earlier pipeline results.

Rules: a reference is data until a decoder's resolver turns it into the object; without a resolver it stays a
``Ref`` or ``Step``. In a path a string means an item if the object is a Mapping with that key, else an
attribute, else an item; anything else is an item; ``Attr`` and ``Item`` force one of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakekernel.values.bounds import NotLossless
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest
from snakekernel.wire.path import Attr, Item, Ref, Step

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder


def _encode(head: Any, steps: tuple[Any, ...], encoder: Encoder) -> Any:
    head = encoder.encode(head)
    if not steps:
        return head
    return [head, *(_encode_step(step, encoder) for step in steps)]


def _encode_step(step: Any, encoder: Encoder) -> Any:
    if type(step) is Attr:
        return {"attr": encoder.encode(step.name)}
    if type(step) is Item:
        return {"item": encoder.encode(step.key)}
    if type(step) is dict:
        raise NotLossless("a dict cannot be a path step")
    return encoder.encode(step)


def _encode_ref(obj: Ref, encoder: Encoder) -> Any:
    return _encode(obj.id, obj.steps, encoder)


def _encode_index(obj: Step, encoder: Encoder) -> Any:
    return _encode(obj.index, obj.steps, encoder)


def _decode_steps(payload: Any, decoder: Decoder) -> tuple[Any, tuple[Any, ...]]:
    if type(payload) is not list:
        return payload, ()
    if not payload:
        raise InvalidRequest("a path needs at least its first element", at=decoder.at())
    steps = tuple(_decode_step(step, index, decoder) for index, step in enumerate(payload) if index)
    return payload[0], steps


def _decode_step(step: Any, index: int, decoder: Decoder) -> Any:
    if type(step) is dict:
        if len(step) == 1 and "attr" in step:
            name = decoder.child(step["attr"], index, "attr")
            if type(name) is not str:
                raise InvalidRequest("an attribute's name is text", at=decoder.at(index, "attr"))
            return Attr(name)
        if len(step) == 1 and "item" in step:
            return Item(decoder.child(step["item"], index, "item"))
        if not (len(step) == 1 and next(iter(step))[:1] == "$"):
            raise InvalidRequest('expected a key, {"attr": name} or {"item": key}', at=decoder.at(index))
    return decoder.child(step, index)


def _decode_ref(payload: Any, decoder: Decoder) -> Any:
    head, steps = _decode_steps(payload, decoder)
    where = (0,) if type(payload) is list else ()
    name = decoder.child(head, *where)
    if type(name) is not str:
        raise InvalidRequest("the id of a stored object is text", at=decoder.at(*where))
    return decoder.resolve(decoder.resolve_ref, Ref(name, steps))


def _decode_index(payload: Any, decoder: Decoder) -> Any:
    head, steps = _decode_steps(payload, decoder)
    where = (0,) if type(payload) is list else ()
    if type(head) is not int or head < 0:
        raise InvalidRequest("a step is named by its position, an integer from 0", at=decoder.at(*where))
    return decoder.resolve(decoder.resolve_step, Step(head, steps))


CODECS = (
    Codec("ref", (Ref,), _encode_ref, _decode_ref),
    Codec("step", (Step,), _encode_index, _decode_index),
)
