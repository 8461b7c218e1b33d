"""A client is killed while it waits for its call: what becomes of its session, its call and the outcome."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from needs import MEASURED
from stock_client import PATIENCE

import snakekernel
from snakekernel import Client
from snakekernel.errors import Interrupted, ReplyTimeout

pytestmark = pytest.mark.kernel

#: Seconds within which another client uses the session: three times what is promised, for a busy machine.
_MARGIN = 3.0

_CODE = """
import pathlib, time
begun, gate = pathlib.Path({begun!r}), pathlib.Path({gate!r})
with begun.open("a") as lines:
    lines.write("begun\\n")
while not gate.exists():
    time.sleep(0.01)
with begun.open("a") as lines:
    lines.write("ended\\n")
"""

_FETCH = """
import sys, snakekernel
with snakekernel.connect(sys.argv[1]) as snake:
    print(snake.outcome(sys.argv[2], timeout=60))
"""


class Lost:
    """A call that a process made which was killed since; it runs until ``gate`` is there."""

    def __init__(self, snake: Client, folder: Path, call_id: str) -> None:
        self.call_id = call_id
        self._begun, self._gate = folder / "begun", folder / "gate"
        code = _CODE.format(begun=str(self._begun), gate=str(self._gate))
        script = Path(__file__).with_name("lost_client.py")
        words = [sys.executable, str(script), str(snake.connection_file), code, call_id]
        with subprocess.Popen(words) as process:
            until(lambda: self.lines() == ["begun"])
            process.kill()
        self.killed = time.monotonic()

    def lines(self) -> list[str]:
        """What the call wrote."""
        return self._begun.read_text().split() if self._begun.exists() else []

    def let_end(self) -> None:
        """Have the call come to its end."""
        self._gate.touch()


def until(is_so: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@pytest.fixture
def lost(snake: Client, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lost]:
    """A call of a client that is gone."""
    call = Lost(snake, tmp_path, request.node.name)
    yield call
    call.let_end()
    snake.close_session("work")


@pytest.mark.promise("fault-6")
def test_another_uses_its_session_at_once(
    snake: Client, lost: Lost, record_property: Callable[[str, object], None]
) -> None:
    with snakekernel.connect(snake.connection_file) as other:
        assert other.list_stored(session_id="work") == ["kept"]
        with other.parallel(1) as beside:
            beside.call("stored.kept.append", args=[3], session_id="work", timeout=PATIENCE)
            assert beside.call("builtins.len", args=[snakekernel.ref("kept")], session_id="work") == 3
        beside_it = time.monotonic() - lost.killed
        # The call of the client that is gone goes on, as its outcome may be asked for.
        with pytest.raises(ReplyTimeout):
            other.outcome(lost.call_id, timeout=0)
        other.interrupt()
        other.call("stored.kept.append", args=[4], session_id="work", timeout=PATIENCE)
        after_it = time.monotonic() - lost.killed
        assert other.retrieve("kept", session_id="work") == [1, 2, 3, 4]
        with pytest.raises(Interrupted):
            other.outcome(lost.call_id)
    assert lost.lines() == ["begun"]
    assert after_it < _MARGIN
    record_property(
        MEASURED,
        f"used by another after {beside_it:.2f} s beside its call, after "
        f"{after_it:.2f} s on the main thread, the call stopped",
    )


@pytest.mark.promise("fault-7")
def test_another_process_fetches_what_it_gave(snake: Client, lost: Lost) -> None:
    words = [sys.executable, "-c", _FETCH, str(snake.connection_file), lost.call_id]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        lost.let_end()
        out, _ = process.communicate(timeout=PATIENCE)
    assert out == "None\n"
    assert lost.lines() == ["begun", "ended"]
    assert snake.outcome(lost.call_id) is None
