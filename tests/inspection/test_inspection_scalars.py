"""What is said of a small scalar without a describer is what a describer says."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snakekernel.inspection import Describer, of_small_scalar
from snakekernel.values import Encoder, Limits

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(min_size=195, max_size=205)
)


@given(scalars)
@example("x" * 200)
@example("x" * 201)
@example("é")
@example("\ud800")
@example(2**53)
@example(-(2**53) - 1)
@example(-0.0)
@example(float("nan"))
def test_as_the_describers_say(obj: Any) -> None:
    said = of_small_scalar(obj, Limits())
    if said is not None:
        for describer in (Describer(), Describer(static=True)):
            assert said == describer.preview(obj) == describer.value_or_preview(obj, Encoder(), force=True)


def test_limits_hold() -> None:
    assert of_small_scalar("abc", Limits(json_bytes=3)) is not None
    assert of_small_scalar("abc", Limits(json_bytes=2)) is None


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    """A subclass is no built-in."""


@pytest.mark.parametrize(
    "obj", [Level.LOW, Text("x"), True + 1j, b"x", (), [], {}, object(), int, float("inf"), 2**60]
)
def test_other_objects_are_left_to_the_describers(obj: Any) -> None:
    assert of_small_scalar(obj, Limits()) is None
