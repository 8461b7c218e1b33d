"""The inspector answers while a cell stands at a breakpoint."""

from __future__ import annotations

from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel

_CODE = "def stops(x):\n    y = x + 1\n    return y\nstops(1)\n"


def _debug(stock: Stock, command: str, **arguments: Any) -> dict[str, Any]:
    request = {"type": "request", "seq": 1, "command": command, "arguments": arguments}
    reply = stock.reply(stock.send("debug_request", request, channel="control"), channel="control")
    return dict(reply["content"])


def test_at_a_breakpoint(stock: Stock) -> None:
    pytest.importorskip("debugpy")
    stock.ok("store", {"id": "x", "value": [1, 2]})
    # The thread is there before the debugger looks for those it stops.
    stock.ok("inspect", {"target": "stored.x", "run_code": True}, channel="control")
    _debug(stock, "initialize", clientID="test", adapterID="", pathFormat="path", locale="en")
    _debug(stock, "attach")
    path = _debug(stock, "dumpCell", code=_CODE)["body"]["sourcePath"]
    _debug(stock, "setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}], sourceModified=False)
    _debug(stock, "configurationDone")
    cell = stock.send("execute_request", {"code": _CODE})

    def stopped() -> bool:
        events = [m["content"] for m in stock.messages["iopub"] if m["msg_type"] == "debug_event"]
        return any(event.get("event") == "stopped" for event in events)

    stock.until(stopped, "the breakpoint")
    asked = {"target": "stored.x", "run_code": True}
    assert stock.ok("inspect", asked, channel="control")["inspection"]["string_repr"] == "[1, 2]"
    assert stock.ok("list_stored", channel="control")["count"] == 1
    assert not stock.replies(cell)
    threads = _debug(stock, "threads")["body"]["threads"]
    _debug(stock, "continue", threadId=threads[0]["id"])
    assert stock.reply(cell)["content"]["status"] == "ok"
    _debug(stock, "disconnect", restart=False, terminateDebuggee=False)
