"""Pages for notebooks: plain HTML that holds whatever objects hold as text, and bounded."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.inspection import Describer
from snakekernel.inspection.html import description_page, inspection_page, listing_page, maker_text, type_text
from snakekernel.inspection.pages import Block, Facts, Grid, Note, Page, Part, Section
from snakekernel.inspection.words import age_text, extent_text, one_line, size_text

_TAGS = frozenset(
    ["div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "pre", "details", "summary"],
)
_ATTRIBUTES = {"style", "align", "open"}


class Reader(HTMLParser):
    """Reads a page: its text, and that it is made of what may be there, well nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS
        for name, value in attrs:
            assert name in _ATTRIBUTES
            assert "url" not in (value or "")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


_TEXTS = st.text() | st.sampled_from(
    ["<script>alert(1)</script>", "</td><b>", "&amp;", '" onload="x', "]]>", "<!--"]
)
_PARTS: st.SearchStrategy[Part] = st.recursive(
    st.builds(Facts, st.lists(st.tuples(_TEXTS, _TEXTS), max_size=3))
    | st.builds(Block, _TEXTS)
    | st.builds(Note, _TEXTS)
    | st.builds(
        Grid,
        st.just(["a", "<b>"]),
        st.lists(st.tuples(_TEXTS, _TEXTS), max_size=3),
        st.just(frozenset({1})),
    ),
    lambda parts: st.builds(Section, _TEXTS, st.lists(parts, max_size=3), st.booleans()),
    max_leaves=5,
)


@given(title=_TEXTS, parts=st.lists(_PARTS, max_size=4))
def test_whatever_it_holds_is_text(title: str, parts: list[Part]) -> None:
    page = Page(title, parts)
    said = Reader(page.html).said
    assert title.replace("\r\n", "\n") in said.replace("\r\n", "\n") or "\r" in title
    assert page._repr_mimebundle_() == {"text/plain": page.text, "text/html": page.html}
    assert repr(page) == page.text


def test_text_stands_in_columns() -> None:
    page = Page("Things", [Grid(["name", "size"], [["a", "5 B"], ["long", "12 B"]], frozenset({1}))])
    assert page.text == "Things\n\nname  size\na      5 B\nlong  12 B"


def test_facts_and_sections() -> None:
    page = Page("x", [Facts([("Size", "5 B"), ("Signature", "(a)")]), Section("More", [Block("one\n two")])])
    assert page.text == "x\n\nSize       5 B\nSignature  (a)\n\nMore\n  one\n   two"


class Model:
    """A <b>model</b>."""

    def __init__(self) -> None:
        self.weights = [1.5, 2.5]
        self.name = "<script>alert(1)</script>"

    def __repr__(self) -> str:
        return "<Model & more>"


@pytest.mark.parametrize(
    "obj",
    [
        None,
        5,
        "text\nmore",
        "x" * 100_000,
        list(range(1_000)),
        {"<k>": 1, ("a", 1): [2]},
        Model(),
        Model,
        len,
        pd.DataFrame({"<a>": range(500)}),
        np.zeros((3, 4)),
        ValueError("<x>"),
    ],
    ids=lambda v: type(v).__name__,
)
@pytest.mark.parametrize("static", [False, True])
def test_any_object(obj: Any, static: bool) -> None:
    describer = Describer(static=static)
    for page in (description_page(describer.preview(obj), "x"), inspection_page(describer.inspect(obj), "x")):
        assert Reader(page.html).said.startswith(f"x: {type_text(describer.preview(obj))}")
        assert len(page.html) < 200_000
        assert max(map(len, page.text.splitlines())) < 10_000


def test_an_inspection_tells_what_there_is() -> None:
    said = inspection_page(Describer().inspect(Model()), "model").text
    for part in ("A <b>model</b>.", "<Model & more>", "weights", "[1.5, 2.5]"):
        assert part in said


def test_a_long_container_says_what_is_left_out() -> None:
    assert "950 more" in description_page(Describer().preview(list(range(1_000)))).text
    assert "50 of 1000 parts" in inspection_page(Describer().inspect(list(range(1_000)))).text


def _listed(number: int, **more: Any) -> dict[str, Any]:
    fields = {"name": f"n{number}", "type": "int", "module": "builtins", "size": 28, "created": 1_000.0}
    return {**fields, "length": None, "shape": None, **more}


class TestListing:
    def test_rows_and_the_rest(self) -> None:
        page = listing_page("Many", [_listed(n) for n in range(150)], 500, now=1_000.0)
        assert "The first 100 of 500 objects." in page.text
        assert "just now" in page.text
        assert "made by" not in page.text

    def test_makers(self) -> None:
        by = {"kind": "call", "label": "pandas.read_csv", "client": "ada"}
        page = listing_page("One", [_listed(1, made_by=by, shape=[3, 2])], 1, now=1_300.0)
        for said in ("made by", "pandas.read_csv by ada", "3 × 2", "5 min ago", "28 B"):
            assert said in page.text

    def test_none(self) -> None:
        assert listing_page("None", [], 0, now=0.0).text == "None\n\nNo objects."

    def test_makers_of_all_sorts(self) -> None:
        assert maker_text(None) == ""
        assert maker_text({"label": "In [5]", "client": None}) == "In [5]"


class TestWords:
    @pytest.mark.parametrize(
        ("size", "said"),
        [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (2.5e6, "2.5 MB"), (3e15, "3000.0 TB")],
    )
    def test_sizes(self, size: float, said: str) -> None:
        assert size_text(int(size)) == said

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (7_300, "2 h ago"), (1e6, "11 d ago")],
    )
    def test_ages(self, seconds: float, said: str) -> None:
        assert age_text(seconds) == said

    def test_extents(self) -> None:
        assert extent_text([336_776, 19], 336_776) == "336776 × 19"
        assert extent_text(None, 5) == "5"
        assert extent_text([], None) == ""

    @given(text=st.text(), most=st.integers(1, 50))
    def test_one_line(self, text: str, most: int) -> None:
        line = one_line(text, most)
        assert len(line) <= most
        assert len(line.splitlines()) <= 1
