"""What people expect of a notebook kernel works beside our messages: widgets, debugger, completion."""

from __future__ import annotations

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


def test_a_widget_follows_its_front_end(stock: Stock) -> None:
    stock.cell("import ipywidgets\nslider = ipywidgets.IntSlider(value=3)\nmodel_id = slider.model_id")
    comm_id = stock.call("user.model_id")
    data = {"method": "update", "state": {"value": 7}, "buffer_paths": []}
    stock.send("comm_msg", {"comm_id": comm_id, "data": data})
    # Shell answers in order: the widget has heard of it when the call runs.
    assert stock.call("user.slider.value") == 7
    stock.cell("slider.close()")


def test_the_debugger_answers(stock: Stock) -> None:
    request = {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}
    reply = stock.reply(stock.send("debug_request", request, channel="control"), channel="control")
    assert reply["msg_type"] == "debug_reply"
    assert reply["content"]["success"] is True
    assert reply["content"]["body"]["isStarted"] is False


def test_completion_knows_stored_names(stock: Stock) -> None:
    stock.ok("store", {"id": "a_long_name", "value": 1})
    code = "stored.a_lo"
    request = {"code": code, "cursor_pos": len(code)}
    matches = stock.reply(stock.send("complete_request", request))["content"]["matches"]
    assert any(match.endswith("a_long_name") for match in matches)
