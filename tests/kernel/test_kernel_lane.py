"""The fast lane: it is used, keeps every order, loses no wake-up, and gives way where it cannot be."""

from __future__ import annotations

import os
import random
import signal
import sys
import textwrap
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stock_client import PATIENCE, Stock

import snakekernel
from snakekernel import Client

pytestmark = pytest.mark.kernel

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the lane needs Linux's epoll")


def lane_of(stock: Stock) -> bool:
    """Whether a kernel runs on the lane."""
    stock.cell("import builtins; builtins.has_lane = get_ipython().kernel.lane is not None")
    return bool(stock.call("builtins.has_lane"))


@on_linux
def test_it_is_used(stock: Stock) -> None:
    assert lane_of(stock)


class TestWhereItIsNotUsed:
    def test_turned_off(self, fresh_kernel: Callable[..., Any], tmp_path: Path) -> None:
        config = tmp_path / "profile_default" / "ipython_kernel_config.py"
        config.parent.mkdir()
        config.write_text("c.SnakeKernel.fast_lane = False\n")
        _, stock = fresh_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path)})
        assert not lane_of(stock)
        assert stock.call("operator.add", 2, 3) == 5

    def test_another_ipykernel(self, fresh_kernel: Callable[..., Any], tmp_path: Path) -> None:
        """A version that the lane was not tested with: a warning, and stock's own way."""
        (tmp_path / "sitecustomize.py").write_text(
            "import ipykernel; ipykernel.version_info = (99, 0, 0); ipykernel.__version__ = '99.0.0'\n"
        )
        log = tmp_path / "log"
        with log.open("w") as output:
            _, stock = fresh_kernel(env={**os.environ, "PYTHONPATH": str(tmp_path)}, output=output)
            assert not lane_of(stock)
            assert stock.call("operator.add", 2, 3) == 5
        if sys.platform == "linux":
            said = log.read_text()
            assert "The fast lane is not used: ipykernel 99.0.0" in said


class TestOrder:
    @pytest.fixture(autouse=True)
    def functions(self, stock: Stock) -> None:
        """A log, and ways to write to it."""
        stock.cell(
            textwrap.dedent("""
            import asyncio
            log = []
            async def later(text):
                await asyncio.sleep(0.001)
                log.append(text)
            def target(comm, message):
                comm.on_msg(lambda m: None)
            get_ipython().kernel.comm_manager.register_target("lane", target)
            """)
        )

    @pytest.mark.parametrize("seed", range(5))
    def test_of_all_kinds_of_messages(self, stock: Stock, seed: int) -> None:
        """Cells, awaiting cells, calls and awaiting calls, sent in one go, run as they were sent."""
        chance = random.Random(seed)
        expected = []
        for number in range(60):
            kind = chance.choice(["call", "awaiting call", "cell", "awaiting cell", "info", "comm", "call"])
            text = f"{number} {kind}"
            if kind == "call":
                stock.send("call", {"target": "user.log.append", "args": [text]})
            elif kind == "awaiting call":
                stock.send("call", {"target": "user.later", "args": [text]})
            elif kind == "cell":
                stock.send("execute_request", {"code": f"log.append({text!r})"})
            elif kind == "awaiting cell":
                stock.send("execute_request", {"code": f"await later({text!r})"})
            elif kind == "info":
                stock.send("kernel_info_request")
                continue
            else:
                stock.send("comm_open", {"comm_id": uuid.uuid4().hex, "target_name": "lane", "data": {}})
                continue
            expected.append(text)
        stock.fence()
        assert stock.call("user.log.copy") == expected

    def test_a_comm_message_passes_a_waiting_call(self, stock: Stock) -> None:
        """A cell that awaits a comm's message gets it, although a call waits for the cell."""
        stock.cell(
            textwrap.dedent("""
            got = asyncio.Event()
            def answer(comm, message):
                comm.on_msg(lambda m: got.set())
            get_ipython().kernel.comm_manager.register_target("answer", answer)
            """)
        )
        comm = uuid.uuid4().hex
        stock.send("comm_open", {"comm_id": comm, "target_name": "answer", "data": {}})
        cell = stock.send("execute_request", {"code": "print('waits'); await got.wait(); log.append('cell')"})
        call = stock.send("call", {"target": "user.log.append", "args": ["call"]})
        stock.until_it_prints(cell)
        stock.send("comm_msg", {"comm_id": comm, "data": {}})
        assert stock.reply(cell)["content"]["status"] == "ok"
        assert stock.only_reply(call)["content"]["status"] == "ok"
        assert stock.call("user.log.copy") == ["cell", "call"]

    def test_only_comm_messages_pass(self, stock: Stock) -> None:
        """Not what merely begins like one, in its type or in another field."""
        cell = stock.send("execute_request", {"code": "print('waits'); await asyncio.sleep(0.3)"})
        call = stock.send("call", {"target": "user.log.append", "args": ["call"]})
        stock.until_it_prints(cell)
        info = stock.send("comm_info_request")
        msg_id, frames = stock.frames(
            "execute_request", content=b'{"code": ""}', header={"username": "comm_x"}
        )
        stock.send_frames(frames)
        stock.fence()
        order = [m["parent_header"]["msg_id"] for m in stock.messages["shell"]]
        sent = [cell, call, info, msg_id]
        assert [each for each in order if each in sent] == sent

    def test_a_cancelled_request_is_answered(self, stock: Stock) -> None:
        """User code may cancel all tasks that it finds; ours are among them."""
        stock.cell(
            "async def cancels():\n"
            "    for task in asyncio.all_tasks(): task.cancel()\n"
            "    await asyncio.sleep(1)\n"
        )
        reply = stock.only_reply(stock.send("call", {"target": "user.cancels"}))["content"]
        assert reply["status"] == "error"
        assert stock.call("operator.add", 2, 3) == 5

    def test_variables_of_the_context_last_from_cell_to_call(self, stock: Stock) -> None:
        stock.cell("import contextvars; where = contextvars.ContextVar('where')")
        stock.call("user.where.set", "set by a call")
        stock.cell("seen = where.get(); where.set('set by a cell')")
        assert stock.call("user.seen") == "set by a call"
        assert stock.call("user.where.get") == "set by a cell"


class TestBesideABusyMainThread:
    """A subshell's requests are read and answered whatever keeps the main thread."""

    def answers(self, stock: Stock, subshell: str) -> None:
        reply = stock.ok("call", {"target": "user.begun.wait", "args": [PATIENCE]}, subshell_id=subshell)
        assert reply["result"]["value"] is True
        stock.ok("call", {"target": "user.go.set"}, subshell_id=subshell)

    @pytest.fixture(autouse=True)
    def events(self, stock: Stock) -> None:
        """Something that keeps the main thread until a subshell lets it go."""
        stock.cell(
            textwrap.dedent("""
            import asyncio, threading
            begun, go = threading.Event(), threading.Event()
            def sleeps():
                begun.set()
                return go.wait(60)
            def spins():
                begun.set()
                while not go.is_set(): pass
                return True
            """)
        )

    @pytest.mark.parametrize("function", ["sleeps", "spins"])
    def test_with_a_call(self, stock: Stock, subshell: str, function: str) -> None:
        busy = stock.send("call", {"target": f"user.{function}"})
        self.answers(stock, subshell)
        assert stock.only_reply(busy)["content"]["result"]["value"] is True

    @pytest.mark.parametrize("function", ["sleeps", "spins"])
    def test_with_a_cell(self, stock: Stock, subshell: str, function: str) -> None:
        busy = stock.send("execute_request", {"code": f"assert {function}()"})
        self.answers(stock, subshell)
        assert stock.reply(busy)["content"]["status"] == "ok"

    def test_with_a_callback_of_the_loop(self, stock: Stock, subshell: str) -> None:
        """No request runs at all; a task that a cell left behind has the thread."""
        stock.cell("asyncio.get_running_loop().call_later(0.01, sleeps); None")
        self.answers(stock, subshell)

    def test_with_a_gui(self, stock: Stock, subshell: str) -> None:
        """A GUI's event loop has the thread and looks at ipykernel's stream from time to time."""
        stock.cell(
            textwrap.dedent("""
            import time
            from ipykernel.eventloops import get_shell_stream, register_integration
            turns = 0
            @register_integration("polling")
            def polling(kernel):
                global turns
                stream = get_shell_stream(kernel)
                while not stream.flush(limit=1):
                    turns += 1
                    time.sleep(0.001)
            """)
        )
        stock.cell("%gui polling")
        try:
            while not stock.call("user.turns"):
                # Every question ends a turn of the GUI's loop, and another begins.
                pass
            for number in range(50):
                assert stock.call("operator.add", number, 1) == number + 1
            stock.cell("x = 1")
            busy = stock.send("call", {"target": "user.sleeps"})
            self.answers(stock, subshell)
            assert stock.only_reply(busy)["content"]["result"]["value"] is True
        finally:
            stock.cell("%gui")


def test_a_flood_while_a_gui_has_the_loop(fresh_kernel: Callable[..., Any]) -> None:
    """Every message wakes the GUI, which looks at none of them while a call runs."""
    _, stock = fresh_kernel()
    stock.cell(
        textwrap.dedent("""
        import threading, time
        from ipykernel.eventloops import get_shell_stream, register_integration
        go = threading.Event()
        @register_integration("polling")
        def polling(kernel):
            stream = get_shell_stream(kernel)
            while not stream.flush(limit=1):
                time.sleep(0.001)
        """)
    )
    stock.cell("%gui polling")
    made = stock.send("create_subshell_request", channel="control")
    subshell = stock.reply(made, channel="control")["content"]["subshell_id"]
    busy = stock.send("call", {"target": "user.go.wait", "args": [PATIENCE]})
    for _ in range(2_600):
        stock.send("kernel_info_request")
    stock.ok("call", {"target": "user.go.set"}, subshell_id=subshell)
    assert stock.reply(busy)["content"]["result"]["value"] is True

    def answers() -> bool:
        # The kernel's socket drops replies beyond its high-water mark: asked until one gets through.
        ping = stock.send("ping")
        return stock.poll(lambda: bool(stock.replies(ping)), 10)

    assert any(answers() for _ in range(10))


def test_a_loop_within_a_cell(fresh_kernel: Callable[..., Any]) -> None:
    """nest_asyncio: what comes while a cell runs a loop of its own is answered after the cell."""
    _, stock = fresh_kernel()
    stock.cell("import asyncio, nest_asyncio; nest_asyncio.apply()")
    code = "print('in'); asyncio.get_event_loop().run_until_complete(asyncio.sleep(0.5))"
    cell = stock.send("execute_request", {"code": code})
    stock.until_it_prints(cell)
    info, call = stock.send("kernel_info_request"), stock.send("call", {"target": "os.getpid"})
    assert stock.reply(cell)["content"]["status"] == "ok"
    stock.reply(info)
    stock.only_reply(call)


def test_no_wake_up_is_lost(snake: Client, stock: Stock, subshell: str) -> None:
    """Clients on all channels at once, each sending as soon as it was answered: none of them ever waits."""
    failures: list[BaseException] = []
    info = snake.manager.get_connection_info()

    def keep_asking(ask: Callable[[Stock, int], object]) -> None:
        client = Stock(info)
        try:
            for number in range(400):
                ask(client, number)
        except BaseException as error:
            failures.append(error)
        finally:
            client.close()

    def call(client: Stock, number: int) -> None:
        reply = client.reply(client.send("call", {"target": "operator.add", "args": [number, 1]}))
        assert reply["content"]["result"]["value"] == number + 1

    def on_subshell(client: Stock, number: int) -> None:
        sent = client.send("call", {"target": "operator.add", "args": [number, 1]}, subshell_id=subshell)
        assert client.reply(sent)["content"]["result"]["value"] == number + 1

    def info_request(client: Stock, number: int) -> None:
        if not number % 8:
            client.reply(client.send("kernel_info_request"))

    threads = [
        threading.Thread(target=keep_asking, args=(ask,)) for ask in (call, call, on_subshell, info_request)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures
    assert stock.ok("ping")["status"] == "ok"


def test_a_storm_of_interrupts_loses_no_reply(fresh_kernel: Callable[..., Any]) -> None:
    """Tiny calls and cells under signals: each call gets its reply, and the kernel lives.

    A cell may go without: a signal that strikes between two lines of ipykernel's handler ends it unanswered.
    """
    client, stock = fresh_kernel()
    pid = client.call("os.getpid")
    over = threading.Event()

    def storm() -> None:
        while not over.wait(0.005):
            os.kill(pid, signal.SIGINT)

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        sent = []
        for number in range(150):
            sent.append(stock.send("call", {"target": "operator.add", "args": [number, 1]}))
            if not number % 5:
                stock.send("execute_request", {"code": "1", "stop_on_error": False})
        for msg_id in sent:
            stock.reply(msg_id)
    finally:
        over.set()
        thread.join()
    for msg_id in sent:
        assert len(stock.replies(msg_id)) == 1
    assert stock.call("operator.add", 2, 3) == 5


def test_a_kernel_ends_in_good_order() -> None:
    """It is shut down in the middle of a flood: its process ends by itself, with status 0."""
    client = snakekernel.start()
    stock = Stock(client.manager.get_connection_info())
    try:
        for number in range(200):
            stock.send("call", {"target": "operator.add", "args": [number, 1]})
        process = client.manager.provisioner.process
    finally:
        client.close()
        stock.close()
    assert process.poll() == 0
