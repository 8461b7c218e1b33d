"""What interrupt, cancel and deadline do to a call, wherever it is: each row of the table in the guide."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stock_client import PATIENCE, Stock

from snakekernel import Client
from snakekernel.errors import Cancelled

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

Content = dict[str, Any]

_WAYS = """
import asyncio, collections, hashlib, time
class Ways:
    def __init__(self):
        self.passed, self.last = [], collections.deque(maxlen=1)
    def begun(self):
        print('begun', flush=True)
    def loop(self):
        self.begun()
        while True: pass
    def sleep(self):
        self.begun()
        time.sleep(1000)
    def short_sleep(self):
        self.begun()
        time.sleep(5)
        self.passed.append('short_sleep')
    def native(self):
        self.begun()
        hashlib.pbkdf2_hmac('sha256', b'password', b'salt', 12_000_000)
        self.passed.append('native')
    def native_with_the_interpreter(self):
        self.begun()
        self.last.extend(range(30_000_000))
        while True: time.sleep(0.01)
    async def wait(self):
        self.begun()
        await asyncio.sleep(1000)
    async def loop_in_a_coroutine(self):
        await asyncio.sleep(0)
        self.begun()
        while True: pass
    async def clean_up(self):
        try:
            await self.wait()
        finally:
            await asyncio.sleep(0.01)
            self.passed.append('clean_up')
    def handle(self):
        try: self.sleep()
        except KeyboardInterrupt: return 'handled'
    async def handle_in_a_coroutine(self):
        try: await self.wait()
        # The latter where it does not wait yet.
        except (asyncio.CancelledError, KeyboardInterrupt): return 'handled'
    def stubborn(self):
        until = None
        while True:
            try:
                if until is None:
                    until = time.monotonic() + 1.5
                    self.begun()
                while time.monotonic() < until: time.sleep(0.01)
                return 'ended'
            except KeyboardInterrupt: self.passed.append('stubborn')
    def items(self):
        try:
            while True: yield 1
        finally: self.passed.append('closed')
    async def coroutine_items(self):
        try:
            while True: yield 1
        finally: self.passed.append('closed')
    async def ask(self, function):
        return function(1)
stored.ways = Ways()
"""


@pytest.fixture(scope="module", autouse=True)
def ways(stock: Stock) -> None:
    """Calls that do not end by themselves, or not soon; each says when it has begun."""
    stock.cell(_WAYS)


@pytest.fixture(autouse=True)
def goes_on(stock: Stock) -> Iterator[None]:
    """Whatever was stopped, calls and cells go on."""
    stock.cell("stored.ways.passed.clear()")
    yield
    assert stock.call("operator.add", 1, 2) == 3
    stock.cell("assert 1 + 1 == 2")


def begin(stock: Stock, way: str, subshell: str | None = None, **fields: Any) -> str:
    """Have a way begin."""
    msg_id = stock.send("call", {"target": f"stored.ways.{way}", **fields}, subshell_id=subshell)
    stock.until_it_prints(msg_id)
    return msg_id


def interrupt(stock: Stock) -> None:
    """Interrupt the kernel."""
    stock.reply(stock.send("interrupt_request", channel="control"), channel="control")


def cancel(stock: Stock, msg_id: str) -> str:
    """Cancel a request; returns what became of it."""
    reply = stock.ok("cancel", {"msg_id": msg_id}, channel="control")
    assert reply["cancelled"] is (reply["state"] == "stopped")
    return str(reply["state"])


def passed(stock: Stock) -> list[str]:
    """What ran to its end."""
    return list(stock.ok("retrieve", {"target": "stored.ways.passed"})["object"]["value"])


CODES = {"interrupt": "interrupted", "cancel": "cancelled", "deadline": "deadline"}
HOWS = sorted(CODES)


def stopped(stock: Stock, how: str, way: str, subshell: str | None = None) -> tuple[str, Content]:
    """Stop a way: what the answer to ``cancel`` was, and the call's one reply."""
    msg_id = begin(stock, way, subshell, **({"deadline": 0.3} if how == "deadline" else {}))
    state = ""
    if how == "interrupt":
        interrupt(stock)
    elif how == "cancel":
        state = cancel(stock, msg_id)
    return state, stock.only_reply(msg_id, subshell_id=subshell)["content"]


def stopped_within(stock: Stock, how: str, way: str, subshell: str | None = None) -> tuple[str, Content]:
    """The same, of a way that was past its first line: until then nothing holds up its stop."""
    while True:
        state, reply = stopped(stock, how, way, subshell)
        if "self.begun()" not in "".join(reply["traceback"]):
            return state, reply


class TestOnTheMainThread:
    @pytest.mark.parametrize("how", HOWS)
    @pytest.mark.parametrize("way", ["loop", "sleep", "wait", "loop_in_a_coroutine"])
    def test_python_code_is_stopped_at_once(self, stock: Stock, how: str, way: str) -> None:
        state, reply = stopped(stock, how, way)
        assert (reply["status"], reply["code"], reply["fault"]) == ("error", CODES[how], "caller")
        assert way in "\n".join(reply["traceback"])
        assert state == ("stopped" if how == "cancel" else "")

    @pytest.mark.parametrize("how", HOWS)
    def test_native_code_is_left_when_it_returns(self, stock: Stock, how: str) -> None:
        state, reply = stopped_within(stock, how, "native")
        assert reply["code"] == CODES[how]
        assert state == ("asked" if how == "cancel" else "")
        assert passed(stock) == []

    @pytest.mark.parametrize("how", HOWS)
    def test_native_code_that_holds_the_interpreter(self, stock: Stock, how: str) -> None:
        """Nobody hears of anything between its begin and its return."""
        stock.cell("stored.ways.last.clear()")
        _, reply = stopped(stock, how, "native_with_the_interpreter")
        assert reply["code"] == CODES[how]
        stock.cell("assert list(stored.ways.last) in ([], [29_999_999])")

    @pytest.mark.parametrize("how", HOWS)
    def test_what_is_awaited_cleans_up(self, stock: Stock, how: str) -> None:
        _, reply = stopped(stock, how, "clean_up")
        assert reply["code"] == CODES[how]
        assert passed(stock) == ["clean_up"]

    @pytest.mark.parametrize("how", HOWS)
    @pytest.mark.parametrize("way", ["handle", "handle_in_a_coroutine"])
    def test_code_may_handle_it(self, stock: Stock, how: str, way: str) -> None:
        state, reply = stopped(stock, how, way)
        assert reply["result"]["value"] == "handled"
        assert state == ("over" if how == "cancel" else "")

    @pytest.mark.parametrize("how", HOWS)
    def test_code_may_take_no_notice(self, stock: Stock, how: str) -> None:
        state, reply = stopped(stock, how, "stubborn")
        assert reply["result"]["value"] == "ended"
        assert state == ("asked" if how == "cancel" else "")
        assert passed(stock) == ["stubborn"]

    def test_two_cancels_of_one_call_are_both_told(self, stock: Stock) -> None:
        msg_id = begin(stock, "clean_up")
        asked = [stock.send("cancel", {"msg_id": msg_id}, channel="control") for _ in range(2)]
        states = [stock.reply(one, channel="control")["content"]["state"] for one in asked]
        assert stock.only_reply(msg_id)["content"]["code"] == "cancelled"
        assert "asked" not in states, states


class TestOnASubshell:
    @pytest.mark.parametrize("how", ["cancel", "deadline"])
    @pytest.mark.parametrize("way", ["loop", "wait", "loop_in_a_coroutine"])
    def test_python_code_is_stopped_at_once(self, stock: Stock, subshell: str, how: str, way: str) -> None:
        state, reply = stopped(stock, how, way, subshell)
        assert (reply["status"], reply["code"]) == ("error", CODES[how])
        assert way in "\n".join(reply["traceback"])
        assert state == ("stopped" if how == "cancel" else "")

    @pytest.mark.parametrize("how", ["cancel", "deadline"])
    def test_a_sleep_is_left_when_it_ends(self, stock: Stock, subshell: str, how: str) -> None:
        state, reply = stopped_within(stock, how, "short_sleep", subshell)
        assert reply["code"] == CODES[how]
        assert state == ("asked" if how == "cancel" else "")
        assert passed(stock) == []

    @pytest.mark.parametrize("how", ["cancel", "deadline"])
    @pytest.mark.parametrize("way", ["stubborn", "handle_in_a_coroutine"])
    def test_code_may_handle_it(self, stock: Stock, subshell: str, how: str, way: str) -> None:
        _, reply = stopped(stock, how, way, subshell)
        assert reply["result"]["value"] in ("ended", "handled")

    @pytest.mark.parametrize("how", ["cancel", "deadline"])
    def test_native_code_is_left_when_it_returns(self, stock: Stock, subshell: str, how: str) -> None:
        state, reply = stopped_within(stock, how, "native", subshell)
        assert reply["code"] == CODES[how]
        assert state == ("asked" if how == "cancel" else "")
        assert passed(stock) == []

    def test_an_interrupt_does_not_reach_it(self, stock: Stock, subshell: str) -> None:
        msg_id = begin(stock, "loop", subshell)
        interrupt(stock)
        assert stock.call("operator.add", 1, 2) == 3
        assert not stock.replies(msg_id)
        assert cancel(stock, msg_id) == "stopped"

    def test_the_main_thread_goes_on(self, stock: Stock, subshell: str) -> None:
        main, other = begin(stock, "wait"), begin(stock, "loop", subshell)
        assert cancel(stock, other) == "stopped"
        assert not stock.replies(main)
        assert cancel(stock, main) == "stopped"
        assert stock.only_reply(main)["content"]["code"] == "cancelled"


@pytest.fixture(params=["main", "subshell"])
def queue(request: pytest.FixtureRequest) -> str | None:
    """The queue of the main thread, or of a subshell."""
    return request.getfixturevalue("subshell") if request.param == "subshell" else None


class TestInTheQueue:
    def test_an_interrupt_stops_what_runs(self, stock: Stock) -> None:
        first = begin(stock, "loop")
        second = stock.send("call", {"target": "operator.add", "args": [2, 2]})
        interrupt(stock)
        assert stock.only_reply(first)["content"]["code"] == "interrupted"
        assert stock.only_reply(second)["content"]["result"]["value"] == 4

    @pytest.mark.parametrize("name", ["msg_id", "call_id"])
    def test_cancel_answers_at_once(self, stock: Stock, queue: str | None, name: str) -> None:
        """What runs goes on, and so does what waits behind."""
        first = begin(stock, "loop", queue)
        call_id = f"queued by {name} in {queue}"
        append = {"target": "stored.ways.passed.append", "args": ["ran"], "call_id": call_id}
        second = stock.send("call", append, subshell_id=queue)
        third = stock.send("call", {"target": "operator.add", "args": [2, 2]}, subshell_id=queue)
        named = {"msg_id": second} if name == "msg_id" else {"call_id": call_id}
        assert stock.ok("cancel", named, channel="control")["state"] == "stopped"
        reply = stock.reply(second)["content"]
        assert (reply["status"], reply["code"]) == ("error", "cancelled")
        assert not stock.replies(first)
        assert not stock.replies(third)
        assert cancel(stock, first) == "stopped"
        assert stock.only_reply(third, subshell_id=queue)["content"]["result"]["value"] == 4
        assert len(stock.replies(second)) == 1
        # Its outcome is kept, as any other.
        assert stock.ask("call", append)["code"] == "cancelled"
        assert passed(stock) == []
        stock.cell("stored.ways.passed.clear()")

    def test_behind_a_cell(self, stock: Stock) -> None:
        cell = stock.send("execute_request", {"code": "stored.ways.loop()", "stop_on_error": False})
        stock.until_it_prints(cell)
        queued = stock.send("call", {"target": "operator.add", "args": [2, 2]})
        assert cancel(stock, queued) == "stopped"
        assert stock.reply(queued)["content"]["code"] == "cancelled"
        # The cell is not a call.
        assert cancel(stock, cell) == "unknown"
        interrupt(stock)
        assert stock.reply(cell)["content"]["ename"] == "KeyboardInterrupt"

    def test_a_deadline_is_told_at_once(self, stock: Stock, queue: str | None) -> None:
        first = begin(stock, "loop", queue)
        fields = {"target": "stored.ways.passed.append", "args": ["ran"], "deadline": 0.05}
        second = stock.send("call", fields, subshell_id=queue)
        steps = {"steps": [fields], "deadline": 0.05}
        third = stock.send("pipeline", steps, subshell_id=queue)
        for queued in (second, third):
            reply = stock.reply(queued)["content"]
            assert (reply["status"], reply["code"]) == ("error", "deadline")
        assert not stock.replies(first)
        assert cancel(stock, first) == "stopped"
        stock.fence(subshell_id=queue)
        assert [len(stock.replies(one)) for one in (first, second, third)] == [1, 1, 1]
        assert passed(stock) == []

    def test_a_deadline_counts_from_receipt(self, stock: Stock) -> None:
        """What waited for most of its time has little left."""
        first = begin(stock, "short_sleep")
        second = stock.send("call", {"target": "stored.ways.sleep", "deadline": 3})
        assert stock.reply(first)["content"]["status"] == "ok"
        assert stock.only_reply(second)["content"]["code"] == "deadline"


class TestWhileItWaitsForItsClient:
    """A producer without credit, and a call of a client's function."""

    @pytest.fixture(params=["items", "coroutine_items", "function", "function_in_a_coroutine"])
    def request_of(self, request: pytest.FixtureRequest) -> Content:
        """A request that waits for its client."""
        if request.param.endswith("items"):
            return {"target": f"stored.ways.{request.param}", "stream": {"credit": 1}}
        if request.param == "function":
            return {"target": "functools.reduce", "args": [{"$callback": "f"}, [1, 2]]}
        return {"target": "stored.ways.ask", "args": [{"$callback": "f"}]}

    @staticmethod
    def begun(stock: Stock, content: Content, subshell: str | None) -> str:
        """Send it; it waits when its first message has come."""
        msg_id = stock.send("call", content, subshell_id=subshell)

        def has_come() -> bool:
            return any(
                m["msg_type"] in ("snake_item", "snake_callback_request")
                and m["parent_header"]["msg_id"] == msg_id
                for m in stock.messages["shell"]
            )

        stock.until(has_come, "a message beside the reply")
        return msg_id

    @pytest.mark.parametrize("how", HOWS)
    def test_on_the_main_thread(self, stock: Stock, request_of: Content, how: str) -> None:
        if how == "deadline":
            request_of["deadline"] = 0.5
        msg_id = self.begun(stock, request_of, None)
        if how == "interrupt":
            interrupt(stock)
        elif how == "cancel":
            assert cancel(stock, msg_id) == "stopped"
        assert stock.only_reply(msg_id)["content"]["code"] == CODES[how]
        assert passed(stock) == (["closed"] if "stream" in request_of else [])

    @pytest.mark.parametrize("how", ["cancel", "deadline"])
    def test_on_a_subshell(self, stock: Stock, subshell: str, request_of: Content, how: str) -> None:
        if how == "deadline":
            request_of["deadline"] = 0.5
        msg_id = self.begun(stock, request_of, subshell)
        if how == "cancel":
            assert cancel(stock, msg_id) == "stopped"
        assert stock.only_reply(msg_id, subshell_id=subshell)["content"]["code"] == CODES[how]
        assert passed(stock) == (["closed"] if "stream" in request_of else [])

    def test_a_request_within_a_function(self, stock: Stock, subshell: str) -> None:
        """It is stopped by itself, and so is the call around it, on each kind of thread."""
        for place in (None, subshell):
            for inner_first in (True, False):
                content = {"target": "functools.reduce", "args": [{"$callback": "f"}, [1, 2]]}
                outer = self.begun(stock, content, place)
                asked = next(
                    m["content"]["callback_call"]
                    for m in stock.messages["shell"]
                    if m["msg_type"] == "snake_callback_request" and m["parent_header"]["msg_id"] == outer
                )
                within = {"target": "stored.ways.loop", "callback_call": asked}
                inner = stock.send("call", within, channel="control")
                stock.until_it_prints(inner)
                if inner_first:
                    assert cancel(stock, inner) == "stopped"
                    assert cancel(stock, outer) == "stopped"
                else:
                    assert cancel(stock, outer) == "asked"
                    assert cancel(stock, inner) == "stopped"
                replies = [stock.reply(outer), stock.reply(inner, channel="control")]
                assert [reply["content"]["code"] for reply in replies] == ["cancelled"] * 2


class TestConcurrent:
    def test_one_of_many(self, stock: Stock) -> None:
        waiting = [begin(stock, "wait", concurrent=True) for _ in range(3)]
        assert cancel(stock, waiting[1]) == "stopped"
        assert stock.reply(waiting[1])["content"]["code"] == "cancelled"
        timed = stock.send("call", {"target": "stored.ways.wait", "concurrent": True, "deadline": 0.1})
        assert stock.reply(timed)["content"]["code"] == "deadline"
        assert not stock.replies(waiting[0]) + stock.replies(waiting[2])
        for msg_id in waiting[::2]:
            assert cancel(stock, msg_id) == "stopped"
            assert stock.only_reply(msg_id)["content"]["code"] == "cancelled"

    def test_while_another_runs(self, stock: Stock) -> None:
        """What waits beside is stopped, and what runs goes on."""
        waiting, looping = begin(stock, "wait", concurrent=True), begin(stock, "stubborn")
        assert cancel(stock, waiting) == "asked"
        assert stock.reply(looping)["content"]["result"]["value"] == "ended"
        assert passed(stock) == []
        assert stock.only_reply(waiting)["content"]["code"] == "cancelled"


class TestDeadlines:
    def test_in_time(self, stock: Stock) -> None:
        reply = stock.ok("call", {"target": "operator.add", "args": [1, 2], "deadline": 60})
        assert reply["result"]["value"] == 3

    def test_of_a_pipeline(self, stock: Stock) -> None:
        steps = [{"target": "operator.add", "args": [1, 1]}, {"target": "stored.ways.loop"}]
        content = {"steps": steps, "stop_on_error": False, "deadline": 0.2}
        reply = stock.fails("pipeline", content)
        assert (reply["code"], reply["step"], len(reply["completed_steps"])) == ("deadline", 1, 1)

    def test_of_a_step(self, stock: Stock) -> None:
        steps = [
            {"target": "operator.add", "args": [1, 1], "deadline": 30},
            {"target": "stored.ways.loop", "deadline": 0.2},
            {"target": "operator.add", "args": [1, 1]},
        ]
        reply = stock.fails("pipeline", {"steps": steps, "stop_on_error": False})
        assert (reply["code"], reply["step"]) == ("deadline", 1)

    @pytest.mark.parametrize("queued", [False, True])
    def test_a_pipeline_ends_where_a_step_took_no_notice(self, stock: Stock, queued: bool) -> None:
        steps = [{"target": "stored.ways.handle"}, {"target": "stored.ways.passed.append", "args": ["ran"]}]
        blocker = begin(stock, "loop") if queued else None
        msg_id = stock.send("pipeline", {"steps": steps, "stop_on_error": False})
        if blocker is not None:
            cancel(stock, blocker)
        stock.until_it_prints(msg_id)
        assert cancel(stock, msg_id) == "stopped"
        reply = stock.only_reply(msg_id)["content"]
        assert (reply["code"], reply["step"]) == ("cancelled", 1)
        assert reply["completed_steps"][0]["result"]["value"] == "handled"
        assert passed(stock) == []


class TestWhoseItIs:
    def test_another_client_cannot(self, stock: Stock, other_stock: Stock) -> None:
        msg_id = begin(stock, "wait", call_id="mine")
        for named in ({"msg_id": msg_id}, {"call_id": "mine"}):
            assert other_stock.ok("cancel", named, channel="control")["state"] == "unknown"
        assert not stock.replies(msg_id)
        assert stock.ok("cancel", {"call_id": "mine"}, channel="control")["state"] == "stopped"
        assert stock.only_reply(msg_id)["content"]["code"] == "cancelled"

    def test_two_clients_at_once(self, stock: Stock, other_stock: Stock, subshell: str) -> None:
        """Each stops its own, on different threads, while the other's goes on."""
        mine, theirs = begin(stock, "loop"), begin(other_stock, "loop", subshell)
        assert cancel(stock, mine) == "stopped"
        assert not other_stock.replies(theirs)
        assert stock.call("operator.add", 1, 2) == 3
        assert cancel(other_stock, theirs) == "stopped"
        assert other_stock.only_reply(theirs, subshell_id=subshell)["content"]["code"] == "cancelled"

    def test_what_is_over_or_never_was(self, stock: Stock) -> None:
        msg_id = stock.send("call", {"target": "operator.add", "args": [1, 2]})
        stock.reply(msg_id)
        # Its end may not be through yet when its reply is here.
        assert cancel(stock, msg_id) in ("over", "unknown")
        assert cancel(stock, "never sent") == "unknown"

    def test_on_shell_it_stops_a_subshells(self, stock: Stock, subshell: str) -> None:
        msg_id = begin(stock, "loop", subshell)
        assert stock.ok("cancel", {"msg_id": msg_id})["state"] == "stopped"


@pytest.fixture(scope="module")
def other_stock(snake: Any) -> Iterator[Stock]:
    """A second stock client of the module's kernel."""
    client = Stock(snake.manager.get_connection_info())
    yield client
    client.close()


def test_what_just_begins_to_wait(stock: Stock, snake: Client) -> None:
    """A signal that comes a moment before native code waits is not heard by it, and sent again."""
    for _ in range(600):
        future = snake.submit("stored.ways.sleep")
        assert snake.cancel(future) == "stopped"
        with pytest.raises(Cancelled):
            future.result(PATIENCE)


@pytest.mark.timeout(180)
def test_a_storm_of_cancels_hits_nobody_else(fresh_kernel: Callable[..., Any]) -> None:
    """Two clients call on the main thread and on a subshell, and cancel at random.

    Every request gets one reply; those that were not cancelled are right; what was stopped says so.
    """
    client, stock = fresh_kernel()
    made = stock.send("create_subshell_request", channel="control")
    subshell = stock.reply(made, channel="control")["content"]["subshell_id"]
    stock.cell("import asyncio, time\nasync def soon(n):\n await asyncio.sleep(0)\n return n")
    contents: list[Callable[[int], Content]] = [
        lambda n: {"target": "operator.add", "args": [n, 0]},
        lambda n: {"target": "user.soon", "args": [n]},
        lambda n: {"target": "builtins.max", "args": [[n] * 200]},
        lambda n: {"target": "builtins.int", "args": [n], "deadline": 100},
    ]
    failures: list[str] = []

    def storm(seed: int, subshell_id: str | None) -> None:
        dice = random.Random(seed)
        mine = Stock(client.manager.get_connection_info())
        try:
            sent: dict[str, int] = {}
            cancels: dict[str, str] = {}
            for number in range(400):
                msg_id = mine.send("call", dice.choice(contents)(number), subshell_id=subshell_id)
                sent[msg_id] = number
                if dice.random() < 0.3:
                    victim = dice.choice(list(sent)[-3:])
                    cancels[mine.send("cancel", {"msg_id": victim}, channel="control")] = victim
                if dice.random() < 0.1:
                    mine.reply(msg_id)
            states = {}
            for asked, victim in cancels.items():
                states.setdefault(victim, set()).add(
                    mine.only_reply(asked, channel="control")["content"]["state"]
                )
            for msg_id, number in sent.items():
                content = mine.reply(msg_id)["content"]
                right = content["status"] == "ok" and content["result"]["value"] == number
                if "stopped" in states.get(msg_id, ()):
                    right = content.get("code") == "cancelled"
                elif content.get("code") == "cancelled":
                    right = msg_id in states
                if not right:
                    failures.append(f"{states.get(msg_id)}: {content}")
            mine.fence(subshell_id=subshell_id)
            failures.extend(m for m in sent if len(mine.replies(m)) != 1)
        except BaseException as error:
            failures.append(repr(error))
            raise
        finally:
            mine.close()

    places = [(1, None), (2, None), (3, subshell)]
    threads = [threading.Thread(target=storm, args=place) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures
    assert stock.call("operator.add", 2, 3) == 5
