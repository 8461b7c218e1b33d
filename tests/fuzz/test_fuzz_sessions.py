"""Whole sessions do what the model says; ``make fuzz`` tries many more (``FUZZ_EXAMPLES``)."""

from __future__ import annotations

import os

from hypothesis import settings
from sessions import SessionMachine

TestSessions = SessionMachine.TestCase
TestSessions.settings = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")), stateful_step_count=40, deadline=None
)
