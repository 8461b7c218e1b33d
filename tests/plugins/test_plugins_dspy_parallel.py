"""DSPy's rules for threads and tasks hold where calls overlap: on subshells, and where they await."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from stock_client import Stock

import snakekernel
from snakekernel import AsyncClient, Client

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

KEY = "sk-canary-0123456789-never-to-be-seen"

_CELL = """
import asyncio, dspy, threading
barrier = threading.Barrier(4)
def models_seen():
    "By one of four that run at once."
    barrier.wait(60)
    seen = set()
    for _ in range(50):
        seen.add(dspy.settings.lm.model)
        barrier.wait(60)
    return sorted(seen)
def ask(question):
    return stored.qa(question=question).answer
async def models_seen_awaiting():
    seen = set()
    for _ in range(50):
        seen.add(dspy.settings.lm.model)
        await asyncio.sleep(0)
    return sorted(seen)
"""


@pytest.fixture(scope="module")
def snake(lm_server: Any) -> Iterator[Client]:
    """A client of a kernel whose DSPy is configured, with two sessions that have models of their own."""
    with snakekernel.start() as client:
        for session_id in (None, "a", "b"):
            config = {"lm": f"openai/{session_id or 'demo'}", "api_base": lm_server.api_base, "api_key": KEY}
            client.configure("dspy", config, session_id=session_id)
        client.create_program("qa", "question -> answer")
        stock = Stock(client.manager.get_connection_info())
        stock.cell(_CELL)
        stock.close()
        yield client


def _model(session_id: str | None) -> str:
    return f"openai/{session_id or 'demo'}"


_SESSIONS = ["a", "b", None, "a"]


def test_each_call_on_a_subshell_sees_its_sessions_model(snake: Client) -> None:
    with snake.parallel(4) as pool:
        calls = [pool.submit("user.models_seen", session_id=session_id) for session_id in _SESSIONS]
        seen = [call.result() for call in calls]
    assert seen == [[_model(session_id)] for session_id in _SESSIONS]
    assert snake.call("dspy.settings.lm.model") == _model(None)


def test_each_call_that_awaits_sees_its_sessions_model(snake: Client) -> None:
    async def run() -> list[Any]:
        async with AsyncClient.connect(snake.connection_file) as client:
            calls = [
                client.call("user.models_seen_awaiting", session_id=session_id)
                for session_id in _SESSIONS * 5
            ]
            others = [client.call("dspy.settings.lm.model") for _ in range(5)]
            seen = await asyncio.gather(*calls, *others)
        return list(seen)

    seen = asyncio.run(run())
    assert seen == [[_model(session_id)] for session_id in _SESSIONS * 5] + [_model(None)] * 5


def test_programs_run_in_parallel(snake: Client, lm_server: Any) -> None:
    before = lm_server.completions
    questions = [f"What is Python, in {n} words?" for n in range(8)]
    with snake.parallel(4) as pool:
        answers = pool.map("user.ask", questions)
        asked = [
            pool.submit("stored.qa", kwargs={"question": f"{question} Really?"}) for question in questions
        ]
    assert all(isinstance(answer, str) and answer for answer in answers)
    assert all(one.result().raw["prediction_data"]["answer"] for one in asked)
    assert lm_server.completions - before == 16


def test_async_programs_overlap(snake: Client) -> None:
    async def run() -> list[Any]:
        async with AsyncClient.connect(snake.connection_file) as client:
            questions = [f"What is a kernel, in {n} words?" for n in range(8)]
            calls = [client.call("stored.qa.acall", kwargs={"question": each}) for each in questions]
            return list(await asyncio.gather(*calls))

    assert all(answer.raw["prediction_data"]["answer"] for answer in asyncio.run(run()))


def test_a_subshell_configures_for_all(snake: Client) -> None:
    with snake.parallel(2) as pool:
        pool.call("dspy.configure", kwargs={"track_usage": True})
        assert pool.call("dspy.settings.track_usage") is True
        assert snake.call("dspy.settings.track_usage") is True
        pool.configure("dspy", {"track_usage": False})
    assert snake.call("dspy.settings.track_usage") is False
