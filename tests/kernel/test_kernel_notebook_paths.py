"""Paths in code: what is being typed, what the cursor is on. No kernel runs here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.kernel.paths import Path, leading, path_at, unfinished, whole
from snakekernel.wire.path import Attr, Item


def at(code: str) -> tuple[str, int]:
    """The code without its ``|``, and where that stood; at the end where there is none."""
    before, _, after = code.partition("|")
    return before + after, len(before)


@pytest.mark.parametrize(
    ("code", "path", "kind", "typed", "quote"),
    [
        ("stored.", Path("stored", ()), "attribute", "", ""),
        ("stored.df.co", Path("stored", (Attr("df"),)), "attribute", "co", ""),
        ("stored['a b'].x", Path("stored", (Item("a b"),)), "attribute", "x", ""),
        ('f(stored["a', Path("stored", ()), "key", "a", '"'),
        ("stored[", Path("stored", ()), "key", "", ""),
        ("x[0][-1].y", Path("x", (Item(0), Item(-1))), "attribute", "y", ""),
        ("größe.ä", Path("größe", ()), "attribute", "ä", ""),
        ("a = 1\nb.c| + 2", Path("b", ()), "attribute", "c", ""),
        ("nam", None, "name", "nam", ""),
        ("(nam", None, "name", "nam", ""),
        (r"d['it\'s'].x", Path("d", (Item("it's"),)), "attribute", "x", ""),
    ],
)
def test_what_is_typed(code: str, path: Path | None, kind: str, typed: str, quote: str) -> None:
    text, cursor = at(code)
    found = unfinished(text, cursor)
    assert found is not None
    assert (found.path, found.kind, found.typed, found.quote) == (path, kind, typed, quote)
    assert text[found.start : cursor] == typed


@pytest.mark.parametrize("code", ["", " ", "f().x", "'a.b", "# a.b", "5.x", "a[b].c", "a[1:2].c", "(a).b"])
def test_what_is_none(code: str) -> None:
    found = unfinished(*at(code))
    assert found is None or found.path is None


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("stored.df", Path("stored", (Attr("df"),))),
        ("stored.d|f.x", Path("stored", (Attr("df"),))),
        ("sto|red.df", Path("stored", ())),
        ("stored.df.head(|)", Path("stored", (Attr("df"), Attr("head")))),
        ("stored.df.head(1, [2, (3)], |)", Path("stored", (Attr("df"), Attr("head")))),
        ("stored['x']", Path("stored", (Item("x"),))),
        ("f(a.b|)", Path("a", (Attr("b"),))),
        ("[1, |]", None),
        ("", None),
    ],
)
def test_what_the_cursor_is_on(code: str, path: Path | None) -> None:
    assert path_at(*at(code)) == path


def test_what_a_text_begins_with() -> None:
    assert leading("stored['a b'].x 3, 4") == (Path("stored", (Item("a b"), Attr("x"))), " 3, 4")
    assert leading("f(1)") == (Path("f", ()), "(1)")
    assert leading(" f") is None
    assert leading("5") is None


_CODE = st.text(st.sampled_from("ab.[]()'\"\\# 0-\n_é") | st.characters(), max_size=60)


@given(code=_CODE, cursor=st.integers(0, 60))
def test_any_text_is_read(code: str, cursor: int) -> None:
    cursor = min(cursor, len(code))
    path_at(code, cursor)
    whole(code)
    leading(code)
    found = unfinished(code, cursor)
    assert found is None or code[found.start : cursor] == found.typed
