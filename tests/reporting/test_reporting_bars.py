"""Progress without a kernel: what is told of what is said, how a bar reads, and bars where nobody listens."""

from __future__ import annotations

import html
import itertools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel import progress
from snakekernel.reporting import telling
from snakekernel.reporting.shown import bundle_of
from snakekernel.reporting.telling import Throttle

said = st.lists(st.tuples(st.integers(), st.integers(), st.text(max_size=3)), max_size=30)


@given(said)
def test_the_last_is_always_told_and_nothing_twice(says: list[tuple[int, int, str]]) -> None:
    told: list[tuple[int, int, str]] = []
    kept: list[Throttle] = []
    throttle = Throttle(lambda *what: told.append(what), kept.append)
    for what in says:
        throttle(*what)
    throttle.close()
    throttle.close()
    assert told[-1:] == says[-1:]
    assert all(before != after for before, after in itertools.pairwise(told))
    # In order, and nothing but what was said.
    rest = iter(says)
    assert all(what in rest for what in told)


@given(st.integers(-5, 10**20), st.integers(-5, 10**20), st.text())
def test_any_bar_can_be_shown(done: int, total: int, text: str) -> None:
    shown = bundle_of(done, total, text)
    assert str(done) in shown["text/plain"]
    assert text in shown["text/plain"]
    assert html.escape(text) in shown["text/html"]
    assert len(shown["text/plain"]) < len(text) + 100


def test_a_bar_counts_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int, str]] = []
    monkeypatch.setattr(telling, "find", lambda: Throttle(lambda *what: told.append(what)))
    assert list(progress(iter("abc"), text="letters")) == ["a", "b", "c"]
    assert told == [(0, 0, "letters"), (3, 0, "letters")]
    told.clear()
    with progress(total=4) as bar:
        bar.update(2, "half")
        bar.update(0.5)
    assert told == [(0, 4, ""), (2, 4, "half")]
    assert (bar.done, len(bar), bool(bar)) == (2.5, 4, True)
    assert "half" in repr(bar)
    with pytest.raises(TypeError, match="update"):
        next(iter(progress(total=3)))


def test_outside_of_a_kernel_nothing_is_written_where_nobody_looks() -> None:
    code = "import snakekernel; print(sum(snakekernel.progress(range(10), text='adding')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "45\n", "")
