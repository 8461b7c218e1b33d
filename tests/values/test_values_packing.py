"""What is packed or passed over at once means the same as what the codecs make of it, part by part."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.testing.codecs import same
from snakekernel.values import Decoder, Encoder, Limits, PackingEncoder
from snakekernel.wire.errors import LimitExceeded, SnakeError

names = st.text(max_size=4) | st.sampled_from(["$", "$ref", "$tuple", "a$", "\ud800"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**53) - 2, 2**53 + 2)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["$", "[", "{,", "\ud800", (), (1,), 2**53, -(2**53)])
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.integers(), inner, max_size=4),
    max_leaves=20,
)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("$[{,a", max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("$a", max_size=2), inner, max_size=3),
    max_leaves=20,
)


class Careful(Decoder):
    """A decoder that looks at every part."""

    __slots__ = ()

    def _stands_for_itself(self, data: Any) -> bool:
        return False


@given(values)
def test_packed_values(value: Any) -> None:
    made, expected = PackingEncoder().encode(value), Encoder().encode(value)
    if type(made) is msgspec.Raw:
        made = msgspec.json.decode(made)
    assert same(made, expected)


@given(json, st.integers(1, 6), st.integers(1, 30))
def test_data_that_stands_for_itself(data: Any, depth: int, items: int) -> None:
    limits = Limits(depth=depth, items=items)

    def outcome(decoder: Decoder) -> Any:
        try:
            return [decoder.decode(data, "$"), decoder.decode(data, "$")]
        except SnakeError as error:
            return [error.code, error.message, error.at]

    assert same(outcome(Decoder([], limits=limits)), outcome(Careful([], limits=limits)))


def test_one_list_that_stands_in_another_very_often() -> None:
    row = [0] * 1_000_000
    with pytest.raises(LimitExceeded, match="items"):
        PackingEncoder().encode([row] * 1_000_000)
