"""What a client's answers are shown as in a notebook."""

from __future__ import annotations

import base64

import pytest
from stock_client import Stock

from snakekernel import Client

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def objects(snake: Client, stock: Stock) -> None:
    """A frame, a picture in two forms, a thing of a class of the notebook's."""
    snake.call("pandas.DataFrame", args=[{"<a>": [1, 2]}], store_as="frame", returns="none")
    snake.call("numpy.zeros", args=[[40, 50, 3], "uint8"], store_as="image", returns="none")
    stock.cell("class Drawn:\n    def _repr_svg_(self): return '<svg width=\"5\"><script>1</script></svg>'\n")
    snake.call("user.Drawn", store_as="drawn", returns="none")


def test_a_description(snake: Client) -> None:
    shown = snake.retrieve("drawn")._repr_mimebundle_()
    assert shown["text/html"].startswith("<div><p><strong>stored.drawn: Drawn</strong>")
    assert "Drawn" in shown["text/plain"]


def test_an_inspection(snake: Client) -> None:
    found = snake.inspect("stored.frame")
    assert found["shape"] == [2, 1]
    shown = found._repr_mimebundle_()
    assert "stored.frame: pandas.DataFrame" in shown["text/plain"]
    assert "&lt;a&gt;" in shown["text/html"]
    assert "<a>" not in shown["text/html"]


def test_a_picture(snake: Client) -> None:
    picture = snake.preview("stored.image", width=20, height=20, channel="control")
    assert (picture.mime, picture.width, picture.height, picture.scaled) == ("image/png", 17, 14, True)
    shown = picture._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == picture.data
    assert shown["text/plain"] == "<image/png of 17 × 14 pixels, scaled>"


def test_an_svg_is_no_part_of_the_page(snake: Client) -> None:
    shown = snake.preview("stored.drawn")._repr_mimebundle_()
    assert shown["text/html"].startswith('<img alt="a picture" src="data:image/svg+xml;base64,')
    assert "<script" not in shown["text/html"]


def test_no_picture(snake: Client) -> None:
    assert snake.preview("stored.frame") is None
