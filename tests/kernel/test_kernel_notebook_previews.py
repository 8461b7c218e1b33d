"""``preview`` as a panel asks for it: on control, while a cell runs, without a trace in the notebook."""

from __future__ import annotations

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def figures(stock: Stock) -> None:
    """A figure of pyplot's, its axes, and an image."""
    stock.cell(
        "%matplotlib inline\n"
        "import matplotlib.pyplot as plt, numpy as np\n"
        "plt.close('all')\n"
        "with plt.ioff(): figure, axes = plt.subplots(figsize=(6, 4), dpi=100)\n"
        "plt.close(figure)\n"
        "axes.plot([1, 2, 3])\n"
        "stored.figure, stored.parts = figure, {'axes': axes, 'image': np.zeros((40, 50, 3), 'uint8')}\n"
    )


@pytest.mark.parametrize("channel", ["shell", "control"])
@pytest.mark.parametrize(
    ("target", "size"),
    [
        ("stored.figure", (300, 200)),
        (["stored", "parts", "axes"], (300, 200)),
        (["stored", "parts", "image"], (50, 40)),
        ("user.figure", (300, 200)),
    ],
)
def test_a_picture(stock: Stock, channel: str, target: object, size: tuple[int, int]) -> None:
    asked = stock.send("preview", {"target": target, "width": 300, "height": 300}, channel=channel)
    reply = stock.only_reply(asked, channel=channel)
    preview = reply["content"]["preview"]
    assert preview["mime"] == "image/png"
    assert (preview["width"], preview["height"]) == size
    assert bytes(reply["buffers"][preview["data"]["$bytes"]]).startswith(b"\x89PNG")
    assert not [m for m in stock.outputs(asked) if m["msg_type"] == "display_data"]


def test_none(stock: Stock) -> None:
    assert stock.ok("preview", {"target": "stored.parts"}, channel="control")["preview"] is None


def test_while_a_cell_runs(stock: Stock) -> None:
    cell = stock.send(
        "execute_request",
        {
            "code": "import threading; print('runs', flush=True); threading.Event().wait(30)",
            "stop_on_error": False,
        },
    )
    stock.until_it_prints(cell)
    assert stock.ok("preview", {"target": "stored.figure"}, channel="control")["preview"]["width"] == 800
    assert not stock.replies(cell)
    stock.send("interrupt_request", channel="control")
    stock.reply(cell)


def test_pyplot_notices_nothing(stock: Stock) -> None:
    stock.cell("before = figure.canvas, figure.dpi, plt.get_fignums()")
    stock.ok("preview", {"target": "stored.figure"}, channel="control")
    stock.cell("assert before == (figure.canvas, figure.dpi, plt.get_fignums())")
