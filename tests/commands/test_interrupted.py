"""An interrupt that strikes in the moment user code is left ends the request and nothing after it."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from snakekernel.commands.dispatch import Outcome, Run
from snakekernel.commands.interrupts import Interrupts
from snakekernel.testing.dispatch import make_runtime
from snakekernel.wire.frame import Frame
from snakekernel.wire.names import request_type

LEAVING = Interrupts.__exit__.__code__


@pytest.mark.parametrize(
    ("op", "content"),
    [
        ("call", {"target": "operator.add", "args": [1, 2]}),
        ("call", {"target": "collections.abc.Sized.__name__"}),
        ("inspect", {"target": "builtins.len"}),
        ("pipeline", {"steps": [{"target": "operator.add", "args": [1, 2]}], "stop_on_error": False}),
    ],
)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_amid_leaving_user_code(op: str, content: dict[str, Any], nth: int) -> None:
    interrupts = Interrupts()
    left = 0

    def strike(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        if frame.f_code is LEAVING:
            left += 1
            if left == nth:
                interrupts.request()

    run = Run(Frame(request_type(op), "1", content), make_runtime(), "shell", interrupts=interrupts)
    before = sys.gettrace()
    sys.settrace(strike)
    try:
        outcome = run.resume()
        sys.settrace(before)
        # Between the request's end and its reply a second one raises nothing.
        interrupts.request()
    except KeyboardInterrupt:
        pytest.fail("an interrupt struck beside user code")
    finally:
        sys.settrace(before)
    assert isinstance(outcome, Outcome)
    if left >= nth:
        assert isinstance(outcome.content, dict)
        assert outcome.content["code"] == "interrupted"
