"""What the grid computes without a page: cells as texts, filters as typed, places and scroll bars."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from snakekernel.ui import bundle
from snakekernel.values import Encoder

pytestmark = [pytest.mark.ui, pytest.mark.timeout(120)]

_IMPORTED = """async (text) => {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  window.ours = await import(url);
}"""

#: A list of round trips to the page would be slow: each example is one.
examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def module(chromium: Browser) -> Iterator[Page]:
    """A blank page with all of our functions as ``ours``."""
    page = chromium.new_page()
    page.evaluate(_IMPORTED, bundle.made()["panel.js"])
    yield page
    page.close()


def ours(page: Page, call: str, *arguments: Any) -> Any:
    """The value of one of our functions."""
    return page.evaluate(f"(given) => ours.{call}(...given)", list(arguments))


def encoded(value: Any) -> Any:
    return Encoder().encode(value)


plain = st.one_of(
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(),
    st.uuids(),
    st.tuples(st.integers(), st.booleans()),
)


@examples
@given(plain)
def test_a_cell_reads_as_in_python(module: Page, value: Any) -> None:
    assert ours(module, "wholeText", encoded(value)) == str(value)


@examples
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 4))
def test_a_number_is_shown_as_exactly_as_four_digits_allow(module: Page, value: float, decimals: int) -> None:
    shown = ours(module, "cellText", value, "number", decimals)
    assert not shown["missing"]
    assert float(shown["text"]) == pytest.approx(value, abs=5.1e-5 if abs(value) < 1e15 else 0)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "text", "None"),
        (None, "datetime", "NaT"),
        (float("nan"), "number", "NaN"),
        ("", "text", "empty"),
    ],
)
def test_what_is_missing_is_told_from_text(module: Page, value: Any, kind: str, text: str) -> None:
    assert ours(module, "cellText", encoded(value), kind) == {"text": text, "missing": True}
    assert ours(module, "cellText", text, "text") == {"text": text, "missing": False}
    assert ours(module, "copiedText", encoded(value)) == ""


@examples
@given(st.integers())
def test_integers_are_typed_exactly(module: Page, value: int) -> None:
    for text in (str(value), f" {value:,} "):
        assert ours(module, "readValue", text, "integer") == {"value": encoded(value)}


@examples
@given(st.timedeltas(datetime.timedelta(0), datetime.timedelta(10_000)))
def test_durations_are_typed_as_they_are_shown(module: Page, value: datetime.timedelta) -> None:
    shown = ours(module, "wholeText", encoded(value))
    assert ours(module, "readValue", shown, "duration") == {"value": encoded(value)}


@examples
@given(
    st.text(max_size=20), st.sampled_from(["integer", "number", "boolean", "duration", "datetime", "text"])
)
def test_whatever_is_typed_is_read_or_refused(module: Page, text: str, kind: str) -> None:
    read = ours(module, "readValue", text, kind)
    assert list(read) in (["value"], ["error"])


_AXIS = """([count, sizes]) => {
  const axis = new ours.GridAxis(100);
  axis.count = count;
  const all = Array(count).fill(100);
  for (const [at, size] of sizes) {
    if (at >= count) continue;
    axis.setSize(at, size);
    all[at] = size;
  }
  let left = 0;
  return all.map((size, n) => {
    const right = axis.offset(n) === left && axis.size(n) === size && (!size || axis.at(left) === n);
    left += size;
    return right;
  }).every(Boolean) && axis.total === left;
}"""


@examples
@given(st.integers(1, 60), st.lists(st.tuples(st.integers(0, 59), st.sampled_from([0, 40, 100, 333]))))
def test_places_are_the_sums_of_sizes(module: Page, count: int, sizes: list[tuple[int, int]]) -> None:
    assert module.evaluate(_AXIS, [count, sizes])


_SCROLL = """([total, view, moves]) => {
  const map = new ours.ScrollMap();
  map.resize(total, view);
  const end = map.length - view;
  for (const [kind, share] of moves) {
    const before = map.place;
    if (kind === "jump") map.scrolled(Math.round(end * share));
    else if (kind === "wheel") {
      const scroll = Math.max(0, Math.min(map.scroll + (share - 0.5) * view, end));
      const moved = scroll - map.scroll;
      map.scrolled(scroll);
      const free = scroll > 0 && scroll < end - 1 && map.place > 0 && map.place < map.last;
      if (free && Math.abs(map.place - before - moved) > 1) {
        return "a small move is not the user's pixels";
      }
    } else {
      const scroll = map.goTo(share * map.last);
      if (scroll < 0 || scroll > end + 1) return "the bar leaves its element";
    }
    if (!(map.place >= 0 && map.place <= map.last)) return "out of the table";
  }
  map.scrolled(0);
  if (map.place !== 0) return "the start is not reached";
  map.scrolled(end);
  return map.place === map.last ? "" : "the end is not reached";
}"""

moves = st.lists(
    st.tuples(st.sampled_from(["jump", "wheel", "go"]), st.floats(0, 1, allow_nan=False)), max_size=12
)


@examples
@given(st.integers(2_000, 10**12), st.integers(100, 1_999), moves)
def test_every_place_of_a_table_can_be_scrolled_to(
    module: Page, total: int, view: int, moves: list[tuple[str, float]]
) -> None:
    assert module.evaluate(_SCROLL, [total, view, moves]) == ""
