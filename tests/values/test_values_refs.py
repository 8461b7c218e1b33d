"""References: kept as data without a resolver, resolved with one, encoded back."""

from __future__ import annotations

import pytest

from snakekernel.testing.codecs import round_trip
from snakekernel.values import Attr, Decoder, Encoder, Item, NotLossless, Ref, Step

CASES = [
    (Ref("df"), {"$ref": "df"}),
    (Ref("my.model", ("a", 0)), {"$ref": ["my.model", "a", 0]}),
    (Ref("df", (Attr("x"), Item("y"))), {"$ref": ["df", {"attr": "x"}, {"item": "y"}]}),
    (Ref("df", (Item((1, 2)),)), {"$ref": ["df", {"item": {"$tuple": [1, 2]}}]}),
    (Ref("df", (slice(0, 5),)), {"$ref": ["df", {"$slice": [0, 5, None]}]}),
    (Ref("", ()), {"$ref": ""}),
    (Ref("\ud800"), {"$ref": {"$str": [0xD800]}}),
    (Step(0), {"$step": 0}),
    (Step(2, ("x", None)), {"$step": [2, "x", None]}),
]


@pytest.mark.parametrize(("ref", "data"), CASES)
def test_references_have_one_form(ref: object, data: object) -> None:
    assert Encoder().encode(ref) == data
    assert Decoder().decode(data) == ref
    assert round_trip([{"a": (ref,)}]) == [{"a": (ref,)}]


def test_references_are_resolved_wherever_they_are() -> None:
    asked: list[object] = []

    def resolve(ref: object) -> str:
        asked.append(ref)
        return "found"

    decoder = Decoder(resolve_ref=resolve, resolve_step=resolve)
    data = [{"a": {"$ref": "x"}}, {"$tuple": [{"$step": [1, "y"]}]}, {"$dict": [[1, {"$ref": ["z", 0]}]]}]
    assert decoder.decode(data) == [{"a": "found"}, ("found",), {1: "found"}]
    assert asked == [Ref("x"), Step(1, ("y",)), Ref("z", (0,))]


def test_a_resolver_may_decode_more_with_the_same_decoder() -> None:
    decoder = Decoder(resolve_ref=lambda ref: decoder.decode({"$tuple": [ref.id]}))
    assert decoder.decode([[{"$ref": "x"}], 1]) == [[("x",)], 1]


def test_a_dict_is_no_path_step() -> None:
    with pytest.raises(NotLossless):
        Encoder().encode(Ref("x", ({"a": 1},)))
