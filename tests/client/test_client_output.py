"""What a call prints, shows and reports reaches the caller: in order, before the result, and no other's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from stock_client import PATIENCE, Stock

import snakekernel
from snakekernel import AsyncClient, Client, Output
from snakekernel.client.output import output_of
from snakekernel.errors import InvalidRequest, OutcomeUnknown, ReplyTimeout

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", autouse=True)
def noisy(stock: Stock) -> None:
    """Functions that put something out."""
    stock.cell(
        "import asyncio, os, sys, threading, time\n"
        "import snakekernel\n"
        "from IPython.display import HTML, display, update_display\n"
        "def says(*words):\n"
        "    for word in words: print(word, flush=True)\n"
        "    return len(words)\n"
        "def shows():\n"
        "    sys.stdout.write('one\\n'); sys.stdout.flush()\n"
        "    sys.stderr.write('two\\n'); sys.stderr.flush()\n"
        "    display(HTML('<b>three</b>'), display_id='x')\n"
        "    update_display(HTML('<b>four</b>'), display_id='x')\n"
        "def fails():\n"
        "    print('before'); 1 / 0\n"
        "def many(n):\n"
        "    for i in range(n): display(i)\n"
        "def from_threads(n):\n"
        "    def say(i): sys.stdout.write(f'thread {i}\\n')\n"
        "    threads = [threading.Thread(target=say, args=[i]) for i in range(n)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join()\n"
        "told = threading.Event()\n"
        "def asks_first():\n"
        "    print('ready', flush=True)\n"
        "    return told.wait(60)\n"
        "def counts(n, text='counting'):\n"
        "    for _ in snakekernel.progress(range(n), text=text): pass\n"
        "def counts_in_steps():\n"
        "    bar = snakekernel.progress(total=10, text='steps')\n"
        "    for _ in range(3): bar.update(3)\n"
        "def counts_in_a_thread(n):\n"
        "    thread = threading.Thread(target=counts, args=[n]); thread.start(); thread.join()\n"
        "async def counts_while_it_awaits(n):\n"
        "    for _ in snakekernel.progress(range(n), text='awaiting'): await asyncio.sleep(0)\n"
        "def with_tqdm_by_position():\n"
        "    import sys, tqdm\n"
        "    for _ in tqdm.tqdm([1, 2], 'placed', 2, True, sys.stderr): pass\n"
        "def with_tqdm(module, n):\n"
        "    import importlib\n"
        "    tqdm = importlib.import_module(module).tqdm\n"
        "    for _ in tqdm(range(n), desc='bars'): pass\n"
        "    with tqdm(total=7) as bar:\n"
        "        bar.update(3); bar.set_postfix(loss=1); bar.reset(total=9); bar.update(9)\n"
    )


def texts(outputs: list[Output]) -> str:
    """All that was written."""
    return "".join(output.text for output in outputs if output.kind in ("stdout", "stderr"))


def test_output_comes_in_order_before_the_result(snake: Client) -> None:
    heard: list[Output] = []
    assert snake.call("user.says", args=["a", "b"], on_output=heard.append) == 2
    assert texts(heard) == "a\nb\n"
    heard.clear()
    snake.call("user.shows", on_output=heard.append)
    assert [(o.kind, o.text) for o in heard[:2]] == [("stdout", "one\n"), ("stderr", "two\n")]
    assert [o.kind for o in heard[2:]] == ["display", "update"]
    assert heard[2].data["text/html"] == "<b>three</b>"
    assert heard[2].id == heard[3].id == "x"


def test_logs_warnings_and_figures(snake: Client, stock: Stock) -> None:
    stock.cell(
        "import logging, warnings\n"
        "def tells_all():\n"
        "    logging.getLogger('told').warning('logged')\n"
        "    warnings.warn('warned')\n"
        "    from matplotlib import pyplot\n"
        "    pyplot.plot([1, 2]); pyplot.show()\n"
    )
    heard: list[Output] = []
    snake.call("user.tells_all", on_output=heard.append)
    assert "logged" in texts(heard)
    assert "UserWarning: warned" in texts(heard)
    assert [output.kind for output in heard if "image/png" in output.data] == ["display"]


def test_a_failing_call_tells_what_it_said_before(snake: Client) -> None:
    heard: list[Output] = []
    with pytest.raises(ZeroDivisionError):
        snake.call("user.fails", on_output=heard.append)
    assert texts(heard) == "before\n"


def test_it_comes_while_the_call_runs(snake: Client, stock: Stock) -> None:
    """The call goes on only once its output was seen."""
    stock.call("user.told.clear")

    def go_on(output: Output) -> None:
        stock.reply(stock.send("execute_request", {"code": "told.set()"}, subshell_id=subshell_id))

    made = stock.send("create_subshell_request", channel="control")
    subshell_id = stock.reply(made, channel="control")["content"]["subshell_id"]
    try:
        assert snake.call("user.asks_first", on_output=go_on) is True
    finally:
        stock.send("delete_subshell_request", {"subshell_id": subshell_id}, channel="control")


def test_none_is_lost_of_many(snake: Client) -> None:
    heard: list[Output] = []
    for _ in range(3):
        snake.call("user.many", args=[200], on_output=heard.append)
    assert [o.text for o in heard] == [str(i) for i in range(200)] * 3


def test_output_of_threads_that_the_call_starts(snake: Client) -> None:
    heard: list[Output] = []
    snake.call("user.from_threads", args=[5], on_output=heard.append)
    assert sorted(texts(heard).split("\n")) == ["", *(f"thread {i}" for i in range(5))]


def test_a_future_tells_who_asks_for_its_result(snake: Client) -> None:
    heard: dict[int, list[Output]] = {n: [] for n in range(5)}
    futures = [snake.submit("user.says", args=[f"future {n}"], on_output=heard[n].append) for n in range(5)]
    for n, future in reversed(list(enumerate(futures))):
        assert future.result() == future.result() == 1
        assert texts(heard[n]) == f"future {n}\n"


def test_two_clients_and_many_threads_at_once_see_their_own(snake: Client) -> None:
    start = threading.Barrier(4)

    def work(number: int) -> None:
        client = snake if number % 2 else other
        start.wait(PATIENCE)
        for i in range(20):
            heard: list[Output] = []
            client.call("user.says", args=[f"{number} {i}"], on_output=heard.append)
            assert texts(heard) == f"{number} {i}\n"

    with snakekernel.connect(snake.connection_file) as other, ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


async def test_the_async_client_hears_too(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        heard: dict[str, list[str]] = {name: [] for name in "abc"}

        async def hear(name: str) -> int:
            async def on_output(output: Output) -> None:
                # Awaited: the next comes after it.
                await asyncio.sleep(0)
                heard[name].append(output.text)

            return int(await client.call("user.says", args=[name, name], on_output=on_output))

        assert await asyncio.gather(*map(hear, heard)) == [2, 2, 2]
        assert {name: "".join(said) for name, said in heard.items()} == {n: f"{n}\n" * 2 for n in "abc"}
        outputs: list[Output] = []
        task = client.submit("user.shows", on_output=outputs.append)
        await task
        assert [o.kind for o in outputs] == ["stdout", "stderr", "display", "update"]
        with pytest.raises(ReplyTimeout):
            await client.call("time.sleep", args=[0.5], on_output=outputs.append, timeout=0.05)
        assert await client.call("math.sqrt", args=[4], on_output=outputs.append) == 2


def test_a_callbacks_exception_ends_the_waiting(snake: Client) -> None:
    def refuse(output: Output) -> None:
        raise LookupError(output.text)

    with pytest.raises(LookupError, match="x"):
        snake.call("user.says", args=["x"], on_output=refuse)
    heard: list[Output] = []
    assert snake.call("user.says", args=["y"], on_output=heard.append) == 1
    assert texts(heard) == "y\n"


def test_a_callback_may_use_the_client(snake: Client) -> None:
    lengths: list[int] = []
    snake.call(
        "user.says",
        args=["abc"],
        on_output=lambda o: lengths.append(snake.call("builtins.len", args=[o.text])),
    )
    assert sum(lengths) == 4


def test_timeouts_end_it_and_the_client_serves_on(snake: Client) -> None:
    with pytest.raises(ReplyTimeout):
        snake.call("time.sleep", args=[0.5], on_output=print, timeout=0.05)
    assert snake.call("math.sqrt", args=[9], on_output=print, timeout=PATIENCE) == 3


def test_nothing_is_gathered_while_nobody_listens(snake: Client) -> None:
    snake.call("user.says", args=["x"], on_output=lambda output: None)
    listening = snake._link.listening
    assert listening is not None
    assert listening._topic is None
    assert not listening._ears


def test_a_lost_kernel_ends_it(fresh_kernel: Callable[..., tuple[Client, Stock]]) -> None:
    client, _ = fresh_kernel()
    heard: list[Output] = []
    future = client.submit("os._exit", args=[1], on_output=heard.append)
    with pytest.raises(OutcomeUnknown):
        future.result(PATIENCE)


def test_after_a_restart_output_is_heard_again(fresh_kernel: Callable[..., tuple[Client, Stock]]) -> None:
    client, _ = fresh_kernel()
    heard: list[Output] = []
    for _ in range(2):
        client.call("builtins.print", args=["hello"], on_output=heard.append)
        assert texts(heard) == "hello\n"
        heard.clear()
        client.manager.restart_kernel(now=True)
        while True:
            try:
                client.ping(timeout=1)
                break
            except (OutcomeUnknown, ReplyTimeout):
                continue


def test_a_batch_has_no_output_of_its_own(snake: Client) -> None:
    with pytest.raises(InvalidRequest), snake.batch() as batch:
        batch.call("user.says", args=["x"], on_output=print)


@pytest.mark.parametrize(
    ("target", "args", "last"),
    [
        ("user.counts", [1000], (1000, 1000, "counting")),
        ("user.counts", [0], (0, 0, "counting")),
        ("user.counts_in_steps", [], (9, 10, "steps")),
        ("user.counts_in_a_thread", [5], (5, 5, "counting")),
        ("user.counts_while_it_awaits", [5], (5, 5, "awaiting")),
        ("user.with_tqdm", ["tqdm", 5], (9, 9, "loss=1")),
        ("user.with_tqdm", ["tqdm.auto", 5], (9, 9, "loss=1")),
        ("user.with_tqdm", ["tqdm.notebook", 5], (9, 9, "loss=1")),
        ("user.with_tqdm", ["tqdm.asyncio", 5], (9, 9, "loss=1")),
        ("user.with_tqdm_by_position", [], (2, 2, "placed")),
    ],
)
def test_progress_reaches_the_caller(snake: Client, target: str, args: list[Any], last: Any) -> None:
    told: list[tuple[int, int, str]] = []
    heard: list[Output] = []
    snake.call(target, args=args, on_progress=lambda *said: told.append(said), on_output=heard.append)
    assert told[-1] == last
    assert len(told) == len(set(told))
    assert not heard, "a bar was written"
    if target == "user.with_tqdm":
        assert (5, 5, "bars") in told


def test_progress_is_told_to_the_call_that_makes_it(snake: Client) -> None:
    told: list[tuple[int, int, str]] = []
    with snakekernel.connect(snake.connection_file) as other:
        future = other.submit("user.counts", args=[3, "theirs"])
        snake.call("user.counts", args=[3, "mine"], on_progress=lambda *said: told.append(said))
        future.result()
    assert {text for _, _, text in told} == {"mine"}


def test_cells_show_progress_as_bars_and_tqdm_as_ever(stock: Stock) -> None:
    msg_id = stock.send("execute_request", {"code": "counts(5, '<b>')"})
    stock.reply(msg_id)
    shown = [m for m in stock.outputs(msg_id) if m["msg_type"] in ("display_data", "update_display_data")]
    assert shown[-1]["content"]["data"]["text/plain"].endswith("5/5")
    assert "&lt;b&gt; 5/5" in shown[-1]["content"]["data"]["text/html"]
    assert len({m["content"]["transient"]["display_id"] for m in shown}) == 1
    msg_id = stock.send("execute_request", {"code": "with_tqdm('tqdm', 3)"})
    stock.reply(msg_id)
    written = "".join(m["content"].get("text", "") for m in stock.outputs(msg_id))
    assert "bars: 100%" in written


def test_true_shows_it_here(snake: Client, capsys: pytest.CaptureFixture[str]) -> None:
    snake.call("user.shows", on_output=True, on_progress=True)
    shown = capsys.readouterr()
    assert shown.out.startswith("one\n")
    assert shown.err == "two\n"


def test_messages_that_are_no_output() -> None:
    assert output_of("comm_msg", b"{}") is None
    error = output_of("error", b'{"traceback": ["a", "b"]}')
    assert error is not None
    assert (error.kind, error.text) == ("error", "a\nb")
    shown = output_of("execute_result", b'{"data": {"text/plain": ["a\\n", "b"]}}')
    assert shown == Output("result", "a\nb", {"text/plain": ["a\n", "b"]})


def test_calls_that_call_back_and_calls_on_lanes_are_heard(snake: Client) -> None:
    heard: list[Output] = []

    def double(number: int) -> int:
        # From inside of a function the client may be asked, and heard, too.
        assert snake.call("user.says", args=["inside"], on_output=heard.append) == 1
        return 2 * number

    made = snake.call("builtins.map", args=[double, [1, 2]], returns="ref")
    assert snake.call("builtins.list", args=[made], on_output=heard.append) == [2, 4]
    assert texts(heard) == "inside\ninside\n"
    heard.clear()
    with snake.parallel(2) as lanes:
        futures = [lanes.submit("user.says", args=["beside"], on_output=heard.append) for _ in range(4)]
        assert [future.result() for future in futures] == [1] * 4
        assert lanes.call("user.says", args=["beside"], on_output=heard.append) == 1
    assert texts(heard) == "beside\n" * 5


async def test_calls_at_once_on_one_loop_have_their_own(snake: Client, stock: Stock) -> None:
    stock.cell(
        "async def in_turns(name):\n"
        "    for n in range(5):\n"
        "        print(name, n); await asyncio.sleep(0.01)\n"
    )
    async with AsyncClient.connect(snake.connection_file) as client:
        heard: dict[str, list[Output]] = {name: [] for name in "abc"}
        calls = [client.call("user.in_turns", args=[n], on_output=heard[n].append) for n in heard]
        await asyncio.gather(*calls)
    for name, outputs in heard.items():
        assert texts(outputs) == "".join(f"{name} {n}\n" for n in range(5))


def test_a_streams_output_is_heard(snake: Client, stock: Stock) -> None:
    stock.cell(
        "def produces(n):\n"
        "    for i in snakekernel.progress(range(n), text='producing'):\n"
        "        print('made', i); yield i\n"
        "    print('over')\n"
    )
    heard: list[Output] = []
    told: list[tuple[int, int, str]] = []
    listens: dict[str, Any] = {"on_output": heard.append, "on_progress": lambda *said: told.append(said)}
    assert list(snake.stream("user.produces", args=[5], **listens)) == [0, 1, 2, 3, 4]
    assert texts(heard) == "".join(f"made {i}\n" for i in range(5)) + "over\n"
    assert told[-1] == (5, 5, "producing")
    with snake.stream("user.produces", args=[1000], credit=1, **listens) as stream:
        assert next(stream) == 0
    assert snake.call("math.sqrt", args=[4], on_output=heard.append) == 2


def test_a_function_that_fails_cancels_the_stream(snake: Client, stock: Stock) -> None:
    stock.cell("def sleeps_between():\n    print('asleep', flush=True); yield 0; time.sleep(60)\n")

    def fail(output: Output) -> None:
        raise LookupError(output.text)

    stream = snake.stream("user.sleeps_between", on_output=fail)
    with pytest.raises(LookupError, match="asleep"):
        for _ in stream:
            pass
    assert stream.closed
    assert snake.call("math.isqrt", args=[49], timeout=30) == 7


async def test_an_async_streams_output_is_heard(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        heard: list[Output] = []
        made = [item async for item in client.stream("user.produces", args=[5], on_output=heard.append)]
        assert made == [0, 1, 2, 3, 4]
        assert texts(heard).endswith("made 4\nover\n")
        async with client.stream("user.produces", args=[1000], credit=1, on_output=heard.append):
            pass
        assert await client.call("math.sqrt", args=[4]) == 2


def test_what_nobody_hears_any_more_is_cancelled(snake: Client, stock: Stock) -> None:
    stock.cell(
        "ended = []\n"
        "def waits():\n"
        "    print('ready', flush=True)\n"
        "    try: time.sleep(100)\n"
        "    finally: ended.append(1)\n"
    )

    def refuse(output: Output) -> None:
        raise LookupError(output.text)

    with pytest.raises(ReplyTimeout):
        snake.call("user.waits", on_output=lambda output: None, timeout=0.2)
    with pytest.raises(LookupError):
        snake.call("user.waits", on_output=refuse)
    assert snake.call("user.ended", timeout=PATIENCE) == [1, 1]
