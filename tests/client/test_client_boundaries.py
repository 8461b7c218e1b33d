"""What must not cross a boundary: of a kernel's life, a session, a process, a signal handler, JSON."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

import snakekernel
from snakekernel import AsyncClient, Client, ref
from snakekernel.errors import Interrupted, InvalidRequest, KernelLost, Unserializable

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def snake() -> Client:
    with snakekernel.start() as client:
        yield client


class TestKernels:
    async def test_what_was_lost_does_not_run_in_the_next_kernel(self, tmp_path: Path) -> None:
        mark = tmp_path / "ran"
        async with AsyncClient.start() as snake:
            code = f"open({str(mark)!r}, 'a').write('x')"

            async def marking() -> None:
                await snake.call("builtins.exec", args=[code])

            calls = [asyncio.ensure_future(snake.call("time.sleep", args=[60]))]
            calls += [asyncio.ensure_future(marking()) for _ in range(500)]
            await asyncio.sleep(0)
            os.kill(snake.manager.provisioner.pid, signal.SIGKILL)
            # Into the gap in which nobody has noticed yet.
            calls += [asyncio.ensure_future(marking()) for _ in range(500)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(outcome, KernelLost) for outcome in outcomes)
            await snake.manager.restart_kernel()
            async with asyncio.timeout(30):
                while True:
                    try:
                        assert await snake.call("operator.add", args=[2, 3]) == 5
                        break
                    except KernelLost:
                        await asyncio.sleep(0.05)
            assert not mark.exists()

    def test_a_proxy_of_another_kernel_is_refused(self, snake: Client) -> None:
        with snakekernel.start() as other:
            other.store("there", [1])
            with pytest.raises(Unserializable, match="another kernel"):
                snake.call("builtins.len", args=[other.stored.there])
            with pytest.raises(Unserializable, match="another kernel"):
                snake.call(other.stored.there)


class TestSessions:
    def test_a_proxy_of_another_session_is_refused(self, snake: Client) -> None:
        snake.store("v", [1, 2, 3])
        with snake.session() as view:
            view.store("v", [1])
            described = view.call("builtins.list", args=[ref("v")], store_as="copy")
            with pytest.raises(Unserializable, match="session"):
                snake.call("builtins.len", args=[view.stored.v])
            with pytest.raises(Unserializable, match="session"):
                snake.call("builtins.len", args=[described])
            with pytest.raises(Unserializable, match="session"):
                snake.pipeline([{"target": view.stored.v.count, "args": [1]}])
            assert view.call("builtins.len", args=[view.stored.v]) == 1
            assert snake.call("builtins.len", args=[view.stored.v], session_id=view._session_id) == 1


class TestProcesses:
    def test_a_forked_child_takes_nothing_along(self, snake: Client) -> None:
        def child(results: multiprocessing.SimpleQueue[str]) -> None:
            try:
                snake.call("operator.add", args=[1, 2])
            except KernelLost as error:
                results.put(str(error))
            snake.close()

        context = multiprocessing.get_context("fork")
        results = context.SimpleQueue()
        process = context.Process(target=child, args=(results,))
        process.start()
        process.join(60)
        assert process.exitcode == 0
        assert "fork" in results.get()
        assert Path(snake.connection_file).exists()
        assert snake.call("operator.add", args=[1, 2]) == 3
        with Client.connect(snake.connection_file) as again:
            assert again.call("operator.add", args=[1, 2]) == 3

    def test_a_forked_child_does_not_read_its_parents_replies(self, snake: Client, tmp_path: Path) -> None:
        go = tmp_path / "go"
        code = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.005)"
        # Its reply must not be here before the fork.
        future = snake.submit("builtins.exec", args=[code])

        def child(results: multiprocessing.SimpleQueue[str]) -> None:
            for ask in (future.done, future.result):
                try:
                    ask()
                except KernelLost as error:
                    results.put(str(error))

        context = multiprocessing.get_context("fork")
        results = context.SimpleQueue()
        process = context.Process(target=child, args=(results,))
        process.start()
        process.join(60)
        assert process.exitcode == 0
        assert all("fork" in results.get() for _ in range(2))
        go.touch()
        assert future.result() is None

    def test_a_forked_child_closes_whatever_its_parent_was_doing(self, snake: Client) -> None:
        begun, over = threading.Event(), threading.Event()

        def hold() -> None:
            with snake._turns._leading, snake._link.lock:
                begun.set()
                over.wait(30)

        holding = threading.Thread(target=hold)
        holding.start()
        begun.wait(30)
        process = multiprocessing.get_context("fork").Process(target=snake.close)
        try:
            process.start()
            process.join(60)
            assert process.exitcode == 0
        finally:
            over.set()
            holding.join()
            process.kill()
        assert snake.call("operator.add", args=[1, 2]) == 3


class TestBuffers:
    @pytest.mark.parametrize("strided", [False, True])
    def test_an_exchange_takes_views_of_any_shape(self, snake: Client, strided: bool) -> None:
        import numpy as np

        array = np.arange(400_000, dtype="<f8")
        view = memoryview(np.repeat(array, 2))[::2] if strided else memoryview(array.reshape(2, -1))
        value = {"$ndarray": {"buffer": 0, "dtype": "<f8", "shape": [400_000]}}
        snake.exchange("store", {"id": "flat", "value": value}, buffers=[view], timeout=30)
        assert np.array_equal(snake.retrieve("flat"), array)

    def test_a_request_that_is_never_sent_lends_nothing(self, snake: Client) -> None:
        import numpy as np

        from snakekernel.memory import segments

        big = np.zeros(1 << 20)
        assert snake.call("builtins.len", args=[big]) == 1 << 20
        held = set(segments._held)
        message = snake._link.message("snake_call_request", b"{}", [memoryview(big)])
        del message
        # Fewer, where it would have gone into a segment that was kept warm.
        assert segments._held <= held
        assert not snake._link._attachment.leases


class TestSignalHandlers:
    def test_a_call_within_a_call(self, snake: Client) -> None:
        answers = []
        before = signal.signal(
            signal.SIGUSR1, lambda *_: answers.append(snake.list_stored("no such", timeout=20))
        )
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
        try:
            timer.start()
            assert snake.call("time.sleep", args=[1.0]) is None
            assert answers == [[]]
        finally:
            timer.join()
            signal.signal(signal.SIGUSR1, before)

    def test_a_call_of_a_view_within_a_call(self, snake: Client) -> None:
        with snake.session() as view:
            answers = []
            before = signal.signal(
                signal.SIGUSR1, lambda *_: answers.append(view.list_stored("no such", timeout=20))
            )
            timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
            try:
                timer.start()
                assert snake.call("time.sleep", args=[1.0]) is None
                assert answers == [[]]
            finally:
                timer.join()
                signal.signal(signal.SIGUSR1, before)

    def test_closing_within_a_call(self) -> None:
        snake = snakekernel.start()
        before = signal.signal(signal.SIGUSR1, lambda *_: snake.close())
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
        try:
            timer.start()
            with pytest.raises(KernelLost):
                snake.call("time.sleep", args=[60])
        finally:
            timer.join()
            signal.signal(signal.SIGUSR1, before)
            snake.close()


class TestJSON:
    @pytest.mark.parametrize("args", [{"ttl": float("nan")}, {1: 2}, {"value": b"x"}])
    def test_execute_takes_plain_json_alone(self, snake: Client, args: dict[object, object]) -> None:
        with pytest.raises(InvalidRequest):
            snake.execute("store", {"id": "x", "value": 1, **args})

    def test_names_of_arguments_are_strings(self, snake: Client) -> None:
        with pytest.raises(InvalidRequest, match="name"):
            snake.call("builtins.dict", kwargs={1: 2})


class TestPipelines:
    def test_results_of_every_kind_are_values(self, snake: Client) -> None:
        import numpy as np

        table, obj = snake.pipeline(
            [
                {"op": "table", "target": "stored.grid", "format": "arrow"},
                {"op": "retrieve", "id": "thing"},
            ]
            if snake.store("grid", np.eye(2)) and snake.call("builtins.object", store_as="thing")
            else []
        )
        assert table["data"].num_rows == 2
        assert obj.path == ("thing",)


def test_an_inspection_is_interrupted(snake: Client) -> None:
    snake.modules.builtins.exec(
        "class Slow:\n    def __repr__(self):\n        __import__('time').sleep(30)\nstored.slow = Slow()"
    )
    timer = threading.Timer(0.5, snake.interrupt)
    timer.start()
    with pytest.raises(Interrupted):
        snake.inspect("stored.slow", budget=20)
    timer.join()
    assert snake.call("operator.add", args=[1, 2]) == 3
