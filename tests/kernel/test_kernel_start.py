"""What a kernel loads when it starts, what it leaves until it is used, and that its use is as ever."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from stock_client import PATIENCE, Stock

pytestmark = pytest.mark.kernel

#: Loaded by stock ipykernel, by libraries that a notebook may use, or by our own client; by no start of ours.
NOT_AT_START = {
    "_pydevd_bundle",
    "debugpy",
    "dspy",
    "jupyter_client.blocking",
    "jupyter_client.kernelspec",
    "jupyter_client.manager",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "pydevd",
    "rich",
    "sklearn",
    "snakekernel.cli",
    "snakekernel.client",
    "snakekernel.durable.database",
    "snakekernel.plugins.dspy",
    "snakekernel.plugins.sklearn",
    "snakekernel.values.arrow",
    "snakekernel.values.numpy",
    "snakekernel.values.pandas",
    "zoneinfo",
}


def _debug(stock: Stock, command: str, **arguments: Any) -> dict[str, Any]:
    request = {"type": "request", "seq": 1, "command": command, "arguments": arguments}
    reply = stock.reply(stock.send("debug_request", request, channel="control"), channel="control")
    assert reply["msg_type"] == "debug_reply"
    return dict(reply["content"])


def test_a_start_loads_what_it_needs(fresh_kernel: Callable[..., Any]) -> None:
    _, stock = fresh_kernel()
    # Asked as a front-end asks first; the operations of plugins are known without loading any.
    info = stock.reply(stock.send("kernel_info_request"))["content"]
    assert "debugger" in info["supported_features"]
    assert "configure_lm" in info["snakekernel"]["operations"]
    stock.cell("import sys; names = sorted(sys.modules)")
    loaded = set(stock.call("user.names.copy"))
    assert "snakekernel.kernel.kernel" in loaded
    assert not NOT_AT_START & loaded


def test_our_own_code_does_not_load_sqlite() -> None:
    """Of a kernel that runs this cannot be asked: IPython's history loads it at start, unless that is off."""
    code = "import sys, snakekernel.kernel.app; assert not {'sqlite3', '_sqlite3'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_client_loads_nothing_of_the_kernel() -> None:
    code = (
        "import sys, snakekernel\n"
        "bare = {n.partition('.')[0] for n in sys.modules}\n"
        "assert not bare & {'zmq', 'jupyter_client', 'msgspec', 'asyncio'}, bare\n"
        "snakekernel.start, snakekernel.AsyncClient, snakekernel.ref, snakekernel.errors\n"
        "roots = {n.partition('.')[0] for n in sys.modules}\n"
        "assert not roots & {'ipykernel', 'IPython', 'debugpy', 'numpy', 'pandas', 'dspy', 'rich'}, roots\n"
        "assert not {'snakekernel.kernel', 'snakekernel.cli'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_debugger_comes_when_asked_for(fresh_kernel: Callable[..., Any]) -> None:
    _, stock = fresh_kernel()
    stock.cell("import sys, threading; before = 'debugpy' in sys.modules")
    assert stock.call("user.before") is False
    # As with stock: without a debugger attached it is passed over, not Python's own debugger started.
    stock.cell("breakpoint(); passed = 'debugpy' in sys.modules")
    assert stock.call("user.passed") is True
    assert _debug(stock, "debugInfo")["body"]["isStarted"] is False


def test_a_breakpoint_stops(fresh_kernel: Callable[..., Any]) -> None:
    _, stock = fresh_kernel()
    assert _debug(stock, "initialize", adapterID="", clientID="tests", pathFormat="path")["success"]
    assert _debug(stock, "attach")["success"]
    code = "def double(n):\n    m = 2 * n\n    return m\nresult = double(21)"
    path = _debug(stock, "dumpCell", code=code)["body"]["sourcePath"]
    source = {"source": {"path": path}, "breakpoints": [{"line": 3}], "sourceModified": False}
    assert _debug(stock, "setBreakpoints", **source)["success"]
    assert _debug(stock, "configurationDone")["success"]
    cell = stock.send("execute_request", {"code": code, "silent": False})

    def stopped() -> list[dict[str, Any]]:
        events = [m["content"] for m in stock.messages["iopub"] if m["msg_type"] == "debug_event"]
        return [event for event in events if event["event"] == "stopped"]

    stock.until(lambda: bool(stopped()), "the breakpoint")
    thread = stopped()[0]["body"]["threadId"]
    frames = _debug(stock, "stackTrace", threadId=thread)["body"]["stackFrames"]
    assert frames[0]["name"] == "double"
    assert _debug(stock, "continue", threadId=thread)["success"]
    assert stock.reply(cell)["content"]["status"] == "ok"
    assert stock.call("user.result") == 42
    assert _debug(stock, "disconnect", restart=False, terminateDebuggee=False)["success"]


def test_files_of_the_notebooks_folder_do_not_break_the_debugger(
    fresh_kernel: Callable[..., Any], tmp_path: Path
) -> None:
    for name in ("code", "xmlrpc", "socketserver"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('a file of the notebook')\n")
    _, stock = fresh_kernel(cwd=str(tmp_path))
    assert _debug(stock, "debugInfo")["success"] is True


def test_jupyter_client_is_whole_in_the_notebook(fresh_kernel: Callable[..., Any]) -> None:
    _, stock = fresh_kernel()
    stock.cell("from jupyter_client.manager import KernelManager; import jupyter_client")
    stock.cell("assert jupyter_client.KernelManager is KernelManager")
    stock.cell("assert 'BlockingKernelClient' in dir(jupyter_client) and jupyter_client.__version__")
    stock.cell("from jupyter_client import kernelspec, run_kernel")


def _idle_memory(command: list[str], folder: Path) -> int:
    """Bytes that a kernel has for itself alone once it has told what it is."""
    manager = KernelManager(transport="ipc", ip=str(folder / "channel"))
    manager._kernel_spec = KernelSpec(argv=[sys.executable, *command], language="python", display_name="")
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = manager.client()
        client.start_channels(hb=False, stdin=False, iopub=False)
        try:
            client.kernel_info(reply=True, timeout=PATIENCE)
        finally:
            client.stop_channels()
        return int(psutil.Process(manager.provisioner.pid).memory_full_info().uss)
    finally:
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def test_idle_it_takes_no_more_than_5_mb_beyond_ipykernel(tmp_path: Path) -> None:
    commands = {"stock": "ipykernel_launcher", "ours": "snakekernel"}
    taken: dict[str, list[int]] = {name: [] for name in commands}
    for turn in range(3):
        for name, module in commands.items():
            folder = tmp_path / f"{name}{turn}"
            folder.mkdir()
            taken[name].append(_idle_memory(["-m", module, "-f", "{connection_file}"], folder))
    assert median(taken["ours"]) <= median(taken["stock"]) + 5e6, taken
