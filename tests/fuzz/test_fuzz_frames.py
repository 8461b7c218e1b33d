"""Every kept input, and some seconds of new ones: what ``frames`` says has to hold does."""

from __future__ import annotations

import random
from collections.abc import Callable

import frames
import pytest
from fuzzing import corpus, fuzz_frames
from mutations import mutated
from needs import TOLD

from snakekernel.commands.table import BUILTINS

SECONDS = 6


@pytest.mark.parametrize("name", corpus())
def test_what_is_kept(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "snakekernel")
    frames.one_input(corpus()[name])


def test_there_is_an_input_of_each_operation() -> None:
    assert set(BUILTINS) <= corpus().keys()


def test_a_request_is_answered_and_one_that_is_altered_is_not() -> None:
    """The fuzzer's own way of making messages makes right ones, or it would look for nothing."""
    assert frames.one_input(corpus()["call"]) == 1
    assert frames.one_input(corpus()["nasty_wrong_signature"]) == 0
    assert frames.one_input(corpus()["nasty_sent_again"]) == 1


def test_mutations_are_messages_most_often() -> None:
    """Without coverage to guide it, a fuzzer needs inputs that come past the header."""
    inputs = mutated(list(corpus().values()), 1, frames.LONGEST)
    replies = [frames.one_input(next(inputs)) for _ in range(200)]
    assert sum(count > 0 for count in replies) > 100


def test_new_inputs_break_nothing(record_property: Callable[[str, object], None]) -> None:
    fuzzed = fuzz_frames(SECONDS, random.randrange(1, 2**31))
    record_property(TOLD, f"Fuzzing messages: {fuzzed.inputs} inputs in {SECONDS} s, {fuzzed.how}")
    assert not fuzzed.found
    assert fuzzed.inputs > 100
