"""Every transport carries the protocol; kernel_info tells of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import zmq
from needs import skip_unless_ci
from stock_client import Stock

import snakekernel
from snakekernel.commands.table import BUILTINS

pytestmark = pytest.mark.kernel

OPTIONS: dict[str, dict[str, Any]] = {
    "ipc": {"transport": "ipc"},
    "tcp": {"transport": "tcp"},
    "curve": {"transport_encryption": "required"},
}


@pytest.fixture(params=sorted(OPTIONS), scope="module")
def kernel(request: pytest.FixtureRequest) -> Any:
    """A client of a kernel on each transport, with the transport's name."""
    if request.param == "curve" and not zmq.has("curve"):
        skip_unless_ci("this build of libzmq has no Curve")
    with snakekernel.start(**OPTIONS[request.param]) as client:
        client.transport_name = request.param
        yield client


@pytest.fixture(scope="module")
def stock(kernel: Any) -> Any:
    """A stock client on the same transport."""
    client = Stock(kernel.manager.get_connection_info())
    yield client
    client.close()


def test_calls_and_buffers(kernel: Any, stock: Stock) -> None:
    assert kernel.call("operator.add", args=[2, 3]) == 5
    array = numpy.arange(10_000.0).reshape(100, 100)
    assert (kernel.call("numpy.transpose", args=[array]) == array.T).all()
    assert stock.call("operator.add", 2, 3) == 5
    reply = stock.only_reply(
        stock.send("call", {"target": "builtins.bytes", "args": [{"$bytes": 0}]}, buffers=[b"x"])
    )
    assert bytes(reply["buffers"][0]) == b"x"


def test_replies_bind_their_buffers_where_nothing_else_does(kernel: Any, stock: Stock) -> None:
    reply = stock.only_reply(stock.send("call", {"target": "builtins.bytes", "args": [3]}))
    assert ("snake_buffers" in reply["metadata"]) == (kernel.transport_name == "tcp")


def test_cells_and_control(stock: Stock) -> None:
    stock.cell("assert 1 + 1 == 2")
    assert stock.ok("ping", channel="control")["bridge_type"] == "snakekernel"


def test_the_sockets_folder_is_private(kernel: Any) -> None:
    info = kernel.manager.get_connection_info()
    if info["transport"] == "ipc":
        folder = Path(info["ip"]).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.stat().st_uid == os.getuid()
    else:
        assert info["ip"] == "127.0.0.1"


def test_curve_is_curve(kernel: Any) -> None:
    info = kernel.manager.get_connection_info()
    assert bool(info.get("curve_publickey")) == (kernel.transport_name == "curve")


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_kernel_info(stock: Stock, channel: str) -> None:
    info = stock.reply(stock.send("kernel_info_request", channel=channel), channel=channel)["content"]
    assert info["implementation"] == "snakekernel"
    assert info["implementation_version"] == snakekernel.__version__
    assert "snakekernel" in info["supported_features"]
    assert "kernel subshells" in info["supported_features"]
    details = info["snakekernel"]
    assert details["protocol_version"] == "1.0"
    assert set(BUILTINS) <= set(details["operations"])
    assert {"configure_lm", "create_program", "execute_program"} <= set(details["operations"])
    assert {"dspy", "sklearn"} <= set(details["frameworks"])
    assert details["epoch"] == stock.ok("ping")["epoch"]
    assert info["language_info"]["name"] == "python"


def test_a_kernel_imports_no_framework_to_start(stock: Stock) -> None:
    heavy = ["numpy", "pandas", "pyarrow", "dspy", "sklearn", "snakekernel.client", "snakekernel.testing"]
    stock.cell(f"import sys\nloaded = [name for name in {heavy!r} if name in sys.modules]")
    loaded = stock.ok("retrieve", {"target": "user.loaded"})["object"]["value"]
    assert set(loaded) <= {"numpy"}, loaded  # the calls of this module have met numpy


def test_every_kernel_has_an_epoch_of_its_own(fresh_kernel: Callable[..., tuple[Any, Stock]]) -> None:
    client, stock = fresh_kernel()
    before = stock.ok("ping")["epoch"]
    stock.ok("store", {"id": "x", "value": 1})
    client.manager.restart_kernel(now=True)
    again = Stock(client.manager.get_connection_info())
    try:
        assert again.ok("ping")["epoch"] != before
        assert again.ok("list_stored")["count"] == 0
        reply = again.fails("call", {"target": "builtins.len", "args": [""], "epoch": before})
        assert reply["code"] == "outcome_unknown"
    finally:
        again.close()
