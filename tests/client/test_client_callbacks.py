"""Functions of our clients that the kernel calls: where they run, what crosses, and that nothing is left."""

from __future__ import annotations

import asyncio
import functools
import gc
import operator
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import snakekernel
from snakekernel import AsyncClient, Client
from snakekernel.client.calls_back import _Listening
from snakekernel.client.payload import whole
from snakekernel.demo.lm_server import LMServer
from snakekernel.errors import KernelLost, RemoteError, ReplyTimeout, Unserializable

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

CODE = """
import asyncio, concurrent.futures, threading, time
def apply(f, *args, **kwargs): return f(*args, **kwargs)
def apply_and_wait(f):
    f()
    time.sleep(60)
def in_threads(f, n):
    with concurrent.futures.ThreadPoolExecutor(n) as pool: return list(pool.map(f, range(n)))
async def in_coroutine(f, *args): return f(*args)
async def awaited(f, *args): return await f(*args)
async def gathered(f, n): return await asyncio.gather(*(f(i) for i in range(n)))
async def slept(x):
    await asyncio.sleep(0.01)
    return x
def caught(f):
    try: f()
    except Exception as error: return type(error).__name__, isinstance(error, ValueError), error.__notes__
def later(f, *args): threading.Timer(0.1, f, args).start()
def apply_object(f): return f(object())
def same(f, g): return f is g
def named(f): return f.__name__, f.__doc__
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    (folder / "lent_to.py").write_text(CODE)
    return folder


@pytest.fixture(scope="module")
def snake(folder: Path) -> Iterator[Client]:
    with snakekernel.start(env={**os.environ, "PYTHONPATH": str(folder)}) as client:
        yield client


def call(snake: Client, name: str, *args: Any, **options: Any) -> Any:
    return snake.call(f"lent_to.{name}", args=args, **options)


def until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_functions_of_any_kind(snake: Client) -> None:
    class Adder:
        def __init__(self, n: int) -> None:
            self.n = n

        def __call__(self, x: int) -> int:
            return x + self.n

        def add(self, x: int) -> int:
            return x + self.n

    class Unhashable(Adder):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError("nobody compares it")

    for function in (
        lambda x: x + 1,
        Adder(1),
        Adder(1).add,
        Unhashable(1),
        functools.partial(operator.add, 1),
        (1).__add__,
    ):
        assert call(snake, "apply", function, 2) == 3
    assert call(snake, "apply", len, [1, 2]) == 2
    assert call(snake, "apply", {"f": 1}.get, "f") == 1


def test_classes_and_objects_that_cannot_be_called_are_none(snake: Client) -> None:
    for value in (int, object(), type, snake.modules.math.sqrt):
        with pytest.raises(Unserializable):
            call(snake, "apply", value, 1)
    with pytest.raises(Unserializable):
        call(snake, "apply", lambda: 0, object())
    until_forgotten(snake)


def test_arguments_and_results_are_any_values(snake: Client) -> None:
    array = np.arange(200_000.0)
    assert np.array_equal(call(snake, "apply", lambda x, y: x * y, array, 2.0), array * 2)
    frame = pd.DataFrame({"a": [1, 2]})
    assert call(snake, "apply", lambda f: f.assign(b=f["a"] * 2), frame)["b"].tolist() == [2, 4]
    assert call(snake, "apply", lambda *a, **k: (a, k), 1, kwargs={"x": {2}}) == ((1,), {"x": {2}})
    # A function that is given back is itself; one that is returned is lent in turn.
    assert call(snake, "apply", lambda f, x: f(x), lambda x: x * 3, 4) == 12
    assert call(snake, "apply", lambda: lambda x: x, returns="none") is None


def test_what_has_no_value_is_a_remote_object(snake: Client) -> None:
    seen: list[Any] = []

    def look(thing: Any) -> Any:
        seen.append(thing)
        return snake.call("builtins.repr", args=[thing])

    assert call(snake, "apply_object", look).startswith("<object object at")
    assert snake.call("builtins.repr", args=[seen[0]]).startswith("<object object at")
    assert call(snake, "apply_object", lambda thing: thing.__class__ and 1) == 1


def test_a_remote_object_is_a_result(snake: Client) -> None:
    names = snake.call("builtins.list", args=[["a"]], returns="ref")
    assert call(snake, "apply", lambda: names) == ["a"]
    assert call(snake, "apply", lambda: names, returns="ref").append("b") is None
    assert names.fetch() == ["a", "b"]


def test_a_function_is_one_object_as_long_as_it_lives_there(snake: Client) -> None:
    class Here:
        def method(self) -> None: ...

    here = Here()
    assert call(snake, "same", here.method, here.method) is True
    assert call(snake, "same", here.method, Here().method) is False
    snake.call("builtins.list", args=[[here.method]], store_as="kept")
    assert call(snake, "same", snake.stored.kept[0], here.method) is True
    snake.delete_stored("kept")
    until_forgotten(snake)


def until_forgotten(snake: Client) -> None:
    functions = snake._link.functions

    def forgotten() -> bool:
        snake.ping()
        functions.tidy()
        return not functions.any

    until(forgotten, "functions are kept")


def test_nothing_is_kept_after_many_calls(snake: Client) -> None:
    class Tracked:
        alive = 0

        def __init__(self) -> None:
            Tracked.alive += 1

        def __del__(self) -> None:
            Tracked.alive -= 1

        def __call__(self, x: int) -> int:
            return x

    for n in range(300):
        assert call(snake, "apply", Tracked(), n) == n
    futures = [snake.submit("lent_to.apply", args=[Tracked(), n]) for n in range(50)]
    assert [future.result() for future in futures] == list(range(50))
    for content in ({"target": "no.such"}, {"target": "builtins.len", "string_refs": 3}):
        with pytest.raises(snakekernel.errors.SnakeError):
            snake.call(content["target"], args=[Tracked()], kwargs={"x": 1})
    with snake.batch() as batch:
        items = [batch.call("lent_to.apply", args=[Tracked(), n]) for n in range(20)]
    assert [item.result() for item in items] == list(range(20))
    with pytest.raises(ZeroDivisionError), snake.batch() as batch:
        batch.call("lent_to.apply", args=[Tracked(), 1])
        raise ZeroDivisionError
    until_forgotten(snake)
    gc.collect()
    assert Tracked.alive == 0


class TestThreads:
    def test_the_thread_that_waits_runs_it(self, snake: Client) -> None:
        here = threading.get_ident()
        assert call(snake, "apply", lambda: threading.get_ident() == here) is True
        with ThreadPoolExecutor(4) as pool:
            idents = pool.map(
                lambda _: call(snake, "apply", threading.get_ident) == threading.get_ident(), range(8)
            )
            assert all(idents)

    def test_from_worker_threads_of_the_kernel_at_once(self, snake: Client) -> None:
        together = threading.Barrier(4)

        def meet(n: int) -> int:
            together.wait(30)
            return n

        assert call(snake, "in_threads", meet, 4) == [0, 1, 2, 3]

    def test_for_a_call_that_nobody_waits_for(self, snake: Client) -> None:
        done = threading.Event()
        future = snake.submit("lent_to.apply", args=[done.set])
        assert done.wait(30)
        assert future.result() is None

    def test_after_the_call(self, snake: Client) -> None:
        done = threading.Event()
        call(snake, "later", done.set)
        assert done.wait(30)

    def test_another_client_calls_what_is_stored(self, snake: Client) -> None:
        tools = {"double": lambda x: 2 * x}
        snake.store("tools", tools)
        with snakekernel.connect(snake.connection_file) as other:
            assert other.call(["stored", "tools", "double"], args=[21]) == 42
            with ThreadPoolExecutor(2) as pool:
                ours = pool.submit(lambda: [call(snake, "apply", lambda x: x + 1, n) for n in range(50)])
                theirs = pool.submit(
                    lambda: [other.call("lent_to.apply", args=[lambda x: x * 2, n]) for n in range(50)]
                )
                assert ours.result() == [n + 1 for n in range(50)]
                assert theirs.result() == [n * 2 for n in range(50)]
        snake.delete_stored("tools")

    def test_its_threads_end_with_the_client(self, snake: Client) -> None:
        with snakekernel.connect(snake.connection_file) as other:
            other.store("f", lambda: 1)
            assert snake.call("stored.f") == 1
            started = [t for t in threading.enumerate() if t.name.startswith("snakekernel-")]
        for thread in started:
            if thread.name != "snakekernel-keeper":
                thread.join(30)
        snake.delete_stored("f")


class TestCoroutines:
    def test_a_function_blocks_a_coroutine_function_suspends(self, snake: Client) -> None:
        async def slow(x: int) -> int:
            await asyncio.sleep(0.01)
            return x * 10

        assert call(snake, "in_coroutine", lambda x: x, 1) == 1
        assert call(snake, "awaited", slow, 2) == 20
        assert call(snake, "gathered", slow, 5) == [0, 10, 20, 30, 40]

    def test_within_it_the_kernel_can_be_called(self, snake: Client) -> None:
        async def nested(x: int) -> Any:
            return call(snake, "slept", x)

        assert call(snake, "gathered", nested, 3) == [0, 1, 2]


class TestWithin:
    def test_to_a_depth_of_ten(self, snake: Client) -> None:
        def deep(n: int) -> int:
            return 0 if n == 0 else 1 + int(call(snake, "apply", deep, n - 1))

        assert call(snake, "apply", deep, 10) == 10
        assert call(snake, "in_coroutine", deep, 10) == 10

    def test_any_operation(self, snake: Client) -> None:
        def work() -> list[Any]:
            with snake.session() as session:
                session.store("x", [1, 2])
                value = session.retrieve("x")
            with snake.batch() as batch:
                item = batch.call("math.sqrt", args=[4])
            later = snake.submit("lent_to.slept", args=[5])
            items = list(snake.stream("builtins.iter", args=[[7, 8, 9]]))
            return [value, item.result(), later.result(), items]

        assert call(snake, "apply", work) == [[1, 2], 2.0, 5, [7, 8, 9]]

    def test_from_worker_threads(self, snake: Client) -> None:
        assert call(snake, "in_threads", lambda n: call(snake, "apply", lambda: n * n), 4) == [0, 1, 4, 9]

    def test_other_connections_are_other_clients(self, snake: Client) -> None:
        with snakekernel.start() as elsewhere:
            assert call(snake, "apply", lambda: elsewhere.call("math.sqrt", args=[16])) == 4.0


class TestErrors:
    def test_both_tracebacks_reach_the_caller(self, snake: Client) -> None:
        class WrongCity(ValueError):
            pass

        def tool() -> None:
            raise WrongCity("where?")

        name, is_value_error, notes = call(snake, "caught", tool)
        assert (name, is_value_error) == ("WrongCity", True)
        assert "in tool" in notes[0]
        with pytest.raises(ValueError, match="where") as caught:
            call(snake, "apply", tool)
        assert isinstance(caught.value, RemoteError)
        assert caught.value.ename == "WrongCity"
        told = "\n".join(caught.value.traceback)
        assert "in tool" in told
        assert "in apply" in told

    def test_there_and_back_and_there(self, snake: Client) -> None:
        def divide() -> Any:
            return call(snake, "apply", lambda: snake.call("operator.truediv", args=[1, 0]))

        with pytest.raises(ZeroDivisionError) as caught:
            call(snake, "apply", divide)
        assert isinstance(caught.value, RemoteError)
        assert caught.value.ename == "ZeroDivisionError"

    def test_a_result_without_a_value(self, snake: Client) -> None:
        with pytest.raises(TypeError, match="no lossless form"):
            call(snake, "apply", lambda: object())

    def test_a_deadline(self, snake: Client) -> None:
        release = threading.Event()
        slow = snake.callback(release.wait, deadline=0.2)
        try:
            with pytest.raises(TimeoutError, match=r"0\.2 s"):
                snake.submit("lent_to.apply", args=[slow]).result()
        finally:
            release.set()

    def test_a_time_out_of_the_caller_ends_nothing(self, snake: Client) -> None:
        # The caller's own thread runs the function: by its end, the reply must not be there already.
        with pytest.raises(ReplyTimeout):
            call(snake, "apply_and_wait", lambda: time.sleep(0.3), timeout=0.05)
        assert call(snake, "apply", lambda: 1) == 1

    def test_ctrl_c_within_it_ends_the_call_on_both_sides(self, snake: Client) -> None:
        def interrupted() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)

        with pytest.raises(KeyboardInterrupt):
            call(snake, "apply", interrupted)
        assert call(snake, "apply", lambda: 1) == 1


def test_options(snake: Client) -> None:
    lent = snake.callback(lambda: 5, name="five", doc="Gives five.")
    assert call(snake, "named", lent) == ("five", "Gives five.")
    assert lent() == call(snake, "apply", lent) == 5

    def said() -> None:
        """It says."""

    assert call(snake, "named", said) == ("said", "It says.")


class TestAsyncClient:
    def test_functions_and_coroutine_functions(self, folder: Path) -> None:
        async def main() -> None:
            async with AsyncClient.start(env={**os.environ, "PYTHONPATH": str(folder)}) as snake:
                loop = asyncio.get_running_loop()

                async def here(x: int) -> Any:
                    assert asyncio.get_running_loop() is loop
                    return await snake.call("lent_to.slept", args=[x])

                assert await snake.call("lent_to.awaited", args=[here, 3]) == 3
                assert await snake.call("lent_to.gathered", args=[here, 4]) == [0, 1, 2, 3]
                main_thread = threading.get_ident()
                assert await snake.call("lent_to.apply", args=[threading.get_ident]) != main_thread

                async def deep(n: int) -> int:
                    return 0 if n == 0 else 1 + await snake.call("lent_to.awaited", args=[deep, n - 1])

                assert await snake.call("lent_to.awaited", args=[deep, 10]) == 10

                async def fails() -> None:
                    raise KeyError("k")

                with pytest.raises(KeyError):
                    await snake.call("lent_to.awaited", args=[fails])
                both = await asyncio.gather(
                    *(snake.call("lent_to.apply", args=[lambda n=n: n]) for n in range(10))
                )
                assert both == list(range(10))
                functions = snake._link.functions  # type: ignore[union-attr]
                deadline = loop.time() + 30
                while functions.any:
                    assert loop.time() < deadline
                    await asyncio.sleep(0.01)
                    functions.tidy()

        asyncio.run(main())


class TestRealLibraries:
    def test_scipy_minimizes_a_function_of_the_client(self, snake: Client) -> None:
        seen: list[float] = []

        def objective(x: Any) -> float:
            seen.append(float(x[0]))
            return float((x[0] - 3) ** 2 + 1)

        found = snake.call("scipy.optimize.minimize", args=[objective, [0.0]], store_as="found")
        assert found is not None
        assert abs(snake.call(["stored", "found", "x", 0]) - 3) < 1e-3
        assert len(seen) > 3

    def test_pandas_applies_a_function_of_the_client(self, snake: Client) -> None:
        snake.store("df", pd.DataFrame({"a": [1, 2], "b": [3, 4]}))
        applied = snake.call(
            "stored.df.apply", args=[lambda row: int(row["a"] * row["b"])], kwargs={"axis": 1}
        )
        assert applied.tolist() == [3, 8]
        assert snake.call(["stored", "df", "a", {"attr": "map"}], args=[lambda x: x + 1]).tolist() == [2, 3]

    def test_a_react_agent_uses_tools_of_the_client(self, folder: Path, tmp_path: Path) -> None:
        places: list[str] = []

        def look_up(place: str) -> str:
            """Look a place up."""
            places.append(place)
            return "Paris is the capital of France."

        def add_numbers(a: float, b: float = 0.0) -> float:
            """Add two numbers."""
            return a + b

        env = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "DSPY_CACHEDIR": str(tmp_path),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        with LMServer() as server, snakekernel.start(env=env) as snake:
            snake.configure("dspy", {"lm": "openai/demo", "api_base": server.api_base, "api_key": "sk-local"})
            snake.call(
                "dspy.ReAct",
                args=["question -> answer"],
                kwargs={"tools": [look_up, add_numbers], "max_iters": 4},
                store_as="agent",
            )
            arguments = snake.call(["stored", "agent", "tools", "add_numbers", "args"])
            assert arguments == {"a": {"type": "number"}, "b": {"type": "number", "default": 0.0}}
            snake.call(
                "stored.agent", kwargs={"question": "What is the capital of France?"}, store_as="answer"
            )
            assert "Paris" in snake.call("stored.answer.answer")
        assert places


def test_a_lost_kernel_ends_all_of_it(folder: Path) -> None:
    with snakekernel.start(env={**os.environ, "PYTHONPATH": str(folder)}) as snake:
        pid = snake.call("os.getpid")

        def fatal() -> None:
            os.kill(pid, signal.SIGKILL)

        with pytest.raises(snakekernel.errors.KernelLost):
            call(snake, "apply", fatal)
        until(lambda: not snake._link.functions.any, "functions are kept for a dead kernel")


def test_a_loss_is_not_missed_by_a_listener_that_steps_down(snake: Client) -> None:
    listening, lost = _Listening(snake._turns, "listen", whole, 0), KernelLost("gone")
    listening.step_down()
    with snake._link.lock:
        listening._receive(lost)
    listening.step_down()
    assert listening._came is lost
