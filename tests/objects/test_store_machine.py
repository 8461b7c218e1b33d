"""Store and sessions behave as the model says, whatever is done to them in whatever order."""

from __future__ import annotations

from hypothesis import settings

from snakekernel.testing.store_machine import StoreMachine

TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
