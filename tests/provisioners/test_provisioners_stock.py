"""Jupyter's own programs start, use, interrupt, restart and end kernels through each provisioner as ever."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from engine_clusters import CLUSTERS
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.multikernelmanager import AsyncMultiKernelManager
from jupyter_rest import PATIENCE, JupyterRest, check_that_it_runs, message, until
from kernelspecs import install
from stock_client import Stock

from snakekernel.provisioners.sidecar import close_all

#: On a busy machine a cluster of Ray is there in its second or third attempt.
pytestmark = [pytest.mark.kernel, pytest.mark.timeout(240)]


@pytest.fixture(scope="module", params=["zygote", *sorted(CLUSTERS)])
def placed(request: pytest.FixtureRequest, kernelspecs: Path) -> Iterator[str]:
    """The name of a kernelspec whose kernels are placed so."""
    place = request.param
    with CLUSTERS[place]() if place in CLUSTERS else nullcontext() as address:
        # What the kernels of this test need of a host of two cores.
        cpus = {"cpus": 0.1} if place == "ray" else {}
        install(place, place, **({"address": address} if address else {}), **cpus)
        yield place
        close_all()


def test_a_blocking_manager(placed: str) -> None:
    manager = KernelManager(kernel_name=placed)
    manager.start_kernel()
    try:
        assert manager.provisioner is not None
        assert type(manager.provisioner).__module__ == f"snakekernel.provisioners.{placed}"
        stock = Stock(manager.get_connection_info())
        try:
            slow = stock.send("execute_request", {"code": "import time\nprint('on')\ntime.sleep(60)"})
            stock.until_it_prints(slow)
            manager.interrupt_kernel()
            assert stock.reply(slow)["content"]["ename"] == "KeyboardInterrupt"
            assert stock.call("math.hypot", 3, 4) == 5
            before = stock.call("os.getpid")
        finally:
            stock.close()
        manager.restart_kernel()
        again = Stock(manager.get_connection_info())
        try:
            assert again.call("os.getpid") != before
        finally:
            again.close()
        assert manager.is_alive()
    finally:
        manager.shutdown_kernel()
    assert not manager.is_alive()


async def test_a_multi_kernel_manager(placed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It keeps connection files in the current folder.
    monkeypatch.chdir(tmp_path)
    managers = AsyncMultiKernelManager()
    ids = [await managers.start_kernel(kernel_name=placed) for _ in range(2)]
    try:
        for kernel_id in ids:
            client: AsyncKernelClient = managers.get_kernel(kernel_id).client()
            client.start_channels()
            try:
                await client.wait_for_ready(timeout=PATIENCE)
                reply = await client.execute_interactive("6 * 7", store_history=False, timeout=PATIENCE)
                assert reply["content"]["status"] == "ok"
            finally:
                client.stop_channels()
                client.context.destroy(linger=0)
        assert all([await managers.is_alive(kernel_id) for kernel_id in ids])
    finally:
        await managers.shutdown_all(now=True)
    assert managers.list_kernel_ids() == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def lab(placed: str, tmp_path: Path) -> Iterator[JupyterRest]:
    """JupyterLab's server, which is Jupyter Server with its pages."""
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--port=0", "--no-browser", "--allow-root"]
    process = subprocess.Popen(
        [*command, f"--ServerApp.root_dir={tmp_path}"],
        # What other projects warn about in their own processes is not ours to make an error of.
        env=os.environ | {"JUPYTER_TOKEN": token, "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if url := re.search(r"http://127\.0\.0\.1:\d+/", line):
                break
        else:
            pytest.fail("the server ended:\n" + "".join(said))
        server = JupyterRest(url.group(), token)
        server.wait_until_it_answers(lambda: check_that_it_runs(process, lambda: "".join(said)))
        yield server
    finally:
        process.terminate()
        try:
            # Read to the end: with a full pipe it would not end.
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


def test_jupyterlab_and_its_server(placed: str, lab: JupyterRest) -> None:
    # As JupyterLab asks for a notebook's kernel, which the server starts.
    asked = {"path": "a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": placed}}
    session = lab.ask("POST", "api/sessions", asked)
    kernel_id = session["kernel"]["id"]
    for attempt in range(2):
        socket = lab.channels(kernel_id)
        try:
            call = message("snake_call_request", {"target": "operator.add", "args": [40, attempt]})
            socket.send(json.dumps(call))
            reply = until(socket, call, lambda m: m["msg_type"] == "snake_call_reply")[-1]
            assert reply["content"]["result"]["value"] == 40 + attempt
            cell = message("execute_request", {"code": "print('on', flush=True)\nwhile True: pass"})
            socket.send(json.dumps(cell))
            until(socket, cell, lambda m: m["msg_type"] == "stream")
            lab.ask("POST", f"api/kernels/{kernel_id}/interrupt")
            reply = until(socket, cell, lambda m: m["msg_type"] == "execute_reply")[-1]
            assert reply["content"]["ename"] == "KeyboardInterrupt"
        finally:
            socket.close()
        lab.ask("POST", f"api/kernels/{kernel_id}/restart")
    lab.ask("DELETE", f"api/sessions/{session['id']}")
    assert lab.ask("GET", "api/kernels") == []
