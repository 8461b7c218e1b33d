"""An interrupt stops what runs, says so, and the kernel serves the next request."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stock_client import Stock

from snakekernel import Client

pytestmark = pytest.mark.kernel

Interrupt = Callable[[], None]


@pytest.fixture(params=["signal", "interrupt_request"])
def interrupt(request: pytest.FixtureRequest, snake: Client, stock: Stock) -> Interrupt:
    """Interrupts the kernel in one of the two ways there are."""

    def by_message() -> None:
        stock.reply(stock.send("interrupt_request", channel="control"), channel="control")

    return snake.interrupt if request.param == "signal" else by_message


@pytest.fixture(scope="module", autouse=True)
def endless(stock: Stock) -> None:
    """Functions that never end; each says when it has begun."""
    stock.cell(
        "import asyncio, time\n"
        "class Endless:\n"
        "    cleaned = []\n"
        "    def sleep(self):\n"
        "        print('begun', flush=True)\n"
        "        while True: time.sleep(0.01)\n"
        "    def long_sleep(self):\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(1000)\n"
        "    def loop(self):\n"
        "        print('begun', flush=True)\n"
        "        while True: pass\n"
        "    async def await_(self):\n"
        "        print('begun', flush=True)\n"
        "        await asyncio.sleep(1000)\n"
        "    async def await_in_turns(self):\n"
        "        print('begun', flush=True)\n"
        "        while True: await asyncio.sleep(0)\n"
        "    async def loop_in_a_coroutine(self):\n"
        "        await asyncio.sleep(0)\n"
        "        print('begun', flush=True)\n"
        "        while True: pass\n"
        "    async def gather(self):\n"
        "        await asyncio.gather(self.await_(), self.await_())\n"
        "    async def clean_up(self):\n"
        "        try:\n"
        "            await self.await_()\n"
        "        finally:\n"
        "            await asyncio.sleep(0)\n"
        "            self.cleaned.append(1)\n"
        "    @property\n"
        "    def prop(self): self.loop()\n"
        "    def __repr__(self): return 'endless'\n"
        "stored.endless = Endless()\n"
    )


@pytest.fixture(autouse=True)
def goes_on(stock: Stock) -> Iterator[None]:
    """Whatever was stopped, calls and cells go on, and are themselves interruptible."""
    yield
    assert stock.call("operator.add", 1, 2) == 3
    stock.cell("assert 1 + 1 == 2")


WAYS = ["sleep", "long_sleep", "loop", "await_", "await_in_turns", "loop_in_a_coroutine", "gather"]


@pytest.mark.parametrize("way", WAYS)
def test_a_call_is_stopped(stock: Stock, interrupt: Interrupt, way: str) -> None:
    msg_id = stock.send("call", {"target": f"stored.endless.{way}"})
    stock.until_it_prints(msg_id)
    interrupt()
    reply = stock.only_reply(msg_id)["content"]
    assert (reply["code"], reply["fault"], reply["ename"]) == ("interrupted", "caller", "KeyboardInterrupt")
    assert way in "\n".join(reply["traceback"])


def test_what_is_awaited_cleans_up(stock: Stock, interrupt: Interrupt) -> None:
    stock.cell("stored.endless.cleaned.clear()")
    msg_id = stock.send("call", {"target": "stored.endless.clean_up"})
    stock.until_it_prints(msg_id)
    interrupt()
    assert stock.only_reply(msg_id)["content"]["code"] == "interrupted"
    assert stock.ok("retrieve", {"target": "stored.endless.cleaned"})["object"]["value"] == [1]


def test_a_path_is_stopped(stock: Stock, interrupt: Interrupt) -> None:
    msg_id = stock.send("call", {"target": "stored.endless.prop"})
    stock.until_it_prints(msg_id)
    interrupt()
    assert stock.only_reply(msg_id)["content"]["code"] == "interrupted"


@pytest.mark.parametrize("way", ["loop", "await_"])
@pytest.mark.parametrize("stop_on_error", [True, False])
def test_a_pipeline_reports_what_was_completed(
    stock: Stock, interrupt: Interrupt, way: str, stop_on_error: bool
) -> None:
    steps = [
        {"target": "operator.add", "args": [1, 1]},
        {"target": "builtins.list", "args": [[1]], "store_as": f"kept by {way}"},
        {"target": f"stored.endless.{way}"},
        {"target": "operator.add", "args": [2, 2]},
    ]
    msg_id = stock.send("pipeline", {"steps": steps, "stop_on_error": stop_on_error})
    stock.until_it_prints(msg_id)
    interrupt()
    reply = stock.only_reply(msg_id)["content"]
    assert (reply["status"], reply["code"]) == ("error", "interrupted")
    assert reply["step"] == 2
    assert [one["status"] for one in reply["completed_steps"]] == ["ok", "ok"]
    assert reply["completed_steps"][0]["result"]["value"] == 2
    assert stock.ok("retrieve", {"id": f"kept by {way}"})["object"]["value"] == [1]


def test_a_queued_call_is_not_stopped(stock: Stock, interrupt: Interrupt) -> None:
    first = stock.send("call", {"target": "stored.endless.sleep"})
    second = stock.send("call", {"target": "operator.add", "args": [2, 2]})
    stock.until_it_prints(first)
    interrupt()
    assert stock.only_reply(first)["content"]["code"] == "interrupted"
    assert stock.only_reply(second)["content"]["result"]["value"] == 4


def test_an_interrupt_of_an_idle_kernel_stops_nothing_later(stock: Stock, interrupt: Interrupt) -> None:
    interrupt()
    assert stock.call("operator.add", 2, 3) == 5
    reply = stock.run("sum(range(10))")
    assert reply["status"] == "ok"


def test_user_code_may_handle_it(stock: Stock, interrupt: Interrupt) -> None:
    stock.cell(
        "def patient():\n    try: stored.endless.loop()\n    except KeyboardInterrupt: return 'handled'\n"
    )
    msg_id = stock.send("call", {"target": "user.patient"})
    stock.until_it_prints(msg_id)
    interrupt()
    assert stock.only_reply(msg_id)["content"]["result"]["value"] == "handled"


def test_a_cell_between_is_stopped_as_ever(stock: Stock, interrupt: Interrupt) -> None:
    cell = stock.send("execute_request", {"code": "stored.endless.loop()"})
    stock.until_it_prints(cell)
    interrupt()
    assert stock.only_reply(cell)["content"]["ename"] == "KeyboardInterrupt"


def test_many_interrupts(stock: Stock, snake: Client) -> None:
    """Interrupts that come while the reply is made or sent cut nothing."""
    for _ in range(20):
        msg_id = stock.send("call", {"target": "stored.endless.loop"})
        stock.until_it_prints(msg_id)
        for _ in range(5):
            snake.interrupt()
        content: dict[str, Any] = stock.only_reply(msg_id)["content"]
        assert content["code"] == "interrupted"


def test_interrupts_at_any_moment(stock: Stock, snake: Client) -> None:
    """Whatever moment an interrupt strikes, each request gets one reply and the kernel lives."""
    stock.cell("async def soon():\n await asyncio.sleep(0)\n return 1")
    contents = [
        ("call", {"target": "operator.add", "args": [1, 1]}),
        ("call", {"target": "user.soon"}),
        ("call", {"target": "builtins.print", "args": ["x"]}),
        ("pipeline", {"steps": [{"target": "user.soon"}, {"target": "operator.add", "args": [1, 1]}]}),
        ("inspect", {"target": "stored.endless"}),
        ("store", {"id": "x", "value": [1]}),
    ]
    pid = snake.manager.provisioner.pid
    sent = []
    for _ in range(50):
        for op, content in contents:
            sent.append(stock.send(op, content))
            os.kill(pid, signal.SIGINT)
    stock.fence()
    for msg_id in sent:
        (reply,) = stock.replies(msg_id)
        assert reply["content"]["status"] == "ok" or reply["content"]["code"] == "interrupted", reply


PRINTS = '''
import signal, sys

#: Whose lines hold no lock: one that a tracing function breaks into at its end is never given back.
WHERE = ("IOPubThread.", "Thread.", "lives_with.", "Socket.")

def is_struck_at(number):
    """Print, and be interrupted at that line of what publishes it; whether it has so many."""
    left = number
    def traced(frame, event, arg):
        nonlocal left
        if not frame.f_code.co_qualname.startswith(WHERE):
            return None
        if event == "line":
            left -= 1
            if not left:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return traced
    try:
        sys.settrace(traced)
        print(f"<{number}>", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return left <= 0

def struck_everywhere():
    number = 1
    while is_struck_at(number):
        number += 1
    print("<end>", flush=True)
'''


@pytest.mark.parametrize("way", ["cell", "call"])
def test_an_interrupt_of_what_is_published_leaves_no_half_message(stock: Stock, way: str) -> None:
    """Struck at each line of it in turn, the thread that publishes goes on, and alone."""
    stock.cell(PRINTS)
    if way == "cell":
        msg_id = stock.send("execute_request", {"code": "struck_everywhere()"})
    else:
        msg_id = stock.send("call", {"target": "user.struck_everywhere"})
    assert stock.reply(msg_id)["content"]["status"] == "ok"
    # The client refuses what is no whole message.
    texts = [m["content"]["text"] for m in stock.outputs(msg_id) if m["msg_type"] == "stream"]
    *numbers, last = re.findall("<(.*?)>", "".join(texts))
    assert last == "end"
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


SHOWS = PRINTS.replace('print(f"<{number}>", flush=True)', "display(number)").replace(
    'WHERE = ("IOPubThread.", "Thread.", "lives_with.", "Socket.")', 'WHERE = ("KernelSession.", "Session.")'
)


def test_an_interrupt_of_what_a_call_shows_comes_before_or_after_it(stock: Stock) -> None:
    """Each message that the reply counts goes out."""
    stock.cell(f"from IPython.display import display\n{SHOWS}")
    msg_id = stock.send("call", {"target": "user.struck_everywhere"})
    content = stock.reply(msg_id)["content"]
    assert content["status"] == "ok", content
    outputs = stock.outputs(msg_id)
    assert content["output"] == len(outputs)
    assert len([m for m in outputs if m["msg_type"] == "display_data"]) > 10
    assert stock.statuses(msg_id) == ["busy", "idle"]
